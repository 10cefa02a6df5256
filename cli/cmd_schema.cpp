#include "base/text.h"
#include "cli/common.h"
#include "schemas/registry.h"

namespace seedbed::cli {

Result<int> cmd_schema(Context& context, const Words& words) {
  std::vector<std::string> wanted;
  Options options("schema", "print the JSON Schema 2020-12 of a format",
                  "seedbed schema trajectory");
  options.operands("NAME", wanted, 0, "a format; none lists them");
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  if (wanted.empty()) {
    Table table{{"format", "what it is"}, {}};
    for (const auto& entry : schemas::schema_registry())
      table.rows.push_back({std::string(entry.name), std::string(entry.about)});
    context.out.table(table);
    return 0;
  }
  if (wanted.size() > 1)
    return make_error(Where::usage, "seedbed schema", wanted[1], "one format at a time",
                      "run the command once for each");
  SEEDBED_TRY(const auto schema, schemas::schema_by_name(wanted[0]));
  context.out.raw(schemas::dump_pretty(schema) + "\n");
  return 0;
}

}  // namespace seedbed::cli
