// The class of a table graph. Colour refinement splits the tables by what they hold and whom they
// refer to; where colours alone do not separate two tables, each is tried as the first of them, and
// the least of the graphs so written down is the canonical form. Two tables that can be exchanged
// without changing the graph (twins) are tried once.
#include <algorithm>
#include <map>
#include <tuple>

#include "base/hash.h"
#include "base/text.h"
#include "envgen/general/sql.h"

namespace seedbed::envgen {
namespace {

constexpr int kMaxLeaves = 4000;  // of the search; met by none of the graphs that layouts make

struct Edge {
  std::size_t from = 0, to = 0;
  std::string label;
  friend auto operator<=>(const Edge&, const Edge&) = default;
};
using Colours = std::vector<std::size_t>;

struct Graph {
  std::vector<std::string> labels;  // by vertex
  std::vector<Edge> edges;
};

Graph graph_of(const std::vector<TableDef>& tables, bool core) {
  Graph g;
  std::vector<std::size_t> vertex(tables.size(), tables.size());
  for (std::size_t i = 0; i < tables.size(); ++i) {
    if (core && (tables[i].extra || tables[i].leaf)) continue;
    vertex[i] = g.labels.size();
    std::vector<std::string> columns;
    for (const auto& c : tables[i].columns)
      if (!c.ref && !(core && c.extra))
        columns.push_back(std::string(c.key ? "key " : "") + (c.text ? "TEXT" : "INTEGER") +
                          (c.nullable ? "?" : ""));
    for (const auto& r : tables[i].refs)
      if (core && !r.extra && tables[r.table].leaf) columns.emplace_back("TEXT");
    std::sort(columns.begin(), columns.end());
    g.labels.push_back(join(columns, ","));
  }
  for (std::size_t i = 0; i < tables.size(); ++i) {
    if (vertex[i] == tables.size()) continue;
    for (const auto& r : tables[i].refs) {
      if ((core && r.extra) || vertex[r.table] == tables.size()) continue;
      g.edges.push_back({vertex[i], vertex[r.table], r.label + (r.nullable ? "?" : "")});
    }
  }
  std::sort(g.edges.begin(), g.edges.end());
  return g;
}

struct Search {
  const Graph& g;
  std::string best;
  int leaves = 0;

  void refine(Colours& colours) const;
  [[nodiscard]] std::string written(const Colours& colours) const;
  [[nodiscard]] bool twins(std::size_t a, std::size_t b) const;
  void run(Colours colours);
};

// Colours are ranks of what is seen from a vertex, so they do not depend on its number.
void Search::refine(Colours& colours) const {
  using Seen = std::tuple<bool, std::string, std::size_t>;
  std::size_t count = 0;
  for (;;) {
    std::vector<std::pair<std::size_t, std::vector<Seen>>> seen(colours.size());
    for (std::size_t v = 0; v < colours.size(); ++v) seen[v].first = colours[v];
    for (const auto& e : g.edges) {
      seen[e.from].second.emplace_back(true, e.label, colours[e.to]);
      seen[e.to].second.emplace_back(false, e.label, colours[e.from]);
    }
    std::map<std::pair<std::size_t, std::vector<Seen>>, std::size_t> rank;
    for (auto& s : seen) {
      std::sort(s.second.begin(), s.second.end());
      rank.emplace(s, 0);
    }
    std::size_t next = 0;
    for (auto& [s, r] : rank) r = next++;
    for (std::size_t v = 0; v < colours.size(); ++v) colours[v] = rank[seen[v]];
    if (rank.size() == count) return;
    count = rank.size();
  }
}

std::string Search::written(const Colours& colours) const {
  std::vector<std::string> labels(colours.size());
  for (std::size_t v = 0; v < colours.size(); ++v) labels[colours[v]] = g.labels[v];
  std::vector<std::string> edges;
  for (const auto& e : g.edges)
    edges.push_back(std::to_string(colours[e.from]) + ">" + std::to_string(colours[e.to]) +
                    e.label);
  std::sort(edges.begin(), edges.end());
  return join(labels, "|") + "#" + join(edges, ";");
}

bool Search::twins(std::size_t a, std::size_t b) const {
  std::vector<Edge> swapped = g.edges;
  const auto other = [&](std::size_t v) { return v == a ? b : v == b ? a : v; };
  for (auto& e : swapped) e = {other(e.from), other(e.to), e.label};
  std::sort(swapped.begin(), swapped.end());
  return swapped == g.edges;
}

void Search::run(Colours colours) {
  refine(colours);
  std::map<std::size_t, std::vector<std::size_t>> cells;
  for (std::size_t v = 0; v < colours.size(); ++v) cells[colours[v]].push_back(v);
  const auto cell =
      std::find_if(cells.begin(), cells.end(), [](const auto& c) { return c.second.size() > 1; });
  if (cell == cells.end()) {
    ++leaves;
    std::string form = written(colours);
    if (best.empty() || form < best) best = std::move(form);
    return;
  }
  std::vector<std::size_t> tried;
  for (const std::size_t v : cell->second) {
    if (leaves >= kMaxLeaves) return;
    if (std::any_of(tried.begin(), tried.end(), [&](std::size_t t) { return twins(t, v); }))
      continue;
    tried.push_back(v);
    Colours next = colours;
    for (auto& c : next) c = 2 * c + 1;
    --next[v];
    run(std::move(next));
  }
}

}  // namespace

std::string class_of_tables(const std::vector<TableDef>& tables, bool core, bool* exact) {
  const Graph g = graph_of(tables, core);
  std::vector<std::string> kinds = g.labels;
  std::sort(kinds.begin(), kinds.end());
  kinds.erase(std::unique(kinds.begin(), kinds.end()), kinds.end());
  Colours colours;
  for (const auto& label : g.labels)
    colours.push_back(static_cast<std::size_t>(std::lower_bound(kinds.begin(), kinds.end(), label) -
                                               kinds.begin()));
  Search search{g, "", 0};
  search.run(std::move(colours));
  if (exact != nullptr) *exact = search.leaves < kMaxLeaves;
  return content_hash(search.best);
}

}  // namespace seedbed::envgen
