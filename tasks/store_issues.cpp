// The ledger of issues: what is known to be wrong with a task, kept with the data.
#include <map>
#include <tuple>

#include "base/hash.h"
#include "base/text.h"
#include "tasks/store_state.h"

namespace seedbed::tasks {
namespace {

constexpr std::size_t kMaxText = 1'000;  // bytes of a title or a resolution

Error refused(const std::string& at, const std::string& found, const char* todo) {
  return make_error(Where::usage, "issue", at, found, todo);
}

Step check_text(const std::string& what, const std::string& text, bool may_be_empty) {
  if (text.empty() && !may_be_empty)
    return refused(what, "is empty, wanted a line", "say what it is");
  if (text.size() > kMaxText)
    return refused(what, std::to_string(text.size()) + " bytes, wanted at most 1000", "shorten it");
  if (!is_valid_utf8(text) || text.find('\n') != std::string::npos)
    return refused(what, "is not one line of UTF-8", "write it as one line");
  return std::nullopt;
}

std::string issue_id(const std::string& task_id,
                     const std::string& title,
                     const std::string& author) {
  return content_hash("issue\n" + task_id + "\n" + title + "\n" + author);
}

Result<Issue::Status> status_of(Db& db, std::string_view text) {
  const auto names = enum_names(Issue::Status::open);
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == text) return static_cast<Issue::Status>(i);
  return db.damaged("an issue has a status that there is not");
}

constexpr std::string_view kAll =
    "SELECT i.hash, t.hash, i.title, i.author, i.status, i.resolution, i.revision FROM issue i "
    "JOIN "
    "task t ON t.id = i.task JOIN environment e ON e.id = t.environment ORDER BY e.slot, t.number, "
    "i.hash";

Result<std::vector<Issue>> read_all(Db& db) {
  std::vector<Issue> out;
  Use rows(db, kAll);
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return out;
    Issue issue{.id = rows.text(0),
                .task_id = rows.text(1),
                .title = rows.text(2),
                .author = rows.text(3),
                .status = Issue::Status::open,
                .resolution = rows.text(5),
                .revision = rows.integer(6)};
    SEEDBED_TRY(issue.status, status_of(db, rows.view(4)));
    if (check_text("title", issue.title, false) ||
        check_text("resolution", issue.resolution, true) ||
        issue.id != issue_id(issue.task_id, issue.title, issue.author))
      return db.damaged("issue " + issue.id + " has another content than its hash says");
    out.push_back(std::move(issue));
  }
}

Step write(Store::State& state, const Issue& issue) {
  SEEDBED_TRY(const std::int64_t task, state.row_of("task", issue.task_id));
  if (task == 0) return refused(issue.task_id, "is no task of this store", "name one that is");
  return state.record([&] {
    return Use(*state.db,
               "INSERT INTO issue (hash, task, title, author, status, resolution, revision) VALUES "
               "(?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO UPDATE SET status = excluded.status, "
               "resolution = excluded.resolution, revision = excluded.revision")
        .bind(issue.id)
        .bind(task)
        .bind(issue.title)
        .bind(issue.author)
        .bind(name_of(issue.status))
        .bind(issue.resolution)
        .bind(issue.revision)
        .run();
  });
}

bool is_later(const Issue& a, const Issue& b) {
  return std::tuple(a.revision, a.status, std::string_view(a.resolution)) >
         std::tuple(b.revision, b.status, std::string_view(b.resolution));
}

}  // namespace

Result<std::string> Store::add_issue(const std::string& task_id,
                                     const std::string& title,
                                     const std::string& author) {
  if (auto e = check_text("title", title, false)) return *std::move(e);
  if (author != "user" && author != "program")
    return refused("author", "'" + author + "', wanted user or program", "name one of them");
  const Issue issue{
      .id = issue_id(task_id, title, author), .task_id = task_id, .title = title, .author = author};
  SEEDBED_TRY(const std::int64_t known, state_->row_of("issue", issue.id));
  if (known == 0)
    if (auto e = write(*state_, issue)) return *std::move(e);
  return issue.id;
}

Step Store::set_issue(const std::string& id, Issue::Status status, const std::string& resolution) {
  if (auto e = check_text("resolution", resolution, true)) return e;
  SEEDBED_TRY(auto all, read_all(*state_->db));
  for (auto& issue : all) {
    if (issue.id != id) continue;
    if (issue.status == status && issue.resolution == resolution) return std::nullopt;
    issue.status = status;
    issue.resolution = resolution;
    ++issue.revision;
    return write(*state_, issue);
  }
  return refused(id, "is no issue of this store", "'seedbed issue STORE list' lists them");
}

Result<std::vector<Issue>> Store::issues() {
  return read_all(*state_->db);
}

Result<std::set<std::string>> Store::tasks_with_open_issues() {
  SEEDBED_TRY(const auto all, read_all(*state_->db));
  std::set<std::string> out;
  for (const auto& issue : all)
    if (issue.status == Issue::Status::open) out.insert(issue.task_id);
  return out;
}

Step absorb_issues(Store::State& ours, Store::State& theirs) {
  SEEDBED_TRY(const auto mine, read_all(*ours.db));
  SEEDBED_TRY(const auto other, read_all(*theirs.db));
  std::map<std::string, const Issue*> known;
  for (const auto& issue : mine) known.emplace(issue.id, &issue);
  for (const auto& issue : other) {
    const auto at = known.find(issue.id);
    if (at != known.end() && !is_later(issue, *at->second)) continue;
    if (auto e = write(ours, issue)) return e;
  }
  return std::nullopt;
}

}  // namespace seedbed::tasks
