#include "envgen/general/effects.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "base/check.h"
#include "base/text.h"

namespace seedbed::envgen {
namespace {

Error bad_effect(const std::string& what, const std::string& text, const std::string& found) {
  return make_error(Where::pack, "effect in " + what, text, found, "see docs/pack-format.md");
}

struct EffectParser {
  World& world;
  int mechanism;
  Names& names;
  const std::string& what;

  Result<Effect> parse(const std::string& text);
  Result<Effect> parse_set(const std::string& text, bool add);
  Result<Effect> parse_new(const std::string& text);
  Result<Effect> parse_each(const std::string& text);
};

Result<Effect> EffectParser::parse(const std::string& raw) {
  const std::string text(trim(raw));
  if (text.rfind("set ", 0) == 0) return parse_set(text, false);
  if (text.rfind("add ", 0) == 0) return parse_set(text, true);
  if (text.rfind("new ", 0) == 0) return parse_new(text);
  if (text.rfind("each ", 0) == 0) return parse_each(text);
  if (text.rfind("del ", 0) == 0) {
    Effect e;
    e.kind = Effect::Kind::remove;
    SEEDBED_TRY(e.target, parse_term(text.substr(4), names, what));
    if (e.target->domain.type != Type::ref)
      return bad_effect(what, text, "wanted a reference to delete");
    e.concept_id = e.target->domain.target;
    return e;
  }
  return bad_effect(what, text, "wanted set, add, new, del or each");
}

Result<Effect> EffectParser::parse_set(const std::string& text, bool add) {
  const auto at = add ? text.find_first_of("+-", 4) : text.find('=');
  if (at == std::string::npos)
    return bad_effect(what, text,
                      add ? "wanted 'PATH.attribute + term' or '- term'" : "wanted '='");
  const std::string left(trim(text.substr(4, at - 4)));
  const auto dot = left.rfind('.');
  if (dot == std::string::npos) return bad_effect(what, text, "wanted PATH.attribute on the left");
  Effect e;
  e.kind = add ? Effect::Kind::add : Effect::Kind::set;
  SEEDBED_TRY(e.target, parse_term(left.substr(0, dot), names, what));
  if (e.target->domain.type != Type::ref)
    return bad_effect(what, text, "wanted a reference before the attribute");
  e.concept_id = e.target->domain.target;
  e.attribute = names.attribute_named(e.concept_id, left.substr(dot + 1));
  if (e.attribute < 0) return bad_effect(what, text, "no attribute '" + left.substr(dot + 1) + "'");
  SEEDBED_TRY(e.value, parse_term_as(text.substr(at + 1), names,
                                     names.attribute_domain(e.concept_id, e.attribute), what));
  if (add && text[at] == '-') e.value = binary(Op::sub, constant_of(0, e.value->domain), e.value);
  return e;
}

Result<Effect> EffectParser::parse_new(const std::string& text) {
  const auto open = text.find('{');
  if (open == std::string::npos || text.back() != '}')
    return bad_effect(what, text, "wanted new concept {attr: term, ...}");
  Effect e;
  e.kind = Effect::Kind::make;
  e.concept_id = names.concept_named(std::string(trim(text.substr(4, open - 4))));
  if (e.concept_id < 0) return bad_effect(what, text, "unknown concept");
  const Concept& c = world.concepts[static_cast<std::size_t>(e.concept_id)];
  for (const auto& part : split_top(text.substr(open + 1, text.size() - open - 2), ',')) {
    const auto colon = part.find(':');
    if (colon == std::string::npos) return bad_effect(what, text, "wanted attr: term");
    const int attribute =
        names.attribute_named(e.concept_id, std::string(trim(part.substr(0, colon))));
    if (attribute < 0)
      continue;  // an optional attribute that was left out; pack check composes with all of them
    TermPtr value;
    SEEDBED_TRY(value, parse_term_as(part.substr(colon + 1), names,
                                     names.attribute_domain(e.concept_id, attribute), what));
    e.row.emplace_back(attribute, value);
  }
  for (std::size_t a = 0; a < c.attrs.size(); ++a) {
    const bool given = std::any_of(e.row.begin(), e.row.end(),
                                   [&](const auto& r) { return r.first == static_cast<int>(a); });
    if (!given && !c.attrs[a].domain.nullable)
      return bad_effect(what, text, "attribute '" + c.attrs[a].name + "' has no value");
  }
  return e;
}

Result<Effect> EffectParser::parse_each(const std::string& text) {
  const auto open = text.find('{');
  const auto bar = text.find('|');
  const auto colon = text.find(':');
  if (open == std::string::npos || bar == std::string::npos || colon == std::string::npos ||
      colon > bar || bar > open || text.back() != '}')
    return bad_effect(what, text, "wanted each x: concept | condition { effect; effect }");
  Effect e;
  e.kind = Effect::Kind::each;
  e.concept_id = names.concept_named(std::string(trim(text.substr(colon + 1, bar - colon - 1))));
  if (e.concept_id < 0) return bad_effect(what, text, "unknown concept");
  e.variable = names.next_variable++;
  auto bound = std::make_shared<Term>();
  bound->op = Op::variable;
  bound->index = e.variable;
  bound->domain = {Type::ref, e.concept_id, -1, 0, 0, false};
  const auto before = names.values;
  names.values[std::string(trim(text.substr(5, colon - 5)))] = bound;
  SEEDBED_TRY(e.condition, parse_term(text.substr(bar + 1, open - bar - 1), names, what));
  for (const auto& part : split_top(text.substr(open + 1, text.size() - open - 2), ';')) {
    if (trim(part).empty()) continue;
    Effect inner;
    SEEDBED_TRY(inner, parse(part));
    e.body.push_back(std::move(inner));
  }
  names.values = before;
  return e;
}

}  // namespace

std::vector<std::string> split_top(const std::string& text, char separator) {
  std::vector<std::string> out{""};
  int depth = 0;
  for (const char c : text) {
    if (c == '(' || c == '{') ++depth;
    if (c == ')' || c == '}') --depth;
    if (c == separator && depth == 0)
      out.emplace_back();
    else
      out.back().push_back(c);
  }
  return out;
}

const PackTransition& pack_transition(const World& world, const Transition& t) {
  for (const auto& p : world.packs[static_cast<std::size_t>(t.mechanism)]->transitions)
    if (world.mechanisms[static_cast<std::size_t>(t.mechanism)] + "." + p.name == t.symbol)
      return p;
  for (const auto& p : world.packs[static_cast<std::size_t>(t.mechanism)]->reactions)
    if (world.mechanisms[static_cast<std::size_t>(t.mechanism)] + "." + p.name == t.symbol)
      return p;
  check_failed("a transition has its pack", __FILE__, __LINE__, t.symbol);
}

namespace {

void bind_params(const Transition& t, Names& names) {
  for (std::size_t i = 0; i < t.params.size(); ++i)
    names.values[t.params[i].name] = param_of(static_cast<int>(i), t.params[i].domain);
  for (std::size_t i = 0; i < t.lets.size(); ++i)
    names.values[t.lets[i].first] =
        param_of(static_cast<int>(t.params.size() + i), t.lets[i].second->domain);
}

}  // namespace

Result<Transition> build_transition(World& world, int mechanism, const PackTransition& pack) {
  Transition t;
  t.symbol = world.mechanisms[static_cast<std::size_t>(mechanism)] + "." + pack.name;
  t.mechanism = mechanism;
  t.say = pack.say;
  const std::string what = "transition " + t.symbol;
  for (const auto& [name, type] : pack.params) {
    Param p;
    p.name = name;
    SEEDBED_TRY(p.domain, parse_domain(world, mechanism, type, t.symbol + "." + name, what));
    t.params.push_back(p);
  }
  Names names = names_for(world, mechanism);
  bind_params(t, names);
  for (const auto& [name, text] : pack.lets) {
    TermPtr term;
    SEEDBED_TRY(term, parse_term(text, names, what));
    t.lets.emplace_back(name, term);
    bind_params(t, names);
  }
  for (const auto& g : pack.guards) {
    Guard guard;
    guard.code = g.code;
    SEEDBED_TRY(guard.term, parse_term(g.term, names, what));
    if (guard.term->domain.type != Type::boolean)
      return bad_effect(what, g.term, "a guard must be a condition");
    t.guards.push_back(guard);
  }
  EffectParser parser{world, mechanism, names, what};
  for (const auto& text : pack.effects) {
    Effect e;
    SEEDBED_TRY(e, parser.parse(text));
    t.effects.push_back(std::move(e));
  }
  if (!pack.subject.empty()) {
    SEEDBED_TRY(t.subject, parse_term(pack.subject, names, what));
    if (t.subject->domain.type != Type::ref)
      return bad_effect(what, pack.subject, "the subject must be a reference");
  }
  return t;
}

Result<std::vector<TermPtr>> match_event(World& world, int transition, int reaction, bool lenient) {
  const Transition& t = world.transitions[static_cast<std::size_t>(transition)];
  const Transition& r = world.reactions[static_cast<std::size_t>(reaction)];
  const PackTransition& pack = pack_transition(world, t);
  Names names = names_for(world, t.mechanism);
  bind_params(t, names);
  std::vector<TermPtr> given;
  for (const auto& [name, text] : pack.event_args) {
    auto term = parse_term(text, names, "event of " + t.symbol);
    if (term.ok())
      given.push_back(*term);
    else if (!lenient)
      return term.error();
  }
  std::vector<TermPtr> out;
  for (const auto& p : r.params) {
    const auto it = std::find_if(given.begin(), given.end(), [&](const TermPtr& g) {
      return g && g->domain.type == p.domain.type &&
             (p.domain.type != Type::ref || g->domain.target == p.domain.target);
    });
    if (it == given.end()) return std::vector<TermPtr>{};
    out.push_back(*it);
    *it = nullptr;
  }
  return out;
}

Result<Domain> parse_domain(World& world,
                            int mechanism,
                            const std::string& text,
                            const std::string& symbol,
                            const std::string& what) {
  const auto space = text.find(' ');
  const std::string kind = text.substr(0, space);
  const std::string rest =
      space == std::string::npos ? "" : std::string(trim(text.substr(space + 1)));
  const auto range = [&](Type type) -> Result<Domain> {
    const auto dots = rest.find("..");
    if (dots == std::string::npos) return bad_effect(what, text, "wanted " + kind + " LO..HI");
    Domain d{type,
             -1,
             -1,
             std::atoll(rest.substr(0, dots).c_str()),
             std::atoll(rest.substr(dots + 2).c_str()),
             false};
    if (d.lo > d.hi) return bad_effect(what, text, "LO is above HI");
    return d;
  };
  if (kind == "int") return range(Type::integer);
  if (kind == "cents") return range(Type::cents);
  if (kind == "date") return range(Type::date);
  if (kind == "text") return Domain{Type::text, -1, -1, 0, 0, false};
  if (kind == "enum") {
    const auto words = split(rest, '|');
    for (std::size_t i = 0; i < world.words.size(); ++i)
      if (world.words[i].words == words &&
          world.words[i].symbol.rfind(world.mechanisms[static_cast<std::size_t>(mechanism)] + ".",
                                      0) == 0)
        return Domain{Type::word, -1, static_cast<int>(i), 0, 0, false};
    std::string owner = symbol;
    if (owner.rfind(world.mechanisms[static_cast<std::size_t>(mechanism)] + ".", 0) != 0)
      owner = world.mechanisms[static_cast<std::size_t>(mechanism)] + "." + symbol;
    world.words.push_back({owner, words, std::vector<std::int64_t>(words.size(), 1)});
    return Domain{Type::word, -1, static_cast<int>(world.words.size()) - 1, 0, 0, false};
  }
  const Names names = names_for(world, mechanism);
  const int target = names.concept_named(kind == "ref" ? rest : text);
  if (target < 0) return bad_effect(what, text, "unknown type, concept or role");
  return Domain{Type::ref, target, -1, 0, 0, false};
}

Names names_for(const World& world, int mechanism) {
  Names n;
  const World* w = &world;
  const auto m = static_cast<std::size_t>(mechanism);
  n.concept_named = [w, m](std::string_view name) {
    for (const auto& [role, concept_id] : w->roles[m])
      if (role == name) return concept_id;
    return w->concept_named(w->mechanisms[m] + "." + std::string(name));
  };
  n.attribute_named = [w, mechanism](int concept_id, std::string_view name) {
    const Concept& c = w->concepts[static_cast<std::size_t>(concept_id)];
    for (std::size_t i = 0; i < c.attrs.size(); ++i)
      if (c.attrs[i].short_name == name && c.attrs[i].mechanism == mechanism)
        return static_cast<int>(i);
    return c.attr(name);
  };
  n.attribute_domain = [w](int concept_id, int attribute) {
    return w->concepts[static_cast<std::size_t>(concept_id)]
        .attrs[static_cast<std::size_t>(attribute)]
        .domain;
  };
  n.word_index = [w](int set, std::string_view word) {
    const auto& words = w->words[static_cast<std::size_t>(set)].words;
    const auto it = std::find(words.begin(), words.end(), word);
    return it == words.end() ? -1 : static_cast<int>(it - words.begin());
  };
  n.derived = [w, m, mechanism](std::string_view name, const TermPtr& argument,
                                int first_free) -> Result<TermPtr> {
    for (const auto& d : w->packs[m]->derived) {
      if (d.name != name) continue;
      const auto expand = [&](int scope, const std::string& text, const std::string& what) {
        Names inner = names_for(*w, scope);
        inner.values["x"] = argument;
        inner.next_variable = first_free;
        return parse_term(text, inner, what);
      };
      SEEDBED_TRY(TermPtr term, expand(mechanism, d.term, "derived " + d.name));
      for (const auto& load : w->loads) {
        if (load.to != mechanism || load.derived != d.name) continue;
        SEEDBED_TRY(TermPtr taken, expand(load.from, load.pack->term, "load " + load.pack->name));
        auto marked = std::make_shared<Term>();
        marked->op = Op::load;
        marked->index = load.edge;
        marked->domain = taken->domain;
        marked->kids = {taken};
        term = binary(Op::sub, term, marked);
      }
      return term;
    }
    return make_error(Where::pack, "term", std::string(name), "unknown function",
                      "wanted count, sum, min, max, argmin, argmax or a derived name");
  };
  return n;
}

}  // namespace seedbed::envgen
