// Runs and episodes.
#include <algorithm>

#include "base/hash.h"
#include "base/text.h"
#include "tasks/store_state.h"

namespace seedbed::tasks {
namespace {

using schemas::Value;

constexpr std::size_t kEpisodeSections = 3;

// The part of an Episode that is JSON; its changes have their own binary form. Holds references
// when writing.
template <class Calls, class Results, class Submitted>
struct Evidence {
  Calls calls;
  Results results;
  schemas::Stop stop = schemas::Stop::stopped;
  Submitted submitted;
};
template <class V, class C, class R, class S>
void fields(V&& at, Evidence<C, R, S>& x) {
  at("calls", x.calls, "host calls in order");
  at("results", x.results, "their results");
  at("stop", x.stop, "how it ended");
  at("submitted", x.submitted, "arguments of the accepted submit_result or refuse");
}
using EvidenceRead =
    Evidence<std::vector<schemas::ToolCall>, std::vector<schemas::ToolResult>, Value>;
using EvidenceWrite = Evidence<const std::vector<schemas::ToolCall>&,
                               const std::vector<schemas::ToolResult>&,
                               const Value&>;

Error episode_error(const std::string& path, const EpisodeKey& key, const std::string& found) {
  return make_error(Where::store, "store", path,
                    "episode (run " + key.run + ", task " + key.task_id + ", sample " +
                        std::to_string(key.sample) + ") is not stored: " + found,
                    "report this: the runner broke its contract");
}

Value with_sorted_keys(const Value& value) {
  if (value.is_array()) {
    Value out = Value::array();
    for (const auto& item : value.items()) out.push(with_sorted_keys(item));
    return out;
  }
  if (!value.is_object()) return value;
  Value::Object members;
  for (const auto& [key, member] : value.members())
    members.emplace_back(key, with_sorted_keys(member));
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return members;
}

// The hash covers the run too: two runs with other settings may do the same.
std::string episode_hash(const std::string& run, std::string_view trajectory) {
  std::string bytes = run;
  bytes.push_back('\n');
  bytes.append(trajectory);
  return content_hash(bytes);
}

std::string_view const kEpisodeOrder =
    "SELECT x.id, r.hash FROM episode x JOIN run r ON r.id = x.run JOIN task t ON t.id = x.task "
    "JOIN environment e ON e.id = t.environment "
    "WHERE t.selected = 1 ORDER BY r.hash, e.slot, t.number, x.sample";

}  // namespace

std::string Store::run_id(const RunInfo& info) {
  Value whole = Value::object();
  whole.set("policy", info.policy)
      .set("policy_version", info.policy_version)
      .set("seed", info.seed)
      .set("settings", with_sorted_keys(info.settings));
  return content_hash(dump(whole));
}

Result<std::string> Store::begin_run(const RunInfo& info) {
  const std::string id = run_id(info);
  SEEDBED_TRY(const std::int64_t row, state_->row_of("run", id));
  if (row != 0) return id;
  const std::string settings = dump(with_sorted_keys(info.settings));
  const auto insert = [&] {
    return Use(*state_->db,
               "INSERT INTO run (hash, policy, policy_version, seed, settings) VALUES (?, ?, ?, ?, "
               "?)")
        .bind(id)
        .bind(info.policy)
        .bind(info.policy_version)
        .bind(info.seed)
        .bind(settings)
        .run();
  };
  if (auto e = state_->record(insert)) return *std::move(e);
  return id;
}

Result<std::set<std::pair<std::string, std::int64_t>>> Store::finished_episodes(
    const std::string& run) {
  std::set<std::pair<std::string, std::int64_t>> out;
  Use rows(*state_->db,
           "SELECT t.hash, x.sample FROM episode x JOIN run r ON r.id = x.run JOIN task t ON t.id "
           "= x.task WHERE r.hash = ?");
  rows.bind(run);
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return out;
    out.emplace(rows.text(0), rows.integer(1));
  }
}

Step Store::put_episode(const EpisodeKey& key,
                        const schemas::Trajectory& trajectory,
                        const Episode& evidence) {
  const std::string& path = state_->db->path();
  if (trajectory.task_id != key.task_id || trajectory.sample != key.sample)
    return episode_error(path, key, "its trajectory has another key");
  EpisodeRow row{.run = 0,
                 .task = 0,
                 .sample = key.sample,
                 .hash = {},
                 .solved = trajectory.verdict.solved,
                 .score = trajectory.verdict.score,
                 .tool_calls = static_cast<std::int64_t>(evidence.calls.size()),
                 .wall_us = trajectory.wall_us,
                 .document = {},
                 .verdict = {}};
  SEEDBED_TRY(row.run, state_->row_of("run", key.run));
  if (row.run == 0) return episode_error(path, key, "its run was not begun");
  {
    Use find(*state_->db,
             "SELECT t.id, e.hash FROM task t JOIN environment e ON e.id = t.environment WHERE "
             "t.hash = ?");
    SEEDBED_TRY(const bool found, find.bind(key.task_id).step());
    if (!found) return episode_error(path, key, "its task is not in this store");
    if (find.view(1) != trajectory.environment_id)
      return episode_error(path, key, "its trajectory names another environment than its task's");
    row.task = find.integer(0);
  }
  Value record = schemas::to_value(trajectory);
  record.set("wall_us", 0);
  std::string json = dump(record);
  row.hash = episode_hash(key.run, json);
  {
    Use find(*state_->db, "SELECT hash FROM episode WHERE run = ? AND task = ? AND sample = ?");
    SEEDBED_TRY(const bool found, find.bind(row.run).bind(row.task).bind(row.sample).step());
    if (found && find.view(0) == row.hash) return std::nullopt;
    if (found) return episode_error(path, key, "another episode is stored under its key");
  }
  EvidenceWrite parts{evidence.calls, evidence.results, evidence.stop, evidence.submitted};
  const std::string parts_json = dump(schemas::to_value(parts));
  if (!is_valid_utf8(json) || !is_valid_utf8(parts_json))
    return episode_error(path, key, "it holds text that is not UTF-8");
  row.document = pack_sections({json, parts_json, schemas::encode_changes(evidence.changes)});
  return state_->record([&]() -> Step {
    if (auto e = state_->write_episode(row)) return e;
    return Use(*state_->db, "DELETE FROM infra_error WHERE run = ? AND task = ? AND sample = ?")
        .bind(row.run)
        .bind(row.task)
        .bind(row.sample)
        .run();
  });
}

Step Store::State::write_episode(const EpisodeRow& row) {
  SEEDBED_TRY(const std::int64_t document, put_blob(row.document));
  Use insert(*db,
             "INSERT INTO episode (hash, run, task, sample, solved, score, tool_calls, wall_us, "
             "document, verdict) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  insert.bind(row.hash)
      .bind(row.run)
      .bind(row.task)
      .bind(row.sample)
      .bind(row.solved)
      .bind(row.score)
      .bind(row.tool_calls)
      .bind(row.wall_us)
      .bind(document);
  if (row.verdict)
    insert.bind(*row.verdict);
  else
    insert.bind_null();
  return insert.run();
}

Step Store::put_infra_error(const EpisodeKey& key, const std::string& why) {
  SEEDBED_TRY(const std::int64_t run, state_->row_of("run", key.run));
  SEEDBED_TRY(const std::int64_t task, state_->row_of("task", key.task_id));
  if (run == 0 || task == 0)
    return episode_error(state_->db->path(), key, "its run or task is not in this store");
  return state_->record([&] {
    return Use(*state_->db,
               "INSERT INTO infra_error (run, task, sample, count, why) SELECT ?1, ?2, ?3, 1, ?4 "
               "WHERE NOT EXISTS (SELECT 1 FROM episode WHERE run = ?1 AND task = ?2 AND sample = "
               "?3) "
               "ON CONFLICT DO UPDATE SET count = count + 1, why = excluded.why")
        .bind(run)
        .bind(task)
        .bind(key.sample)
        .bind(why)
        .run();
  });
}

Result<std::vector<PolicyRow>> Store::policies() {
  std::vector<PolicyRow> out;
  Use rows(*state_->db,
           "SELECT r.policy, r.policy_version, r.hash, count(x.id), coalesce(sum(x.solved), 0), "
           "coalesce(sum(x.tool_calls), 0), coalesce(sum(x.score), 0.0),"
           "  (SELECT count(*) FROM infra_error i JOIN task t ON t.id = i.task WHERE i.run = r.id "
           "AND t.selected = 1) "
           "FROM run r LEFT JOIN (SELECT x.* FROM episode x JOIN task t ON t.id = x.task WHERE "
           "t.selected = 1 ORDER BY x.run, x.task, x.sample) x ON x.run = r.id "
           "GROUP BY r.id ORDER BY r.policy, r.policy_version, r.hash");
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return out;
    PolicyRow p{.policy = rows.text(0),
                .policy_version = rows.text(1),
                .run = rows.text(2),
                .episodes = rows.integer(3),
                .solved = rows.integer(4),
                .infra_errors = rows.integer(7),
                .tool_calls = rows.integer(5),
                .score_sum = rows.number(6)};
    if (!is_valid_utf8(p.policy) || !is_valid_utf8(p.policy_version))
      return state_->db->damaged("a policy's name is not UTF-8");
    out.push_back(std::move(p));
  }
}

Result<EpisodeRow> Store::State::read_episode(std::int64_t id) {
  EpisodeRow row;
  std::int64_t document = 0;
  {
    Use find(*db,
             "SELECT run, task, sample, hash, solved, score, tool_calls, wall_us, document, "
             "verdict FROM episode WHERE id = ?");
    SEEDBED_TRY(const bool found, find.bind(id).step());
    if (!found) return db->damaged("an episode vanished while it was read");
    row.run = find.integer(0);
    row.task = find.integer(1);
    row.sample = find.integer(2);
    row.hash = find.text(3);
    row.solved = find.integer(4) != 0;
    row.score = find.number(5);
    row.tool_calls = find.integer(6);
    row.wall_us = find.integer(7);
    document = find.integer(8);
    if (!find.is_null(9)) row.verdict = find.text(9);
  }
  SEEDBED_TRY(row.document, blob(document));
  return row;
}

Result<StoredEpisode> Store::State::decode_episode(const EpisodeRow& row, const std::string& run) {
  const auto wrong = [&](const std::string& why) {
    return db->damaged("episode " + row.hash + ": " + why);
  };
  auto sections = unpack_sections(row.document, kEpisodeSections);
  if (!sections.ok()) return wrong(sections.error().message);
  if (episode_hash(run, (*sections)[0]) != row.hash) return wrong("its content has another hash");
  auto trajectory = schemas::parse_record<schemas::Trajectory>((*sections)[0], "trajectory");
  if (!trajectory.ok()) return wrong(trajectory.error().message);
  auto evidence = schemas::parse_record<EvidenceRead>((*sections)[1], "evidence");
  if (!evidence.ok()) return wrong(evidence.error().message);
  auto changes = schemas::decode_changes((*sections)[2]);
  if (!changes.ok()) return wrong(changes.error().message);
  StoredEpisode out{.id = row.hash,
                    .run = run,
                    .trajectory = *std::move(trajectory),
                    .evidence = {.calls = std::move(evidence->calls),
                                 .results = std::move(evidence->results),
                                 .changes = *std::move(changes),
                                 .stop = evidence->stop,
                                 .submitted = std::move(evidence->submitted)}};
  out.trajectory.wall_us = row.wall_us;
  if (row.verdict) {
    auto verdict = schemas::parse_record<schemas::Verdict>(*row.verdict, "verdict");
    if (!verdict.ok()) return wrong(verdict.error().message);
    out.trajectory.verdict = *std::move(verdict);
  }
  return out;
}

Step Store::for_each_episode(const std::function<Step(const StoredEpisode&)>& f,
                             const std::string& run) {
  // Ids first, so that the callback may write (set_verdict) and use the store as it likes.
  std::vector<std::pair<std::int64_t, std::string>> order;
  {
    Use rows(*state_->db, kEpisodeOrder);
    for (;;) {
      SEEDBED_TRY(const bool row, rows.step());
      if (!row) break;
      if (run.empty() || rows.text(1) == run) order.emplace_back(rows.integer(0), rows.text(1));
    }
  }
  for (const auto& [id, of_run] : order) {
    SEEDBED_TRY(const auto row, state_->read_episode(id));
    SEEDBED_TRY(const auto episode, state_->decode_episode(row, of_run));
    if (auto e = f(episode)) return e;
  }
  return std::nullopt;
}

namespace {

Result<std::pair<std::int64_t, std::string>> find_episode(Db& db, const std::string& id) {
  Use find(db, "SELECT x.id, r.hash FROM episode x JOIN run r ON r.id = x.run WHERE x.hash = ?");
  SEEDBED_TRY(const bool found, find.bind(id).step());
  if (!found)
    return make_error(Where::store, "store", db.path(), "has no episode '" + id + "'",
                      "'seedbed show STORE' lists the ids");
  return std::pair(find.integer(0), find.text(1));
}

}  // namespace

Result<StoredEpisode> Store::episode(const std::string& id) {
  SEEDBED_TRY(const auto at, find_episode(*state_->db, id));
  SEEDBED_TRY(const auto row, state_->read_episode(at.first));
  return state_->decode_episode(row, at.second);
}

Step Store::set_verdict(const std::string& episode_id, const schemas::Verdict& verdict) {
  SEEDBED_TRY(const auto at, find_episode(*state_->db, episode_id));
  SEEDBED_TRY(auto row, state_->read_episode(at.first));
  row.verdict.reset();
  SEEDBED_TRY(const auto original, state_->decode_episode(row, at.second));
  const std::string record = schemas::dump_record(verdict);
  // The verdict of the trajectory itself needs no second copy, and the digest is then the first one
  // again.
  const bool differs = record != schemas::dump_record(original.trajectory.verdict);
  return state_->record([&] {
    Use update(*state_->db, "UPDATE episode SET verdict = ?, solved = ?, score = ? WHERE id = ?");
    if (differs)
      update.bind(record);
    else
      update.bind_null();
    return update.bind(verdict.solved).bind(verdict.score).bind(at.first).run();
  });
}

}  // namespace seedbed::tasks
