// The store as a whole: digests, counts, selection, ids that people type.
#include <algorithm>

#include "base/hash.h"
#include "base/text.h"
#include "tasks/selection.h"
#include "tasks/store_state.h"

namespace seedbed::tasks {
namespace {

constexpr std::size_t kNamedCandidates = 5;

// A hash over any number of lines in constant memory.
class Chain {
 public:
  void add(const std::string& line) { hash_ = content_hash(hash_ + line + "\n"); }
  [[nodiscard]] const std::string& hash() const { return hash_; }

 private:
  std::string hash_ = content_hash("");
};

Result<std::vector<SelectionEnvironment>> candidates(Db& db) {
  std::vector<SelectionEnvironment> set;
  Use rows(db,
           "SELECT e.hash, e.slot, e.schema_class, e.core_schema_class, t.hash, t.number, "
           "t.masked_skeleton "
           "FROM environment e LEFT JOIN task t ON t.environment = e.id ORDER BY e.slot, t.number");
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return set;
    if (set.empty() || set.back().id != rows.view(0))
      set.push_back({.id = rows.text(0),
                     .slot = rows.integer(1),
                     .schema_class = rows.text(2),
                     .core_schema_class = rows.text(3),
                     .tasks = {}});
    if (!rows.is_null(4))
      set.back().tasks.push_back(
          {.id = rows.text(4), .number = rows.integer(5), .masked_skeleton = rows.text(6)});
  }
}

Step write_selection(Db& db, const std::vector<SelectionEnvironment>& set) {
  if (auto e = Use(db, "UPDATE task SET selected = 0 WHERE selected <> 0").run()) return e;
  if (auto e = Use(db, "UPDATE environment SET selected = 0 WHERE selected <> 0").run()) return e;
  for (const auto& env : set) {
    if (!env.selected) continue;
    if (auto e = Use(db, "UPDATE environment SET selected = 1 WHERE hash = ?").bind(env.id).run())
      return e;
    for (const auto& task : env.tasks)
      if (task.selected)
        if (auto e = Use(db, "UPDATE task SET selected = 1 WHERE hash = ?").bind(task.id).run())
          return e;
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> Store::content_digest() {
  Chain chain;
  Use rows(*state_->db,
           "SELECT e.hash, t.hash, t.certificate_hash FROM task t JOIN environment e ON e.id = "
           "t.environment "
           "WHERE t.selected = 1 ORDER BY e.hash, t.hash, t.certificate_hash");
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return chain.hash();
    chain.add(rows.text(0) + " " + rows.text(1) + " " + rows.text(2));
  }
}

Result<std::string> Store::runs_digest() {
  Chain chain;
  Use rows(*state_->db,
           "SELECT r.hash, t.hash, x.sample, x.hash, x.verdict FROM episode x JOIN run r ON r.id = "
           "x.run JOIN task t ON t.id = x.task "
           "WHERE t.selected = 1 ORDER BY r.hash, t.hash, x.sample");
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return chain.hash();
    const std::string verdict = rows.is_null(4) ? "" : content_hash(rows.view(4));
    chain.add(rows.text(0) + " " + rows.text(1) + " " + std::to_string(rows.integer(2)) + " " +
              rows.text(3) + " " + verdict);
  }
}

Result<schemas::Value> Store::counts() {
  struct Count {
    const char* name;
    std::string_view sql;
  };
  static constexpr Count kCounts[] = {
      {"slots", "SELECT count(*) FROM slot"},
      {"environments", "SELECT count(*) FROM environment WHERE selected = 1"},
      {"tasks", "SELECT count(*) FROM task WHERE selected = 1"},
      {"environments_stored", "SELECT count(*) FROM environment"},
      {"tasks_stored", "SELECT count(*) FROM task"},
      {"rejected", "SELECT coalesce(sum(count), 0) FROM rejection"},
      {"runs", "SELECT count(*) FROM run"},
      {"episodes",
       "SELECT count(*) FROM episode x JOIN task t ON t.id = x.task WHERE t.selected = 1"},
      {"episodes_stored", "SELECT count(*) FROM episode"},
      {"infra_errors", "SELECT count(*) FROM infra_error"},
      {"issues", "SELECT count(*) FROM issue"},
      {"issues_open", "SELECT count(*) FROM issue WHERE status = 'open'"},
      {"blobs", "SELECT count(*) FROM blob"},
  };
  schemas::Value out = schemas::Value::object();
  for (const auto& count : kCounts) {
    SEEDBED_TRY(const std::int64_t n, state_->number(count.sql));
    out.set(count.name, n);
  }
  return out;
}

Step Store::select() {
  SEEDBED_TRY(const auto asked, request());
  if (!asked)
    return make_error(Where::store, "store", state_->db->path(),
                      "holds no request, selection needs its counts", "generate into it first");
  if (auto e = state_->commit()) return e;
  SEEDBED_TRY(auto set, candidates(*state_->db));
  tasks::select(set, {.envs = asked->envs,
                      .tasks_per_env = asked->tasks_per_env,
                      .written = asked->family == schemas::kServerFamily});
  if (auto e = state_->begin()) return e;
  if (auto e = write_selection(*state_->db, set)) return state_->fail(*std::move(e));
  return state_->commit();
}

Result<std::pair<std::string, std::string>> Store::resolve(const std::string& prefix) {
  const std::string low = lower_ascii(prefix);
  const auto refused = [&](const std::string& found, std::string_view todo) {
    return make_error(Where::usage, "id", prefix, found, todo);
  };
  const bool hex = !low.empty() && low.size() <= 32 &&
                   low.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hex)
    return refused("not an id: 1 to 32 hex digits are wanted",
                   "'seedbed show STORE' lists the ids");
  const std::string end = low + "g";  // after every hash that begins with the prefix
  std::vector<std::pair<std::string, std::string>> found;
  Use rows(
      *state_->db,
      "SELECT * FROM (SELECT 'environment', hash FROM environment WHERE hash >= ?1 AND hash < ?2 "
      "LIMIT 6) UNION ALL "
      "SELECT * FROM (SELECT 'task', hash FROM task WHERE hash >= ?1 AND hash < ?2 LIMIT 6) UNION "
      "ALL "
      "SELECT * FROM (SELECT 'episode', hash FROM episode WHERE hash >= ?1 AND hash < ?2 LIMIT 6) "
      "UNION ALL "
      "SELECT * FROM (SELECT 'issue', hash FROM issue WHERE hash >= ?1 AND hash < ?2 LIMIT 6)");
  rows.bind(low).bind(end);
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) break;
    found.emplace_back(rows.text(0), rows.text(1));
  }
  if (found.empty())
    return refused("nothing in '" + state_->db->path() + "' has an id that begins so",
                   "'seedbed show STORE' lists the ids");
  if (found.size() == 1) return found[0];
  std::string list;
  for (std::size_t i = 0; i < found.size() && i < kNamedCandidates; ++i)
    list += (i == 0 ? "" : ", ") + found[i].first + " " + found[i].second;
  if (found.size() > kNamedCandidates) list += " and more";
  return refused("ambiguous: " + list, "give more digits");
}

}  // namespace seedbed::tasks
