#include "base/text.h"
#include "cli/generation.h"

namespace seedbed::cli {
namespace {

Result<std::vector<envgen::PackFinding>> check(Context& context,
                                               const std::vector<std::string>& dirs,
                                               const std::shared_ptr<sandbox::Broker>& broker) {
  Progress progress(context.out, "checking", "compositions");
  const auto show = [&](std::int64_t done, std::int64_t total) { progress.at(done, total); };
  return envgen::check_packs(dirs, host_factory(broker), show, context.stop);
}

}  // namespace

Result<int> cmd_pack(Context& context, const Words& words) {
  std::string action;
  std::vector<std::string> dirs;
  Common common;
  Options options(
      "pack check",
      "test the laws of mechanisms and lexicons in folders, on top of the built-in ones",
      "seedbed pack check my-packs");
  options.operand("check", action, "what to do");
  options.operands("DIR", dirs, 1, "folders with mechanisms/ and lexicons/");
  isolation_option(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  if (action != "check")
    return make_error(Where::usage, "seedbed pack", action, "unknown action; there is check",
                      "for instance: seedbed pack check my-packs");
  context.out.set_json(common.json);

  SEEDBED_TRY(auto broker, start_broker(common.isolation));
  SEEDBED_TRY(auto findings, check(context, dirs, broker));
  if (context.stop) return interrupted("pack check");
  schemas::Value list = schemas::Value::array();
  Table table{{"pack", "finding"}, {}};
  for (const auto& finding : findings) {
    table.rows.push_back({finding.pack, finding.what});
    schemas::Value row = schemas::Value::object();
    row.set("pack", finding.pack).set("what", finding.what);
    list.push(std::move(row));
  }
  if (findings.empty())
    context.out.line("the laws hold");
  else
    context.out.table(table);
  schemas::Value out = schemas::Value::object();
  out.set("findings", std::move(list));
  context.out.object(out);
  return findings.empty() ? 0 : 1;
}

}  // namespace seedbed::cli
