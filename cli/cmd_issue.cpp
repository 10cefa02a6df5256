#include <algorithm>

#include "base/text.h"
#include "cli/common.h"
#include "schemas/value.h"

namespace seedbed::cli {
namespace {

using schemas::Value;
using tasks::Issue;

struct Asked {
  std::string title, resolution, author = "user", as = "resolved";
  bool all = false;
};

Error usage(const std::string& at, const std::string& found, const std::string& todo) {
  return make_error(Where::usage, "seedbed issue", at, found, todo);
}

Value to_json(const Issue& issue) {
  Value row = Value::object();
  row.set("id", issue.id)
      .set("task", issue.task_id)
      .set("status", tasks::name_of(issue.status))
      .set("author", issue.author)
      .set("title", issue.title)
      .set("resolution", issue.resolution);
  return row;
}

// The id that the person meant, of the kind that is wanted.
Result<std::string> id_of(tasks::Store& store, const std::string& prefix, const char* kind) {
  SEEDBED_TRY(const auto found, store.resolve(prefix));
  if (found.first != kind)
    return usage(prefix, "is the id of an " + found.first + ", wanted that of a " + kind,
                 std::string("give the id of a ") + kind);
  return found.second;
}

Result<int> list(Context& context, tasks::Store& store, const Asked& asked) {
  SEEDBED_TRY(const auto issues, store.issues());
  Table table{{"issue", "task", "status", "by", "what is wrong", "resolution"}, {}};
  Value rows = Value::array();
  for (const auto& issue : issues) {
    if (issue.status != Issue::Status::open && !asked.all) continue;
    table.rows.push_back({issue.id.substr(0, 12), issue.task_id.substr(0, 12),
                          std::string(tasks::name_of(issue.status)), issue.author, issue.title,
                          issue.resolution});
    rows.push(to_json(issue));
  }
  if (table.rows.empty())
    context.out.line(asked.all ? "no issues" : "no open issues");
  else
    context.out.table(table);
  Value out = Value::object();
  out.set("issues", std::move(rows));
  context.out.object(out);
  return 0;
}

Result<int> add(Context& context, tasks::Store& store, const Words& words, const Asked& asked) {
  if (words.size() != 2)
    return usage("add", std::to_string(words.size() - 1) + " ids, wanted that of one task",
                 "seedbed issue STORE add TASK --title TEXT");
  SEEDBED_TRY(const auto task, id_of(store, words[1], "task"));
  SEEDBED_TRY(const auto id, store.add_issue(task, asked.title, asked.author));
  context.out.line("issue " + id + " of task " + task);
  Value out = Value::object();
  out.set("id", id).set("task", task);
  context.out.object(out);
  return 0;
}

Result<int> resolve(Context& context, tasks::Store& store, const Words& words, const Asked& asked) {
  if (words.size() != 2)
    return usage("resolve", std::to_string(words.size() - 1) + " ids, wanted that of one issue",
                 "seedbed issue STORE resolve ISSUE --resolution TEXT");
  SEEDBED_TRY(const auto id, id_of(store, words[1], "issue"));
  const auto names = enum_names(Issue::Status::open);
  const auto status =
      static_cast<Issue::Status>(std::find(names.begin(), names.end(), asked.as) - names.begin());
  if (auto error = store.set_issue(id, status, asked.resolution)) return *std::move(error);
  context.out.line("issue " + id + " is " + asked.as);
  Value out = Value::object();
  out.set("id", id).set("status", asked.as);
  context.out.object(out);
  return 0;
}

}  // namespace

Result<int> cmd_issue(Context& context, const Words& words) {
  std::string path;
  std::vector<std::string> action;
  Asked asked;
  Common common;
  Options options("issue", "add, list or resolve what is known to be wrong with a store's tasks",
                  "seedbed issue a.db add 3f2a --title 'two persons fit the description'");
  options.operand("STORE", path, "the store");
  options.operands("ACTION", action, 1, "add TASK | list | resolve ISSUE");
  options.text("--title", asked.title, "TEXT", "add: what is wrong, in a line");
  options.choice("--by", asked.author, {"user", "program"}, "add: who found it");
  options.flag("--all", asked.all, "list: closed ones too");
  options.choice("--as", asked.as, {"resolved", "wont_fix", "open"}, "resolve: what it becomes");
  options.text("--resolution", asked.resolution, "TEXT", "resolve: what was done, in a line");
  store_options(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);

  if (action[0] == "list") {
    SEEDBED_TRY(auto store, open_reader(path, common));
    return list(context, *store, asked);
  }
  if (action[0] != "add" && action[0] != "resolve") {
    const auto near = nearest(action[0], {"add", "list", "resolve"});
    return usage(action[0], "unknown action; there are add, list, resolve",
                 near.empty() ? "name one of them" : "did you mean '" + near + "'?");
  }
  SEEDBED_TRY(auto store, open_store(path, common));
  auto done = action[0] == "add" ? add(context, *store, action, asked)
                                 : resolve(context, *store, action, asked);
  if (!done.ok()) return done.error();
  if (auto error = close_store(std::move(store))) return *std::move(error);
  return *done;
}

}  // namespace seedbed::cli
