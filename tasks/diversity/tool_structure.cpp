// The tools of an environment with names erased.
#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include "base/hash.h"
#include "base/text.h"
#include "tasks/diversity/facts.h"
#include "tasks/diversity/sql_names.h"

namespace seedbed::tasks::diversity {
namespace {

using schemas::Environment;
using schemas::Tool;
using schemas::Value;

std::vector<std::string> required_of(const Tool& tool) {
  std::vector<std::string> out;
  if (const auto* required = tool.input.find("required"); required && required->is_array())
    for (const auto& name : required->items())
      if (name.is_string()) out.push_back(name.as_string());
  return out;
}

// Types of the arguments, "!" where required, "e" where a list of words is given.
std::vector<std::string> argument_types(const Tool& tool) {
  std::vector<std::string> out;
  const auto* properties = tool.input.find("properties");
  if (properties == nullptr || !properties->is_object()) return out;
  const auto required = required_of(tool);
  for (const auto& [name, schema] : properties->members()) {
    const bool must = std::find(required.begin(), required.end(), name) != required.end();
    out.push_back(schema.text("type") + (schema.find("enum") ? "e" : "") + (must ? "!" : ""));
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Every piece of SQL of a tool; the result last.
std::vector<const std::string*> sql_of(const Tool& tool) {
  std::vector<const std::string*> out;
  for (const auto& step : tool.program.steps) {
    for (const auto* sql : {&step.sql, &step.require, &step.run, &step.each})
      if (*sql) out.push_back(&**sql);
    if (step.body)
      for (const auto& sql : *step.body) out.push_back(&sql);
  }
  out.push_back(&tool.program.result);
  return out;
}

// Views stand for the tables that they read.
struct Tables {
  std::map<std::string, std::vector<std::string>, std::less<>> of_view;
  explicit Tables(const Environment& env) {
    for (const auto& view : env.views) of_view[view.view] = view.tables;
  }
  void add(const std::set<std::string>& names, std::set<std::string>& out) const {
    for (const auto& name : names) {
      const auto at = of_view.find(name);
      if (at == of_view.end())
        out.insert(name);
      else
        out.insert(at->second.begin(), at->second.end());
    }
  }
};

struct UnionFind {
  std::map<std::string, std::string, std::less<>> parent;
  std::string root(const std::string& x) {
    auto at = parent.find(x);
    if (at == parent.end()) return parent.emplace(x, x).first->second;
    if (at->second == x) return x;
    auto r = root(std::string(at->second));
    parent[x] = r;
    return r;
  }
  void join(const std::string& a, const std::string& b) {
    const auto x = root(a), y = root(b);
    if (x != y) parent[std::max(x, y)] = std::min(x, y);
  }
};

// An argument of one name means the same in every tool ("garden_friend_id"), but not what a step
// binds, nor what a find compares with a column of that name ("name").
std::string scoped(const Tool& tool,
                   std::size_t number,
                   const std::string& symbol,
                   const std::string& other) {
  if (symbol[0] != ':') return symbol;
  const auto* properties = tool.input.find("properties");
  const bool argument = properties != nullptr && properties->find(symbol.substr(1)) != nullptr;
  const auto dot = other.rfind('.');
  const bool own = role_of(tool) == Role::find && dot != std::string::npos &&
                   other.substr(dot + 1) == symbol.substr(1);
  return argument && !own ? symbol : symbol + "#" + std::to_string(number);
}

}  // namespace

std::string_view name_of(Role role) {
  constexpr std::array<std::string_view, 5> kNames = {"read", "list", "find", "query", "write"};
  return kNames[static_cast<std::size_t>(role)];
}

Role role_of(const Tool& tool) {
  for (const auto& step : tool.program.steps)
    if (step.run || step.each) return Role::write;
  const bool must = !required_of(tool).empty();
  if (tool.program.shape == schemas::Shape::rows)
    return tool.program.page_size || !must ? Role::list : Role::find;
  return must ? Role::read : Role::query;
}

std::map<std::string, Role, std::less<>> roles_of(const Environment& env) {
  std::map<std::string, Role, std::less<>> out;
  for (const auto& tool : env.tools) out[tool.name] = role_of(tool);
  return out;
}

std::uint64_t tool_signature(const Environment& env) {
  const Tables tables(env);
  // Tools and tables are the vertices: tool -> table written, table read -> tool.
  Graph g;
  std::map<std::string, std::size_t> vertex;
  const auto table = [&](const std::string& name) {
    const auto [at, fresh] = vertex.emplace(name, g.labels.size());
    if (fresh) g.labels.emplace_back("table");
    return at->second;
  };
  for (const auto& tool : env.tools) {
    std::set<std::string> read, written;
    int width = 0;
    for (const auto* sql : sql_of(tool)) {
      const auto names = sql_names(*sql);
      tables.add(names.read, read);
      tables.add(names.written, written);
      width = names.width;
    }
    const std::size_t self = g.labels.size();
    g.labels.push_back(std::string(name_of(role_of(tool))) + "(" + join(argument_types(tool), ",") +
                       ")" + (tool.program.shape == schemas::Shape::rows ? "rows" : "object") +
                       std::to_string(width) + (tool.program.page_size ? "paged" : ""));
    for (const auto& name : read) g.edges.emplace_back(table(name), self);
    for (const auto& name : written) g.edges.emplace_back(self, table(name));
  }
  return wl_hash(g);
}

Graph dependency_graph(const Environment& env) {
  UnionFind kinds;
  std::vector<std::vector<std::string>> results(env.tools.size());
  for (std::size_t i = 0; i < env.tools.size(); ++i)
    for (const auto* sql : sql_of(env.tools[i])) {
      auto names = sql_names(*sql);
      for (const auto& [a, b] : names.equal)
        kinds.join(scoped(env.tools[i], i, a, b), scoped(env.tools[i], i, b, a));
      results[i] = std::move(names.columns);  // of the last: the result
    }
  Graph g;
  std::vector<std::set<std::string>> gives(env.tools.size()), takes(env.tools.size());
  for (std::size_t i = 0; i < env.tools.size(); ++i) {
    const Tool& tool = env.tools[i];
    g.labels.emplace_back(name_of(role_of(tool)));
    for (const auto& column : results[i]) gives[i].insert(kinds.root(column));
    const auto* properties = tool.input.find("properties");
    if (properties == nullptr || !properties->is_object()) continue;
    for (const auto& [name, schema] : properties->members()) {
      if (schema.find("enum") != nullptr) continue;
      takes[i].insert(kinds.root(":" + name));
      takes[i].insert(kinds.root(":" + name + "#" + std::to_string(i)));
    }
  }
  for (std::size_t from = 0; from < gives.size(); ++from)
    for (std::size_t to = 0; to < takes.size(); ++to)
      if (from != to && std::any_of(takes[to].begin(), takes[to].end(),
                                    [&](const auto& kind) { return gives[from].contains(kind); }))
        g.edges.emplace_back(from, to);
  return g;
}

}  // namespace seedbed::tasks::diversity
