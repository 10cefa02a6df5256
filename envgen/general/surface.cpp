#include "envgen/general/surface.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "envgen/general/effects.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

std::string styled(int naming, const std::string& verb, const std::string& noun) {
  if (naming == 1) return noun + "_" + verb;
  const std::string snake = verb + "_" + noun;
  if (naming == 0) return snake;
  std::string camel;
  bool up = false;
  for (const char c : snake) {
    if (c == '_') {
      up = true;
      continue;
    }
    camel.push_back(up && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
    up = false;
  }
  return camel;
}

struct Builder {
  const World& world;
  const Skin& skin;
  Surface surface;
  std::set<std::string> taken;
  std::vector<bool> offered;   // by transition
  std::vector<bool> findable;  // by concept: has a tool that finds it by name

  std::string unique(const std::string& verb, const std::string& noun) {
    std::string name = styled(surface.naming, verb, noun);
    for (int i = 2; !taken.insert(name).second; ++i)
      name = styled(surface.naming, verb, noun) + "_" + std::to_string(i);
    return name;
  }
  ToolParam ref_param(std::set<std::string>& names,
                      int target,
                      const std::string& hint,
                      int index,
                      bool by_name) const;
  void add_transition(int id);
  void add_reads(int concept_id);
  void add_recent(int concept_id);
};

ToolParam Builder::ref_param(std::set<std::string>& names,
                             int target,
                             const std::string& hint,
                             int index,
                             bool by_name) const {
  const std::string noun = identifier(skin.concepts[at(target)].singular);
  ToolParam p;
  p.domain = {Type::ref, target, -1, 0, 0, false};
  p.by_name = by_name;
  p.index = index;
  p.name = noun + (by_name ? "_name" : "_id");
  if (names.count(p.name) != 0) p.name = identifier(hint) + "_" + p.name;
  for (int i = 2; !names.insert(p.name).second; ++i)
    p.name = noun + std::to_string(i) + (by_name ? "_name" : "_id");
  return p;
}

void Builder::add_transition(int id) {
  const Transition& t = world.transitions[at(id)];
  ToolForm form;
  form.kind = ToolForm::Kind::transition;
  form.transition = id;
  std::set<std::string> names;
  for (std::size_t i = 0; i < t.params.size(); ++i) {
    const Domain& d = t.params[i].domain;
    if (d.type == Type::ref) {
      form.params.push_back(ref_param(names, d.target, t.params[i].name, static_cast<int>(i),
                                      surface.by_name[at(d.target)]));
      if (form.result_param < 0 && !world.concepts[at(d.target)].named())
        form.result_param = static_cast<int>(i);
    } else {
      ToolParam p;
      p.domain = d;
      p.index = static_cast<int>(i);
      static const char* kByType[] = {"flag",         "ref",  "kind", "number",
                                      "amount_cents", "date", "text"};
      p.name = t.params[i].name.size() > 2 ? identifier(t.params[i].name)
                                           : kByType[static_cast<std::size_t>(d.type)];
      if (d.type == Type::cents && p.name.find("cents") == std::string::npos) p.name += "_cents";
      for (int k = 2; !names.insert(p.name).second; ++k) p.name += std::to_string(k);
      form.params.push_back(p);
    }
  }
  for (const auto& e : t.effects)
    if (e.kind == Effect::Kind::make && !form.makes && form.result_param < 0) {
      form.makes = true;
      form.concept_id = e.concept_id;
    }
  if (!form.makes) {
    if (form.result_param < 0)
      for (std::size_t i = 0; i < t.params.size() && form.result_param < 0; ++i)
        if (t.params[i].domain.type == Type::ref) form.result_param = static_cast<int>(i);
    if (form.result_param >= 0) form.concept_id = t.params[at(form.result_param)].domain.target;
  }
  const std::string verb = slug(t.symbol.substr(t.symbol.find('.') + 1));
  form.name =
      unique(verb, slug(skin.concepts[at(form.concept_id < 0 ? 0 : form.concept_id)].singular));
  surface.tools.push_back(std::move(form));
}

void Builder::add_reads(int c) {
  const Concept& concept_ = world.concepts[at(c)];
  const std::string one = slug(skin.concepts[at(c)].singular),
                    many = slug(skin.concepts[at(c)].plural);
  std::vector<int> all, few, derived;
  for (int a = 0; a < static_cast<int>(concept_.attrs.size()); ++a) all.push_back(a);
  for (std::size_t d = 0; d < world.derived.size(); ++d)
    if (world.derived[d].over == c) derived.push_back(static_cast<int>(d));
  for (const int a : all)
    if (few.size() < 2 &&
        (concept_.attrs[at(a)].domain.type == Type::ref || concept_.attrs[at(a)].name == "name"))
      few.push_back(a);
  if (few.empty()) few.push_back(0);
  const auto put = [&](ToolForm::Kind kind, const std::string& verb, const std::string& noun,
                       std::vector<int> shown, std::vector<int> shows) {
    ToolForm f;
    f.kind = kind;
    f.concept_id = c;
    f.name = unique(verb, noun);
    f.shown = std::move(shown);
    f.derived = std::move(shows);
    std::set<std::string> columns(skin.concepts[at(c)].columns.begin(),
                                  skin.concepts[at(c)].columns.end());
    columns.insert("id");
    for (const int d : f.derived) {
      std::string column = identifier(world.derived[at(d)].noun);
      for (int i = 2; !columns.insert(column).second; ++i)
        column = identifier(world.derived[at(d)].noun) + std::to_string(i);
      f.derived_columns.push_back(column);
    }
    return f;
  };
  if (findable[at(c)]) {
    ToolForm find = put(ToolForm::Kind::find, "find", one, all, derived);
    ToolParam name;
    name.name = "name";
    name.domain = {Type::text, -1, -1, 0, 0, false};
    find.params.push_back(name);
    surface.tools.push_back(find);
  }
  const bool projected = surface.projected[at(c)];
  ToolForm list = put(ToolForm::Kind::list, "list", many, projected ? few : all, {});
  std::set<std::string> names{"offset"};
  for (const int a : all) {
    const Domain& d = concept_.attrs[at(a)].domain;
    if (d.type == Type::ref) {
      list.params.push_back(ref_param(names, d.target, concept_.attrs[at(a)].noun, a, false));
    } else if (d.type == Type::word && list.params.size() < 4) {
      ToolParam p;
      p.name = skin.concepts[at(c)].columns[at(a)];
      p.domain = d;
      p.index = a;
      if (names.insert(p.name).second) list.params.push_back(p);
    }
  }
  list.page_size = surface.page_size;
  surface.tools.push_back(list);
  if (projected || (!derived.empty() && !findable[at(c)])) {
    ToolForm get = put(ToolForm::Kind::get, "get", one, all, derived);
    std::set<std::string> own;
    get.params.push_back(ref_param(own, c, one, -1, false));
    surface.tools.push_back(get);
  }
}

void Builder::add_recent(int c) {
  ToolForm f;
  f.kind = ToolForm::Kind::recent;
  f.concept_id = c;
  f.name = unique("latest", slug(skin.concepts[at(c)].plural));
  f.shown = {0};
  surface.tools.push_back(f);
}

}  // namespace

const ToolForm* Surface::tool(std::string_view name) const {
  for (const auto& t : tools)
    if (t.name == name) return &t;
  return nullptr;
}

const ToolForm* Surface::offer(int transition) const {
  for (const auto& t : tools)
    if (t.kind == ToolForm::Kind::transition && t.transition == transition) return &t;
  return nullptr;
}

std::string Surface::said(int transition) const {
  const ToolForm* form = offer(transition);
  return form == nullptr ? "" : form->name;
}

std::string error_code(const Surface& surface, const std::string& code) {
  if (!surface.upper_codes) return code;
  std::string out;
  for (const char c : code)
    out.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  return "E_" + out;
}

Surface make_surface(const World& world,
                     const Skin& skin,
                     const std::vector<std::string>& passes,
                     Rng rng) {
  Builder b{world, skin, {}, {}, std::vector<bool>(world.transitions.size(), true), {}};
  for (const auto& c : world.concepts) b.findable.push_back(c.named());
  Surface& s = b.surface;
  const auto has = [&](const char* name) {
    return std::find(passes.begin(), passes.end(), name) != passes.end();
  };
  s.passes = passes;
  const std::size_t n = world.concepts.size();
  s.by_name.assign(n, false);
  s.projected.assign(n, false);
  if (has("naming")) s.naming = 1 + static_cast<int>(rng.fork("naming").below(2));
  if (has("pages")) s.page_size = static_cast<int>(4 + 2 * rng.fork("pages").below(4));
  s.upper_codes = has("error_words");
  s.expand = has("expand_refs");
  Rng by_name = rng.fork("name_lookup"), projection = rng.fork("projection"),
      bare = rng.fork("bare");
  for (std::size_t c = 0; c < n; ++c) {
    const bool name = by_name.chance(1, 2), few = projection.chance(1, 2);
    if (has("name_lookup") && world.concepts[c].named()) s.by_name[c] = name;
    if (has("projection") && world.concepts[c].attrs.size() >= 4) s.projected[c] = few;
  }
  const auto build = [&] {
    s.tools.clear();
    b.taken = {"submit_result", "refuse"};
    for (int t = 0; t < static_cast<int>(world.transitions.size()); ++t)
      if (b.offered[at(t)]) b.add_transition(t);
    for (int c = 0; c < static_cast<int>(n); ++c) b.add_reads(c);
  };
  build();
  const auto wish =
      static_cast<std::size_t>(rng.fork("wish").between(12, static_cast<std::int64_t>(kMaxTools)));
  for (std::size_t c = 0; c < n && s.tools.size() > wish; ++c)
    if (s.projected[c]) {
      s.projected[c] = false;
      build();
    }
  // Then operations that take part in nothing, while their mechanism keeps two; then finding by
  // name where lists show all.
  std::vector<int> spare;
  for (int t = 0; t < static_cast<int>(world.transitions.size()); ++t) {
    const Transition& x = world.transitions[at(t)];
    const bool ruled = std::any_of(world.rules.begin(), world.rules.end(),
                                   [&](const Rule& r) { return r.transition == t; });
    const bool gated =
        std::any_of(x.guards.begin(), x.guards.end(), [](const Guard& g) { return g.edge >= 0; });
    if (!ruled && !gated && x.reactions.empty()) spare.push_back(t);
  }
  Rng drop = rng.fork("drop");
  drop.shuffle(spare);
  for (std::size_t i = 0; i < spare.size() && s.tools.size() > wish; ++i) {
    const int m = world.transitions[at(spare[i])].mechanism;
    int left = 0;
    for (std::size_t t = 0; t < world.transitions.size(); ++t)
      left += world.transitions[t].mechanism == m && b.offered[t] ? 1 : 0;
    if (left <= 2) continue;
    b.offered[at(spare[i])] = false;
    build();
  }
  for (std::size_t c = 0; c < n && s.tools.size() > wish; ++c) {
    const bool derives =
        std::any_of(world.derived.begin(), world.derived.end(),
                    [&](const Derived& d) { return d.over == static_cast<int>(c); });
    if (!b.findable[c] || derives) continue;
    b.findable[c] = false;
    build();
  }
  if (has("recent_lists"))
    for (int i = 0; i < 2 && s.tools.size() < wish; ++i)
      b.add_recent(
          static_cast<int>((rng.fork("recent").below(n) + static_cast<std::uint64_t>(i)) % n));
  if (has("bare_descriptions"))
    for (auto& t : s.tools) t.bare = bare.chance(1, 4);
  Rng order = rng.fork("order");
  order.shuffle(s.tools);
  return s;
}

}  // namespace seedbed::envgen
