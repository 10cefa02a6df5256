// Canonical forms of small labelled directed graphs, and what can be measured on them.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace seedbed::tasks::diversity {

struct Graph {
  std::vector<std::string> labels;                         // by vertex
  std::vector<std::pair<std::size_t, std::size_t>> edges;  // from, to; both below labels.size()
};

// Equal for isomorphic graphs (labels kept), different for others up to hash collisions. Colour
// refinement, then each vertex of a cell that it leaves together is tried as the first; vertices
// with the same neighbours are tried once. Where more than 512 orders would have to be tried, the
// refinement's colours alone are hashed, so that different graphs may be taken for the same, never
// the reverse.
std::uint64_t canonical_hash(const Graph& graph);

// Weisfeiler-Leman: the multiset of colours after three rounds of refinement.
std::uint64_t wl_hash(const Graph& graph);

// The graph of strongly connected components: vertices on its longest path, and the most components
// at one distance (longest path from a source). {0, 0} where the graph is empty.
struct Extent {
  int depth = 0, width = 0;
};
Extent extent_of(const Graph& graph);

// Edges that another path implies taken away. The graph must have no cycle.
void reduce(Graph& acyclic);

}  // namespace seedbed::tasks::diversity
