// Surfaces of few tools: every concept has one tool that reads it, and what else there is room for.
#include <algorithm>

#include "envgen/general/surface_build.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

// One tool more. Those of low rank come first.
struct Extra {
  enum class Kind : std::uint8_t { find, list, derived, projection, query, recent };
  Kind kind = Kind::find;
  int which = -1;  // concept; query: of World::reads
  std::uint64_t rank = 0;
};

constexpr std::uint64_t kRanks = 100, kLater = 40;
constexpr std::size_t kFewQueries = 2;

bool derives(const World& world, int c) {
  return std::any_of(world.derived.begin(), world.derived.end(),
                     [&](const Derived& d) { return d.over == c; });
}

// One tool for each concept: what is derived only a find shows.
void read_once(Builder& b, Rng rng) {
  for (int c = 0; c < static_cast<int>(b.world.concepts.size()); ++c) {
    b.derivable[at(c)] = false;
    if (!b.world.concepts[at(c)].named()) continue;
    const bool find = rng.chance(1, 2) || derives(b.world, c);
    b.findable[at(c)] = find;
    b.listable[at(c)] = !find;
  }
}

std::vector<Extra> extras(const Builder& b, const std::vector<bool>& projected, Rng rng) {
  using Kind = Extra::Kind;
  std::vector<Extra> out;
  const auto add = [&](Kind kind, int which, bool later) {
    out.push_back({kind, which, rng.below(kRanks) + (later ? kLater : 0)});
  };
  const int n = static_cast<int>(b.world.concepts.size());
  for (int c = 0; c < n; ++c) {
    if (!b.listable[at(c)]) add(Kind::list, c, false);
    if (b.world.concepts[at(c)].named() && !b.findable[at(c)]) add(Kind::find, c, true);
    if (!b.world.concepts[at(c)].named() && derives(b.world, c))
      add(Kind::derived, c, false);
    else if (projected[at(c)])
      add(Kind::projection, c, true);
  }
  std::vector<int> queries;
  for (int r = 0; r < static_cast<int>(b.world.reads.size()); ++r) queries.push_back(r);
  rng.shuffle(queries);
  const std::size_t most = b.world.tools.compact ? kFewQueries : kMaxQueries;
  for (std::size_t i = 0; i < queries.size() && i < most; ++i) add(Kind::query, queries[i], i > 0);
  if (b.has("recent_lists"))
    add(Kind::recent, static_cast<int>(rng.below(static_cast<std::uint64_t>(n))), true);
  std::stable_sort(out.begin(), out.end(),
                   [](const Extra& x, const Extra& y) { return x.rank < y.rank; });
  return out;
}

// The tools with the first `count` extras.
void build_with(
    Builder& b, const std::vector<Extra>& all, std::size_t count, bool bundles, const Rng& rng) {
  using Kind = Extra::Kind;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t which = at(all[i].which);
    if (all[i].kind == Kind::find) b.findable[which] = true;
    if (all[i].kind == Kind::list) b.listable[which] = true;
    if (all[i].kind == Kind::derived) b.derivable[which] = true;
    if (all[i].kind == Kind::projection) b.surface.projected[which] = true;
  }
  build_tools(b);
  for (std::size_t i = 0; i < count; ++i)
    if (all[i].kind == Kind::query) b.add_query(all[i].which);
  rewrite_forms(b, rng, bundles);
  for (std::size_t i = 0; i < count; ++i)
    if (all[i].kind == Kind::recent) b.add_recent(all[i].which);
}

}  // namespace

void make_few_tools(Builder& b, const Rng& rng) {
  read_once(b, rng.fork("read once"));
  const auto projected = b.surface.projected;
  b.surface.projected.assign(projected.size(), false);
  const auto all = extras(b, projected, rng.fork("extras"));
  const Builder bare = b;
  for (const bool bundles : {true, false}) {  // a bundle may leave fewer tools than are wanted
    b.surface = bare.surface;
    build_with(b, all, 0, bundles, rng);
    const std::size_t wish = b.world.tools.wish, count = b.surface.count();
    if (wish > count) build_with(b, all, std::min(wish - count, all.size()), bundles, rng);
    if (b.surface.count() >= b.world.tools.least) return;
    b.findable = bare.findable;
    b.listable = bare.listable;
    b.derivable = bare.derivable;
  }
}

}  // namespace seedbed::envgen
