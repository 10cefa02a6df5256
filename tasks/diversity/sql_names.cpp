#include "tasks/diversity/sql_names.h"

#include <map>

#include "base/text.h"

namespace seedbed::tasks::diversity {
namespace {

using Tokens = std::vector<std::string>;

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Names (":x" and "a.b" whole), strings as ', other signs one by one.
Tokens tokens_of(std::string_view sql) {
  Tokens out;
  for (std::size_t at = 0; at < sql.size();) {
    const char c = sql[at];
    std::size_t end = at + 1;
    if (c == '\'') {
      while (end < sql.size() &&
             (sql[end] != '\'' || (end + 1 < sql.size() && sql[end + 1] == '\'')))
        end += sql[end] == '\'' ? 2 : 1;
      out.emplace_back("'");
      at = end + 1;
    } else if (is_name(c) || c == ':' || c == '"') {
      while (end < sql.size() && (is_name(sql[end]) || sql[end] == '.' || sql[end] == '"')) ++end;
      std::string name;
      for (const char x : sql.substr(at, end - at))
        if (x != '"') name += x;
      out.push_back(std::move(name));
      at = end;
    } else {
      if (static_cast<unsigned char>(c) > ' ') out.emplace_back(1, c);
      ++at;
    }
  }
  return out;
}

bool is_keyword(const std::string& token) {
  static const std::set<std::string, std::less<>> words = {
      "select", "from",  "where",   "join",   "on",        "order",  "by",     "group",
      "limit",  "as",    "left",    "inner",  "cross",     "set",    "and",    "or",
      "not",    "union", "all",     "having", "values",    "offset", "case",   "when",
      "then",   "else",  "end",     "is",     "null",      "in",     "exists", "distinct",
      "asc",    "desc",  "between", "like",   "intersect", "except"};
  return words.contains(lower_ascii(token));
}

struct Reader {
  const Tokens& t;
  SqlNames& out;
  // Tables in sight, the innermost scope last: alias -> table, and the first table of the scope.
  struct Scope {
    std::map<std::string, std::string> alias;
    std::string first;
  };
  std::vector<Scope> scopes;

  [[nodiscard]] bool is(std::size_t i, const char* word) const {
    return i < t.size() && lower_ascii(t[i]) == word;
  }
  // The tables that the SELECT, UPDATE or DELETE at `i` names at its own depth.
  [[nodiscard]] Scope scope_at(std::size_t i) {
    Scope scope;
    int depth = 0;
    for (; i < t.size() && depth >= 0; ++i) {
      if (t[i] == "(") ++depth;
      if (t[i] == ")") --depth;
      if (depth != 0 || !(is(i, "from") || is(i, "join") || is(i, "update") || is(i, "into")))
        continue;
      if (i + 1 >= t.size() || t[i + 1] == "(") continue;
      const std::string& table = t[i + 1];
      const std::size_t alias = is(i + 2, "as") ? i + 3 : i + 2;
      if (scope.first.empty()) scope.first = table;
      scope.alias[table] = table;
      if (alias < t.size() && is_name(t[alias][0]) && !is_keyword(t[alias]))
        scope.alias[t[alias]] = table;
    }
    return scope;
  }
  // "view.column", ":name", or "" for what is neither.
  [[nodiscard]] std::string resolved(const std::string& token) const {
    if (token.empty() || token == "'" || is_keyword(token)) return "";
    if (token[0] == ':') return token;
    if (!is_name(token[0]) || (token[0] >= '0' && token[0] <= '9')) return "";
    const auto dot = token.find('.');
    if (dot == std::string::npos)
      return scopes.empty() || scopes.back().first.empty() ? "" : scopes.back().first + "." + token;
    for (auto s = scopes.rbegin(); s != scopes.rend(); ++s)
      if (const auto at = s->alias.find(token.substr(0, dot)); at != s->alias.end())
        return at->second + token.substr(dot);
    return "";
  }
  // (SELECT column FROM view ...) at `i`, the column; the scope is its own.
  [[nodiscard]] std::string subquery_column(std::size_t i) {
    if (!is(i, "(") || !is(i + 1, "select") || !is(i + 3, "from")) return "";
    scopes.push_back(scope_at(i + 1));
    auto column = resolved(t[i + 2]);
    scopes.pop_back();
    return column;
  }
  void equality(std::size_t i) {
    if (i == 0 || i + 1 >= t.size()) return;
    const std::string& before = t[i - 1];
    if (before == "<" || before == ">" || before == "!" || t[i + 1] == "=") return;
    const auto left = resolved(before);
    auto right = t[i + 1] == "(" ? subquery_column(i + 1) : resolved(t[i + 1]);
    if (!left.empty() && !right.empty()) out.equal.emplace_back(left, std::move(right));
  }
  void tables(std::size_t i) {
    if (i + 1 >= t.size() || t[i + 1] == "(") return;
    const bool deletes = is(i, "from") && i > 0 && is(i - 1, "delete");
    if (is(i, "into") || is(i, "update") || deletes)
      out.written.insert(t[i + 1]);
    else if (is(i, "from") || is(i, "join"))
      out.read.insert(t[i + 1]);
  }
  // Result columns of the outermost SELECT.
  void results() {
    if (!is(0, "select")) return;
    int depth = 0;
    std::size_t begin = 1;
    for (std::size_t i = 1; i <= t.size(); ++i) {
      const bool ends =
          i == t.size() || (depth == 0 && (t[i] == "," || is(i, "from") || is(i, "where")));
      if (ends) {
        ++out.width;
        std::string column = subquery_column(begin);
        if (column.empty() && begin < t.size() && (i == begin + 1 || is(begin + 1, "as")))
          column = resolved(t[begin]);
        if (!column.empty() && column[0] != ':') out.columns.push_back(std::move(column));
        begin = i + 1;
        if (i == t.size() || t[i] != ",") return;
      } else if (t[i] == "(") {
        ++depth;
      } else if (t[i] == ")") {
        --depth;
      }
    }
  }
  void run() {
    scopes.push_back(scope_at(0));
    results();
    for (std::size_t i = 0; i < t.size(); ++i) {
      if (t[i] == "(") scopes.push_back(is(i + 1, "select") ? scope_at(i + 1) : scopes.back());
      if (t[i] == ")" && scopes.size() > 1) scopes.pop_back();
      if (t[i] == "=") equality(i);
      tables(i);
    }
  }
};

}  // namespace

SqlNames sql_names(std::string_view sql) {
  const Tokens tokens = tokens_of(sql);
  SqlNames out;
  Reader{tokens, out, {}}.run();
  return out;
}

}  // namespace seedbed::tasks::diversity
