#include <fmt/core.h>

#include "agent/run.h"
#include "cli/common.h"
#include "schemas/value.h"

namespace seedbed::cli {

Result<int> cmd_reverify(Context& context, const Words& words) {
  std::string path;
  Common common;
  Options options("reverify",
                  "score every stored episode again from what its calls wrote; no jail is opened",
                  "seedbed reverify a.db");
  options.operand("STORE", path, "the store; verdicts that differ are replaced");
  store_options(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);

  SEEDBED_TRY(auto store, open_store(path, common));
  SEEDBED_TRY(const auto done, agent::reverify(*store, &context.stop));
  if (auto error = close_store(std::move(store))) return *std::move(error);
  if (context.stop) return interrupted("reverify");
  context.out.line(format_count(done.checked) + " episodes scored again, " +
                   format_count(static_cast<std::int64_t>(done.changed.size())) +
                   " verdicts changed");
  Table table{{"episode", "before", "after", "why"}, {}};
  schemas::Value changed = schemas::Value::array();
  for (const auto& change : done.changed) {
    table.rows.push_back({change.episode_id, fmt::format("{:.3f}", change.before.score),
                          fmt::format("{:.3f}", change.after.score), change.after.why});
    schemas::Value row = schemas::Value::object();
    row.set("episode", change.episode_id)
        .set("before", change.before.score)
        .set("after", change.after.score)
        .set("why", change.after.why);
    changed.push(std::move(row));
  }
  if (!table.rows.empty()) context.out.table(table);
  schemas::Value out = schemas::Value::object();
  out.set("checked", done.checked).set("changed", std::move(changed));
  context.out.object(out);
  return done.changed.empty() ? 0 : 1;
}

}  // namespace seedbed::cli
