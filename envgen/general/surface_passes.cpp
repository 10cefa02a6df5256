// Which passes apply to a surface, and the order in which they do.
#include <algorithm>

#include "envgen/general/surface_build.h"
#include "schemas/request.h"

namespace seedbed::envgen {
namespace {

static_assert(kMinTools == schemas::kFewestTools && kMaxTools == schemas::kMostTools);

constexpr std::size_t kFewTools = 16;
constexpr std::size_t kSureQueries = 2;  // offered however many tools are wished for

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

// Fewer tools, down to the wish: first records shown only one by one.
void trim(Builder& b, std::size_t wish, Rng drop) {
  Surface& s = b.surface;
  const World& world = b.world;
  const std::size_t n = world.concepts.size();
  for (std::size_t c = 0; c < n && s.tools.size() > wish; ++c)
    if (s.projected[c]) {
      s.projected[c] = false;
      build_tools(b);
    }
  // Then operations that take part in nothing, while their mechanism keeps two; then finding by
  // name where lists show all. Where very few tools are wished for, operations that take part in
  // something go as well.
  std::vector<int> spare, rest;
  for (int t = 0; t < static_cast<int>(world.transitions.size()); ++t) {
    const Transition& x = world.transitions[at(t)];
    const bool ruled = std::any_of(world.rules.begin(), world.rules.end(),
                                   [&](const Rule& r) { return r.transition == t; });
    const bool gated =
        std::any_of(x.guards.begin(), x.guards.end(), [](const Guard& g) { return g.edge >= 0; });
    if (!ruled && !gated && x.reactions.empty())
      spare.push_back(t);
    else if (!ruled)
      rest.push_back(t);
  }
  drop.shuffle(spare);
  drop.shuffle(rest);
  if (wish < kFewTools) spare.insert(spare.end(), rest.begin(), rest.end());
  for (std::size_t i = 0; i < spare.size() && s.tools.size() > wish; ++i) {
    const int m = world.transitions[at(spare[i])].mechanism;
    int left = 0;
    for (std::size_t t = 0; t < world.transitions.size(); ++t)
      left += world.transitions[t].mechanism == m && b.offered[t] ? 1 : 0;
    if (left <= 2) continue;
    b.offered[at(spare[i])] = false;
    build_tools(b);
  }
  for (std::size_t c = 0; c < n && s.tools.size() > wish; ++c) {
    const bool derives =
        std::any_of(world.derived.begin(), world.derived.end(),
                    [&](const Derived& d) { return d.over == static_cast<int>(c); });
    if (!b.findable[c] || derives) continue;
    b.findable[c] = false;
    build_tools(b);
  }
}

}  // namespace

void build_tools(Builder& b) {
  b.surface.tools.clear();
  b.taken = {"submit_result", "refuse"};
  for (int t = 0; t < static_cast<int>(b.world.transitions.size()); ++t)
    if (b.offered[at(t)]) b.add_transition(t);
  for (int c = 0; c < static_cast<int>(b.world.concepts.size()); ++c) b.add_reads(c);
}

void rewrite_forms(Builder& b, const Rng& rng, bool bundles) {
  if (b.has("units")) pass_units(b, rng.fork("units"));
  if (b.has("defaults")) pass_defaults(b, rng.fork("defaults"));
  if (b.has("batch")) pass_batch(b, rng.fork("batch"));
  if (bundles && b.has("bundle")) pass_bundle(b, rng.fork("bundle"));
  if (b.has("transient")) pass_transient(b, rng.fork("transient"));
}

namespace {

// What the world wishes for, by trimming what there is.
void make_all_tools(Builder& b, const Rng& rng) {
  Surface& s = b.surface;
  const std::size_t n = b.world.concepts.size();
  build_tools(b);
  const auto wish =
      static_cast<std::size_t>(rng.fork("wish").between(10, static_cast<std::int64_t>(kMaxTools)));
  trim(b, wish, rng.fork("drop"));
  std::vector<int> queries;
  for (int r = 0; r < static_cast<int>(b.world.reads.size()); ++r) queries.push_back(r);
  Rng order_of_queries = rng.fork("queries");
  order_of_queries.shuffle(queries);
  for (std::size_t i = 0; i < queries.size() && i < kMaxQueries; ++i)
    if (s.tools.size() < (i < kSureQueries && wish >= kFewTools ? kMaxTools : wish))
      b.add_query(queries[i]);
  rewrite_forms(b, rng, true);
  if (b.has("recent_lists"))
    for (int i = 0; i < 2 && s.tools.size() < wish; ++i)
      b.add_recent(
          static_cast<int>((rng.fork("recent").below(n) + static_cast<std::uint64_t>(i)) % n));
}

}  // namespace

Surface make_surface(const World& world,
                     const Skin& skin,
                     const std::vector<std::string>& passes,
                     Rng rng) {
  Builder b{world, skin, {}, {}, std::vector<bool>(world.transitions.size(), true), {}, {}, {}};
  for (const auto& c : world.concepts) b.findable.push_back(c.named());
  b.listable.assign(world.concepts.size(), true);
  b.derivable = b.listable;
  Surface& s = b.surface;
  s.passes = passes;
  const auto has = [&](const char* name) { return b.has(name); };
  const std::size_t n = world.concepts.size();
  s.by_name.assign(n, false);
  s.by_part.assign(n, false);
  s.projected.assign(n, false);
  s.decimal.assign(n, false);
  if (has("naming")) s.naming = 1 + static_cast<int>(rng.fork("naming").below(2));
  if (has("pages")) s.page_size = static_cast<int>(4 + 2 * rng.fork("pages").below(4));
  if (world.tools.compact) s.page_size = std::min(s.page_size, 8);
  s.upper_codes = has("error_words");
  s.expand = has("expand_refs");
  s.units = has("units");
  b.drop_filters = has("filters_off");
  b.filters_off = rng.fork("filters_off");
  Rng money = rng.fork("money"), part = rng.fork("ambiguous");
  Rng by_name = rng.fork("name_lookup"), projection = rng.fork("projection"),
      bare = rng.fork("bare");
  for (std::size_t c = 0; c < n; ++c) {
    const bool name = by_name.chance(1, 2), few = projection.chance(1, 2);
    // With few tools a record is looked up first: what can be named in the call is no task.
    if (has("name_lookup") && world.concepts[c].named() && !world.tools.compact)
      s.by_name[c] = name;
    if (has("ambiguous") && world.concepts[c].named()) s.by_part[c] = part.chance(2, 3);
    if (s.units) s.decimal[c] = money.chance(1, 2);
    if (has("projection") && world.concepts[c].attrs.size() >= 4) s.projected[c] = few;
  }
  if (world.tools.wish > 0)
    make_few_tools(b, rng);
  else
    make_all_tools(b, rng);
  if (has("bare_descriptions"))
    for (auto& t : s.tools) t.bare = bare.chance(1, 4);
  Rng order = rng.fork("order");
  order.shuffle(s.tools);
  return s;
}

}  // namespace seedbed::envgen
