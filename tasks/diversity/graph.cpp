#include "tasks/diversity/graph.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/hash.h"

namespace seedbed::tasks::diversity {
namespace {

constexpr int kMaxOrders = 512;
constexpr int kWlRounds = 3;

using Colours = std::vector<std::size_t>;
using Edges = std::vector<std::pair<std::size_t, std::size_t>>;

Edges unique_edges(const Graph& graph) {
  Edges out = graph.edges;
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

struct Search {
  const Graph& g;
  Edges edges;
  std::string best;
  int orders = 0;

  // Colours become ranks of what is seen from a vertex, so they do not depend on its number.
  void refine(Colours& colours) const {
    for (std::size_t count = 0;;) {
      using Seen = std::tuple<std::size_t, std::vector<std::size_t>, std::vector<std::size_t>>;
      std::vector<Seen> seen(colours.size());
      for (std::size_t v = 0; v < colours.size(); ++v) std::get<0>(seen[v]) = colours[v];
      for (const auto& [from, to] : edges) {
        std::get<1>(seen[from]).push_back(colours[to]);
        std::get<2>(seen[to]).push_back(colours[from]);
      }
      std::map<Seen, std::size_t> rank;
      for (auto& s : seen) {
        std::sort(std::get<1>(s).begin(), std::get<1>(s).end());
        std::sort(std::get<2>(s).begin(), std::get<2>(s).end());
        rank.emplace(s, 0);
      }
      std::size_t next = 0;
      for (auto& [key, value] : rank) value = next++;
      for (std::size_t v = 0; v < colours.size(); ++v) colours[v] = rank[seen[v]];
      if (rank.size() == count) return;
      count = rank.size();
    }
  }
  [[nodiscard]] std::string written(const Colours& colours) const {
    std::vector<std::string> vertices(colours.size());
    for (std::size_t v = 0; v < colours.size(); ++v)
      vertices[v] = std::to_string(colours[v]) + g.labels[v];
    std::sort(vertices.begin(), vertices.end());
    Edges named;
    for (const auto& [from, to] : edges) named.emplace_back(colours[from], colours[to]);
    std::sort(named.begin(), named.end());
    std::string out;
    for (const auto& v : vertices) out += v + ";";
    for (const auto& [from, to] : named)
      out += std::to_string(from) + ">" + std::to_string(to) + ";";
    return out;
  }
  // Exchanging them changes nothing: the same neighbours, none of them each other.
  [[nodiscard]] bool twins(std::size_t a, std::size_t b) const {
    const auto around = [&](std::size_t v) {
      std::set<std::pair<bool, std::size_t>> out;
      for (const auto& [from, to] : edges) {
        if (from == v) out.emplace(true, to);
        if (to == v) out.emplace(false, from);
      }
      return out;
    };
    return around(a) == around(b);
  }
  void run(Colours colours) {
    refine(colours);
    std::map<std::size_t, std::vector<std::size_t>> cells;
    for (std::size_t v = 0; v < colours.size(); ++v) cells[colours[v]].push_back(v);
    for (const auto& [colour, cell] : cells) {
      if (cell.size() == 1) continue;
      std::vector<std::size_t> tried;
      for (const auto v : cell) {
        if (std::any_of(tried.begin(), tried.end(), [&](auto t) { return twins(t, v); })) continue;
        tried.push_back(v);
        if (orders > kMaxOrders) return;
        Colours next = colours;
        for (auto& c : next) c = 2 * c + 1;
        --next[v];
        run(std::move(next));
      }
      return;
    }
    ++orders;
    auto text = written(colours);
    if (best.empty() || text < best) best = std::move(text);
  }
};

Colours label_ranks(const Graph& g) {
  const std::set<std::string> labels(g.labels.begin(), g.labels.end());
  Colours out;
  for (const auto& label : g.labels)
    out.push_back(static_cast<std::size_t>(std::distance(labels.begin(), labels.find(label))));
  return out;
}

// Component of each vertex, by mutual reachability.
std::vector<std::vector<bool>> reachability(const Graph& g) {
  const std::size_t n = g.labels.size();
  std::vector<std::vector<bool>> out(n, std::vector<bool>(n, false));
  for (const auto& [from, to] : g.edges) out[from][to] = true;
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; out[i][k] && j < n; ++j)
        if (out[k][j]) out[i][j] = true;
  return out;
}

}  // namespace

std::uint64_t canonical_hash(const Graph& graph) {
  Search search{graph, unique_edges(graph), {}, 0};
  search.run(label_ranks(graph));
  if (search.orders > kMaxOrders) return wl_hash(graph);
  return hash64(search.best, 1);
}

std::uint64_t wl_hash(const Graph& graph) {
  const auto edges = unique_edges(graph);
  std::vector<std::uint64_t> colours;
  for (const auto& label : graph.labels) colours.push_back(hash64(label, 2));
  const auto mixed = [](const std::vector<std::uint64_t>& sorted, std::uint64_t seed) {
    return hash64(std::string_view(reinterpret_cast<const char*>(sorted.data()),
                                   sorted.size() * sizeof(std::uint64_t)),
                  seed);
  };
  for (int round = 0; round < kWlRounds; ++round) {
    std::vector<std::vector<std::uint64_t>> out(colours.size()), in(colours.size());
    for (const auto& [from, to] : edges) {
      out[from].push_back(colours[to]);
      in[to].push_back(colours[from]);
    }
    auto next = colours;
    for (std::size_t v = 0; v < colours.size(); ++v) {
      std::sort(out[v].begin(), out[v].end());
      std::sort(in[v].begin(), in[v].end());
      next[v] = mixed({colours[v], mixed(out[v], 3), mixed(in[v], 4)}, 5);
    }
    colours = std::move(next);
  }
  std::sort(colours.begin(), colours.end());
  return mixed(colours, 6);
}

Extent extent_of(const Graph& graph) {
  const std::size_t n = graph.labels.size();
  if (n == 0) return {};
  const auto reach = reachability(graph);
  const auto same = [&](std::size_t a, std::size_t b) {
    return a == b || (reach[a][b] && reach[b][a]);
  };
  std::vector<std::size_t> heads;  // the first vertex of each component
  for (std::size_t v = 0; v < n; ++v)
    if (std::none_of(heads.begin(), heads.end(), [&](auto h) { return same(h, v); }))
      heads.push_back(v);
  std::map<std::size_t, int> level;  // by head
  bool changed = true;
  for (const auto h : heads) level[h] = 1;
  while (changed) {
    changed = false;
    for (const auto a : heads)
      for (const auto b : heads)
        if (!same(a, b) && reach[a][b] && level[b] < level[a] + 1) {
          level[b] = level[a] + 1;
          changed = true;
        }
  }
  std::map<int, int> at_level;
  Extent out;
  for (const auto& [head, l] : level) {
    out.depth = std::max(out.depth, l);
    out.width = std::max(out.width, ++at_level[l]);
  }
  return out;
}

void reduce(Graph& acyclic) {
  const auto reach = reachability(acyclic);
  auto edges = unique_edges(acyclic);
  acyclic.edges.clear();
  for (const auto& [from, to] : edges) {
    bool implied = false;
    for (std::size_t v = 0; v < acyclic.labels.size() && !implied; ++v)
      implied = v != from && v != to && reach[from][v] && reach[v][to];
    if (!implied) acyclic.edges.emplace_back(from, to);
  }
}

}  // namespace seedbed::tasks::diversity
