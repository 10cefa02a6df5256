#include "base/text.h"
#include "cli/common.h"
#include "sandbox/jail.h"
#include "schemas/environment.h"
#include "schemas/request.h"
#include "schemas/task.h"
#include "schemas/trajectory.h"

namespace seedbed::cli {
namespace {

struct Format {
  const char* name;
  schemas::Value (*schema)();
};
constexpr Format kFormats[] = {
    {"gen_request", schemas::schema_of<schemas::GenRequest>},
    {"environment", schemas::schema_of<schemas::Environment>},
    {"tool", schemas::schema_of<schemas::Tool>},
    {"task", schemas::schema_of<schemas::TaskSpec>},
    {"gold", schemas::schema_of<schemas::Gold>},
    {"verifier", schemas::schema_of<schemas::Verifier>},
    {"certificate", schemas::schema_of<schemas::Certificate>},
    {"tool_call", schemas::schema_of<schemas::ToolCall>},
    {"tool_result", schemas::schema_of<schemas::ToolResult>},
    {"trajectory", schemas::schema_of<schemas::Trajectory>},
    {"verdict", schemas::schema_of<schemas::Verdict>},
    {"layer", schemas::schema_of<sandbox::Layer>},
};

}  // namespace

Result<int> cmd_schema(Context& context, const Words& words) {
  std::vector<std::string> names, wanted;
  for (const auto& format : kFormats) names.emplace_back(format.name);
  Options options("schema", "print the JSON Schema 2020-12 of a format: " + join(names, ", "), "seedbed schema trajectory");
  options.operands("NAME", wanted, 0, "a format; none lists them");
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  if (wanted.empty()) return context.out.raw(join(names, "\n") + "\n"), 0;
  if (wanted.size() > 1)
    return make_error(Where::usage, "seedbed schema", wanted[1], "one format at a time", "run the command once for each");
  for (const auto& format : kFormats)
    if (wanted[0] == format.name) return context.out.raw(schemas::dump_pretty(format.schema()) + "\n"), 0;
  const auto near = nearest(wanted[0], names);
  return make_error(Where::usage, "seedbed schema", wanted[0], "unknown format; there are " + join(names, ", "),
                    near.empty() ? "see `seedbed schema`" : "did you mean '" + near + "'?");
}

}  // namespace seedbed::cli
