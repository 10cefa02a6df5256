#include "agent/show.h"
#include "cli/common.h"
#include "schemas/value.h"

namespace seedbed::cli {
namespace {

using schemas::Value;

struct Listing {
  Table environments{{"environment", "what it is", "tasks", "first task"}, {}};
  Table episodes{{"episode", "policy", "task", "stop", "score"}, {}};
  Value json = Value::object();
};

std::string score_text(double score) {
  return score >= 1 ? "1" : std::to_string(score).substr(0, 4);
}

Step list_environments(tasks::Store& store, std::int64_t limit, Listing& listing) {
  Value rows = Value::array();
  auto ids = store.environment_ids();
  if (!ids.ok()) return ids.error();
  for (const auto& id : *ids) {
    if (static_cast<std::int64_t>(rows.items().size()) == limit) break;
    auto stored = store.environment(id);
    if (!stored.ok()) return stored.error();
    auto tasks = store.task_ids_of(id);
    if (!tasks.ok()) return tasks.error();
    Value names = Value::array();
    for (const auto& task : *tasks) names.push(task);
    Value row = Value::object();
    row.set("id", id).set("title", stored->environment.title).set("tasks", std::move(names));
    rows.push(std::move(row));
    listing.environments.rows.push_back({id.substr(0, 12), stored->environment.title,
                                         format_count(static_cast<std::int64_t>(tasks->size())),
                                         tasks->empty() ? "-" : tasks->front().substr(0, 12)});
  }
  listing.json.set("environments", std::move(rows));
  return std::nullopt;
}

Step list_episodes(tasks::Store& store, std::int64_t limit, Listing& listing) {
  Value rows = Value::array();
  const Error enough{Where::interrupted, "enough"};  // how the callback ends the reading
  const auto add = [&](const tasks::StoredEpisode& episode) -> Step {
    if (static_cast<std::int64_t>(rows.items().size()) == limit) return enough;
    const auto& t = episode.trajectory;
    const std::string stop(schemas::enum_names(t.stop)[static_cast<std::size_t>(t.stop)]);
    Value row = Value::object();
    row.set("id", episode.id).set("policy", t.policy).set("task", t.task_id);
    row.set("stop", stop).set("score", t.verdict.score);
    rows.push(std::move(row));
    listing.episodes.rows.push_back({episode.id.substr(0, 12), t.policy, t.task_id.substr(0, 12),
                                     stop, score_text(t.verdict.score)});
    return std::nullopt;
  };
  auto error = store.for_each_episode(add);
  if (error && error->where != Where::interrupted) return error;
  listing.json.set("episodes", std::move(rows));
  return std::nullopt;
}

Result<int> list(Context& context, tasks::Store& store, std::int64_t limit) {
  Listing listing;
  if (auto error = list_environments(store, limit, listing)) return *std::move(error);
  if (auto error = list_episodes(store, limit, listing)) return *std::move(error);
  context.out.table(listing.environments);
  if (!listing.episodes.rows.empty()) {
    context.out.line("");
    context.out.table(listing.episodes);
  }
  context.out.object(listing.json);
  return 0;
}

}  // namespace

Result<int> cmd_show(Context& context, const Words& words) {
  std::string path, html;
  std::vector<std::string> ids;
  std::int64_t limit = 20;
  Common common;
  Options options("show", "print one environment, task or trajectory; without ID, list them",
                  "seedbed show a.db 3f2a --html trajectory.html");
  options.operand("STORE", path, "the store");
  options.operands("ID", ids, 0,
                   "hash of an environment, task or episode, or enough of its beginning");
  options.text("--html", html, "FILE", "write one self-contained page instead");
  options.integer("--limit", limit, 1, INT64_MAX, "rows of a list");
  store_options(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  if (ids.size() > 1)
    return make_error(Where::usage, "seedbed show", ids[1], "one id at a time",
                      "run the command once for each");
  if (ids.empty() && !html.empty())
    return make_error(Where::usage, "seedbed show", "ID", "absent, and --html needs one",
                      "`seedbed show " + path + "` lists what there is");

  SEEDBED_TRY(auto store, open_reader(path, common));
  context.out.set_json(common.json && ids.empty());
  if (ids.empty()) return list(context, *store, limit);
  const auto form = html.empty() ? agent::ShowForm::text : agent::ShowForm::html;
  SEEDBED_TRY(const auto shown, agent::show(*store, ids[0], form));
  if (html.empty()) return context.out.raw(shown), 0;
  if (auto error = write_file(html, shown)) return *std::move(error);
  context.out.status("written: " + html);
  return 0;
}

}  // namespace seedbed::cli
