#include "cli/generation.h"
#include "schemas/value.h"

namespace seedbed::cli {

namespace {

Step add_issues(tasks::Store& store, const envgen::VerifySummary& summary) {
  for (const auto& failure : summary.failed) {
    auto added = store.add_issue(failure.task, "verify-pack: " + failure.gate, "program");
    if (!added.ok()) return added.error();
  }
  return store.flush();
}

}  // namespace

Result<int> cmd_verify_pack(Context& context, const Words& words) {
  std::string path;
  Common common;
  std::int64_t sample = 0;
  bool file_issues = false;
  std::vector<std::string> packs;
  std::string from_db;
  Options options("verify-pack",
                  "make stored tasks again from their seeds and repeat every gate in the jail",
                  "seedbed verify-pack a.db --sample 20");
  options.operand("STORE", path, "the store");
  options.integer("--sample", sample, 0, INT64_MAX,
                  "environments to make again, spread over the store; 0 is all");
  options.texts("--pack", packs, "DIR", "the packs that the store was generated with");
  options.text("--from-db", from_db, "FILE", "the database that the store was generated from");
  options.flag("--file-issues", file_issues, "note what fails in the store's ledger of issues");
  mount_option(options, common);
  isolation_option(options, common);
  store_options(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);

  SEEDBED_TRY(auto jails, start_jails(common.isolation, common.mounts));
  SEEDBED_TRY(auto store, file_issues ? open_store(path, common) : open_reader(path, common));
  SEEDBED_TRY(auto summary, verify_store(context, *store, packs, sample, jails, from_db));
  if (context.stop) return interrupted("verify-pack");
  context.out.line(format_count(summary.checked) + " tasks verified, " +
                   format_count(static_cast<std::int64_t>(summary.failed.size())) + " failed");
  print_failures(context.out, summary);
  if (file_issues)
    if (auto error = add_issues(*store, summary)) return *std::move(error);
  schemas::Value failed = schemas::Value::array();
  for (const auto& failure : summary.failed) {
    schemas::Value row = schemas::Value::object();
    row.set("task", failure.task).set("gate", failure.gate).set("why", failure.why);
    failed.push(std::move(row));
  }
  schemas::Value out = schemas::Value::object();
  out.set("checked", summary.checked).set("failed", std::move(failed));
  context.out.object(out);
  return summary.failed.empty() ? 0 : 1;
}

}  // namespace seedbed::cli
