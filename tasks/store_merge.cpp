// Merge: another store's slots and episodes into this one. What two stores both hold is decided by
// content alone, so that merging is commutative, associative and idempotent:
//   a slot     must be equal in both (it is a function of the request)
//   an episode the one with the lower hash stays; a later verdict stays where only one side has it,
//   else the lower text
//   an issue   the one that changed more often stays, of two the one with the higher text
//   an infrastructure error goes where either side has the episode
#include <algorithm>
#include <map>

#include "base/text.h"
#include "tasks/store_state.h"

namespace seedbed::tasks {
namespace {

using State = Store::State;

Result<std::map<std::int64_t, std::string>> slot_digests(Db& db) {
  std::map<std::int64_t, std::string> out;
  Use rows(db, "SELECT number, digest FROM slot");
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return out;
    out.emplace(rows.integer(0), rows.text(1));
  }
}

Step absorb_slots(State& ours, State& theirs) {
  SEEDBED_TRY(const auto mine, slot_digests(*ours.db));
  SEEDBED_TRY(const auto other, slot_digests(*theirs.db));
  // All conflicts before the first write.
  for (const auto& [slot, digest] : other) {
    const auto at = mine.find(slot);
    if (at != mine.end() && at->second != digest)
      return make_error(
          Where::store, "store", theirs.db->path(),
          "slot " + std::to_string(slot) + " has another content than in '" + ours.db->path() + "'",
          "one of them was not made by this generator and request: make it anew");
  }
  for (const auto& entry : other) {
    if (mine.count(entry.first) != 0) continue;
    SEEDBED_TRY(const auto rows, theirs.read_slot(entry.first));
    if (auto e = ours.record([&] { return ours.write_slot(rows, entry.second); })) return e;
  }
  return std::nullopt;
}

struct RunRow {
  std::int64_t theirs = 0;
  RunInfo info;
  std::string hash;
};

Result<std::vector<RunRow>> runs_of(State& state) {
  std::vector<RunRow> out;
  Use rows(*state.db,
           "SELECT id, hash, policy, policy_version, seed, settings FROM run ORDER BY hash");
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return out;
    RunRow run{.theirs = rows.integer(0),
               .info = {.policy = rows.text(2),
                        .policy_version = rows.text(3),
                        .seed = rows.text(4),
                        .settings = {}},
               .hash = rows.text(1)};
    auto settings = schemas::parse_json(rows.view(5));
    if (!settings.ok())
      return state.db->damaged("run " + run.hash + ": " + settings.error().message);
    run.info.settings = *std::move(settings);
    for (const auto* text : {&run.info.policy, &run.info.policy_version, &run.info.seed})
      if (!is_valid_utf8(*text)) return state.db->damaged("run " + run.hash + " is not UTF-8");
    if (Store::run_id(run.info) != run.hash)
      return state.db->damaged("run " + run.hash + " has another content than its hash says");
    out.push_back(std::move(run));
  }
}

struct EpisodeAt {
  std::int64_t id = 0;
  std::string task;
  std::int64_t sample = 0;
};

Result<std::vector<EpisodeAt>> episodes_of(State& state, std::int64_t run) {
  std::vector<EpisodeAt> out;
  Use rows(*state.db,
           "SELECT x.id, t.hash, x.sample FROM episode x JOIN task t ON t.id = x.task WHERE x.run "
           "= ? ORDER BY x.id");
  rows.bind(run);
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return out;
    out.push_back({.id = rows.integer(0), .task = rows.text(1), .sample = rows.integer(2)});
  }
}

struct Kept {
  std::int64_t id = 0;
  std::string hash;
  std::optional<std::string> verdict;
};

Result<Kept> stored_under(Db& db, const EpisodeRow& key) {
  Use find(db, "SELECT id, hash, verdict FROM episode WHERE run = ? AND task = ? AND sample = ?");
  SEEDBED_TRY(const bool found, find.bind(key.run).bind(key.task).bind(key.sample).step());
  if (!found) return Kept{};
  Kept out{.id = find.integer(0), .hash = find.text(1), .verdict = {}};
  if (!find.is_null(2)) out.verdict = find.text(2);
  return out;
}

// Whether the verdict of `row` replaces that of the same episode stored here.
bool takes_verdict(const EpisodeRow& row, const Kept& kept) {
  return row.verdict && (!kept.verdict || *row.verdict < *kept.verdict);
}

Step absorb_episode(
    State& ours, State& theirs, const RunRow& run, std::int64_t our_run, const EpisodeAt& at) {
  SEEDBED_TRY(auto row, theirs.read_episode(at.id));
  SEEDBED_TRY(const auto checked, theirs.decode_episode(row, run.hash));
  if (checked.trajectory.task_id != at.task || checked.trajectory.sample != at.sample)
    return theirs.db->damaged("episode " + row.hash + " is stored under another key");
  row.run = our_run;
  row.solved = checked.trajectory.verdict.solved;
  row.score = checked.trajectory.verdict.score;
  row.tool_calls = static_cast<std::int64_t>(checked.evidence.calls.size());
  SEEDBED_TRY(row.task, ours.row_of("task", at.task));
  if (row.task == 0)
    return theirs.db->damaged("episode " + row.hash + " belongs to a task that is not there");
  SEEDBED_TRY(const auto kept, stored_under(*ours.db, row));
  if (kept.id != 0 && kept.hash < row.hash) return std::nullopt;
  if (kept.hash == row.hash) {
    if (!takes_verdict(row, kept)) return std::nullopt;
    return ours.record([&] {
      return Use(*ours.db, "UPDATE episode SET verdict = ?, solved = ?, score = ? WHERE id = ?")
          .bind(*row.verdict)
          .bind(row.solved)
          .bind(row.score)
          .bind(kept.id)
          .run();
    });
  }
  return ours.record([&]() -> Step {
    if (kept.id != 0)
      if (auto e = Use(*ours.db, "DELETE FROM episode WHERE id = ?").bind(kept.id).run()) return e;
    if (auto e = Use(*ours.db, "DELETE FROM infra_error WHERE run = ? AND task = ? AND sample = ?")
                     .bind(row.run)
                     .bind(row.task)
                     .bind(row.sample)
                     .run())
      return e;
    return ours.write_episode(row);
  });
}

Step absorb_infra_errors(State& ours, State& theirs, std::int64_t their_run, std::int64_t our_run) {
  struct Row {
    std::string task, why;
    std::int64_t sample = 0, count = 0;
  };
  std::vector<Row> rows;
  {
    Use find(*theirs.db,
             "SELECT t.hash, i.why, i.sample, i.count FROM infra_error i JOIN task t ON t.id = "
             "i.task WHERE i.run = ?");
    find.bind(their_run);
    for (;;) {
      SEEDBED_TRY(const bool row, find.step());
      if (!row) break;
      rows.push_back({.task = find.text(0),
                      .why = find.text(1),
                      .sample = find.integer(2),
                      .count = find.integer(3)});
    }
  }
  for (const auto& row : rows) {
    SEEDBED_TRY(const std::int64_t task, ours.row_of("task", row.task));
    const auto write = [&] {
      return Use(*ours.db,
                 "INSERT INTO infra_error (run, task, sample, count, why) SELECT ?1, ?2, ?3, ?4, "
                 "?5 "
                 "WHERE NOT EXISTS (SELECT 1 FROM episode WHERE run = ?1 AND task = ?2 AND sample "
                 "= ?3) "
                 "ON CONFLICT DO UPDATE SET count = max(count, excluded.count), why = min(why, "
                 "excluded.why)")
          .bind(our_run)
          .bind(task)
          .bind(row.sample)
          .bind(row.count)
          .bind(row.why)
          .run();
    };
    if (auto e = ours.record(write)) return e;
  }
  return std::nullopt;
}

Step absorb_runs(Store& store, State& ours, State& theirs) {
  SEEDBED_TRY(const auto runs, runs_of(theirs));
  for (const auto& run : runs) {
    if (auto made = store.begin_run(run.info); !made.ok()) return std::move(made).error();
    SEEDBED_TRY(const std::int64_t our_run, ours.row_of("run", run.hash));
    SEEDBED_TRY(const auto episodes, episodes_of(theirs, run.theirs));
    for (const auto& at : episodes)
      if (auto e = absorb_episode(ours, theirs, run, our_run, at)) return e;
    if (auto e = absorb_infra_errors(ours, theirs, run.theirs, our_run)) return e;
  }
  return std::nullopt;
}

Step same_request(Store& ours,
                  Store& theirs,
                  const std::string& our_path,
                  const std::string& their_path) {
  SEEDBED_TRY(const auto their_request, theirs.request());
  if (!their_request)
    return make_error(Where::store, "store", their_path,
                      "holds no request, a store made by 'seedbed gen' is wanted",
                      "generate into it first");
  SEEDBED_TRY(const auto our_request, ours.request());
  if (!our_request) return ours.set_request(*their_request);
  const std::string difference = request_difference(*our_request, *their_request);
  if (difference.empty()) return std::nullopt;
  return make_error(Where::store, "store", their_path,
                    "it was made by another request, '" + our_path + "' against it: " + difference,
                    "merge only shards of one request");
}

}  // namespace

// One transaction: another store is taken over whole, or not at all.
Step Store::absorb(const std::string& path) {
  SEEDBED_TRY(const auto other, Store::open(path, {.read_only = true}));
  State& ours = *state_;
  State& theirs = *other->state_;
  // One snapshot of the other store, whoever writes to it meanwhile.
  if (auto e = theirs.db->exec("BEGIN", "reading it")) return e;
  if (auto e = ours.commit()) return e;
  ours.holding = true;
  Step failed = same_request(*this, *other, ours.db->path(), path);
  if (!failed) failed = absorb_slots(ours, theirs);
  if (!failed) failed = absorb_runs(*this, ours, theirs);
  if (!failed) failed = absorb_issues(ours, theirs);
  ours.holding = false;
  if (failed) {
    ours.roll_back();
    return failed;
  }
  return select();
}

}  // namespace seedbed::tasks
