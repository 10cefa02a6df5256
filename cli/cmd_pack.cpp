#include "base/text.h"
#include "cli/generation.h"

namespace seedbed::cli {
namespace {

Result<std::vector<envgen::PackFinding>> check(Context& context,
                                               const std::vector<std::string>& dirs,
                                               const std::shared_ptr<Jails>& jails) {
  Progress progress(context.out, "checking", "compositions");
  const auto show = [&](std::int64_t done, std::int64_t total) { progress.at(done, total); };
  return envgen::check_packs(dirs, host_factory(jails), show, context.stop);
}

// DIR/mechanisms/NAME.json and DIR/lexicons/NAME_shop.json, NAME taken from the folder.
Result<int> make_new(Context& context, const std::string& dir) {
  SEEDBED_TRY(const auto made, envgen::new_pack(dir));
  for (const auto& path : made) context.out.line("wrote " + path);
  context.out.line("change what it says, then: seedbed pack check " + dir +
                   "  (docs/write-a-mechanism.md walks through it)");
  schemas::Value list = schemas::Value::array();
  for (const auto& path : made) list.push(path);
  schemas::Value out = schemas::Value::object();
  out.set("files", std::move(list));
  context.out.object(out);
  return 0;
}

}  // namespace

Result<int> cmd_pack(Context& context, const Words& words) {
  std::string action;
  std::vector<std::string> dirs;
  Common common;
  Options options("pack",
                  "check: test the laws of mechanisms and lexicons in folders, on top of the "
                  "built-in ones; new: a commented skeleton of both to start from",
                  "seedbed pack new my-packs && seedbed pack check my-packs");
  options.operand("check|new", action, "what to do");
  options.operands("DIR", dirs, 0,
                   "folders with mechanisms/ and lexicons/; check without any: the built-in packs");
  isolation_option(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  if (action != "check" && action != "new")
    return make_error(Where::usage, "seedbed pack", action,
                      "unknown action; there are check and new",
                      "for instance: seedbed pack check my-packs");
  context.out.set_json(common.json);
  if (action == "new" && dirs.size() != 1)
    return make_error(Where::usage, "seedbed pack new", "DIR",
                      "found " + std::to_string(dirs.size()) + ", wanted one folder",
                      "for instance: seedbed pack new key_cabinet");
  if (action == "new") return make_new(context, dirs[0]);

  SEEDBED_TRY(auto jails, start_jails(common.isolation));
  SEEDBED_TRY(auto findings, check(context, dirs, jails));
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
