#include "cli/common.h"
#include "schemas/value.h"

namespace seedbed::cli {

Result<int> cmd_merge(Context& context, const Words& words) {
  std::string target;
  std::vector<std::string> sources;
  Common common;
  Options options("merge",
                  "join the stores of shards: same request, all slots and episodes, selected anew",
                  "seedbed merge all.db shard0.db shard1.db");
  options.operand("OUT", target, "the store to merge into; made where absent");
  options.operands("STORE", sources, 1, "stores to take over");
  options.flag("--fresh", common.fresh, "start over: remove what OUT holds");
  store_options(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);
  for (const auto& source : sources)
    if (source == target)
      return make_error(Where::usage, "seedbed merge", source, "is both source and target",
                        "name another OUT");
  // A source that cannot be read must not leave a half-merged target behind: all are opened before
  // OUT is touched.
  for (const auto& source : sources) {
    SEEDBED_TRY(auto store, open_reader(source, common));
  }
  SEEDBED_TRY(auto store, tasks::Store::open(target, {.create = true,
                                                      .fresh = common.fresh,
                                                      .upgrade = common.upgrade,
                                                      .read_only = false}));
  {
    Progress progress(context.out, "merging", "stores");
    std::int64_t done = 0;
    for (const auto& source : sources) {
      if (context.stop) break;
      progress.at(done++, static_cast<std::int64_t>(sources.size()));
      if (auto error = store->absorb(source)) return *std::move(error);
    }
  }
  if (auto error = store->flush()) return *std::move(error);
  if (auto error = store->select()) return *std::move(error);
  SEEDBED_TRY(auto counts, store->counts());
  SEEDBED_TRY(auto digest, store->content_digest());
  if (auto error = close_store(std::move(store))) return *std::move(error);
  if (context.stop) return interrupted("merge");
  context.out.line(format_count(counts.integer("environments")) + " environments, " +
                   format_count(counts.integer("tasks")) + " tasks, " +
                   format_count(counts.integer("episodes")) + " episodes; digest " + digest);
  counts.set("digest", digest);
  context.out.object(counts);
  return 0;
}

}  // namespace seedbed::cli
