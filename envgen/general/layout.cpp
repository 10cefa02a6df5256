// Layout passes: rewrites of how symbols are stored.
#include <algorithm>

#include "envgen/general/skin.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

bool deleted_in(const std::vector<Effect>& effects, int concept_id) {
  return std::any_of(effects.begin(), effects.end(), [&](const Effect& e) {
    return (e.kind == Effect::Kind::remove && e.concept_id == concept_id) ||
           deleted_in(e.body, concept_id);
  });
}
bool written_in(const std::vector<Effect>& effects, int concept_id, int attribute) {
  return std::any_of(effects.begin(), effects.end(), [&](const Effect& e) {
    return ((e.kind == Effect::Kind::set || e.kind == Effect::Kind::add) &&
            e.concept_id == concept_id && e.attribute == attribute) ||
           written_in(e.body, concept_id, attribute);
  });
}
template <class F>
bool any_transition(const World& world, const F& f) {
  const auto holds = [&](const Transition& t) { return f(t.effects); };
  return std::any_of(world.transitions.begin(), world.transitions.end(), holds) ||
         std::any_of(world.reactions.begin(), world.reactions.end(), holds);
}

struct Place {
  int concept_id = -1, attribute = -1;  // attribute -1: the concept
};

struct Passes {
  const World& world;
  Layout& layout;

  [[nodiscard]] bool deleted(int c) const {
    return any_transition(world, [&](const auto& e) { return deleted_in(e, c); });
  }
  [[nodiscard]] bool written(int c, int a) const {
    return any_transition(world, [&](const auto& e) { return written_in(e, c, a); });
  }
  [[nodiscard]] bool counted(int c, int a) const {
    return std::any_of(layout.counters.begin(), layout.counters.end(),
                       [&](const Counter& k) { return k.child == c && k.attribute == a; });
  }
  // Words of the concept that operations write and that stand in its own table.
  [[nodiscard]] std::vector<int> state_words(int c) const {
    std::vector<int> out;
    const auto& attrs = world.concepts[at(c)].attrs;
    for (int a = 0; a < static_cast<int>(attrs.size()); ++a)
      if (attrs[at(a)].domain.type == Type::word && layout.storage[at(c)][at(a)] == Storage::base &&
          written(c, a))
        out.push_back(a);
    return out;
  }
  [[nodiscard]] bool fits(const std::string& pass, int c) const;
  [[nodiscard]] bool fits(const std::string& pass, int c, int a) const;
  void rewrite(const std::string& pass, const Place& place, Rng& rng);
};

bool Passes::fits(const std::string& pass, int c) const {
  if (pass == "id_style") return layout.ids[at(c)] == IdStyle::code;
  if (pass == "soft_delete" || pass == "archive")
    return !layout.soft_delete[at(c)] && !layout.archive[at(c)] && deleted(c);
  if (pass == "state_log") return !state_words(c).empty();
  return pass == "composite_key" && layout.series[at(c)] == 0;
}

bool Passes::fits(const std::string& pass, int c, int a) const {
  const auto& attrs = world.concepts[at(c)].attrs;
  const Domain& d = attrs[at(a)].domain;
  if (attrs[at(a)].name == "name" || layout.storage[at(c)][at(a)] != Storage::base) return false;
  if (pass == "lookup") return d.type == Type::word;
  if (pass == "history") return d.type != Type::text && written(c, a);
  if (pass == "split") return d.type != Type::ref && attrs.size() >= 3;
  if (pass == "junction") return d.type == Type::ref;
  if (pass == "side_table") return d.type != Type::ref && (d.nullable || attrs[at(a)].optional);
  return pass == "counter" && d.type == Type::ref && d.target != c && !counted(c, a);
}

void Passes::rewrite(const std::string& pass, const Place& place, Rng& rng) {
  const std::size_t c = at(place.concept_id);
  const auto store = [&](Storage s) { layout.storage[c][at(place.attribute)] = s; };
  if (pass == "id_style") {
    const IdStyle style = rng.chance(1, 2) ? IdStyle::number : IdStyle::spread;
    for (std::size_t i = 0; i < layout.ids.size();
         ++i)  // one style for many concepts: it is a habit of a designer
      if (i == c || rng.chance(1, 2)) layout.ids[i] = style;
  } else if (pass == "soft_delete") {
    layout.soft_delete[c] = true;
  } else if (pass == "archive") {
    layout.archive[c] = true;
  } else if (pass == "counter") {
    const int parent = world.concepts[c].attrs[at(place.attribute)].domain.target;
    layout.counters.push_back({parent, place.concept_id, place.attribute, ""});
  } else if (pass == "state_log") {
    for (const int a : state_words(place.concept_id)) layout.storage[c][at(a)] = Storage::log;
  } else if (pass == "composite_key") {
    static constexpr int kItems[] = {4, 6, 10};
    layout.series[c] = kItems[rng.below(std::size(kItems))];
    layout.pair_refs[c] = rng.chance(1, 2);
  } else {
    store(pass == "lookup"    ? Storage::lookup
          : pass == "history" ? Storage::history
          : pass == "split"   ? Storage::split
                              : Storage::link);
  }
}

}  // namespace

Layout plain_layout(const World& world) {
  Layout layout;
  for (const auto& c : world.concepts) layout.storage.emplace_back(c.attrs.size(), Storage::base);
  const std::size_t n = world.concepts.size();
  layout.ids.assign(n, IdStyle::code);
  layout.soft_delete.assign(n, false);
  layout.archive.assign(n, false);
  layout.series.assign(n, 0);
  layout.pair_refs.assign(n, false);
  return layout;
}

bool apply_layout_pass(const World& world, Layout& layout, const std::string& pass, Rng rng) {
  Passes passes{world, layout};
  std::vector<Place> places;
  for (int c = 0; c < static_cast<int>(world.concepts.size()); ++c) {
    if (passes.fits(pass, c)) places.push_back({c, -1});
    for (int a = 0; a < static_cast<int>(world.concepts[at(c)].attrs.size()); ++a)
      if (passes.fits(pass, c, a)) places.push_back({c, a});
  }
  if (places.empty()) return false;
  const Place place = places[static_cast<std::size_t>(rng.below(places.size()))];
  passes.rewrite(pass, place, rng);
  const Concept& c = world.concepts[at(place.concept_id)];
  layout.passes.push_back(pass + ":" + c.symbol +
                          (place.attribute >= 0 ? "." + c.attrs[at(place.attribute)].name : ""));
  return true;
}

}  // namespace seedbed::envgen
