// Referring expressions: the shortest description found that fits exactly one fact, proven by
// counting.
#include <algorithm>

#include "base/text.h"
#include "envgen/general/goal.h"
#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

bool has(const std::vector<std::pair<int, std::int64_t>>& filters, int attribute) {
  return std::any_of(filters.begin(), filters.end(),
                     [&](const auto& f) { return f.first == attribute; });
}

// "the motion moved by Adil Kapoor that has the lowest quorum", in one of its forms.
std::string superlative(const Speaker& say, const Reference& r, Rng& rng) {
  const Domain& d = say.l.world->concepts[at(r.concept_id)].attrs[at(r.extreme)].domain;
  const std::string& noun = say.l.skin.concepts[at(r.concept_id)].nouns[at(r.extreme)];
  const std::string one = say.described(r.concept_id, r.filters, false);
  if (const std::string ending = extreme_ending(d.type, noun, r.lowest); !ending.empty())
    return "the " + one + " " + ending;
  const std::string most = extreme_words(d.type, noun, r.lowest, rng.below(2));
  switch (rng.below(5)) {
    case 0:
      return "the one with the " + most + " among the " +
             say.described(r.concept_id, r.filters, true);
    case 1:
      return "whichever " + one + " has the " + most;
    case 2:
      return "the " + one + " with the " + most;
    default:
      return "the " + one + " that has the " + most;
  }
}

}  // namespace

std::string Speaker::noun(int c, bool plural) const {
  const ConceptSkin& s = l.skin.concepts[at(c)];
  return plural ? s.plural : s.singular;
}

std::string Speaker::name(int c, std::int64_t key) const {
  const Concept& concept_ = l.world->concepts[at(c)];
  const int a = concept_.attr("name");
  if (a < 0) return "";
  const Row* row = l.facts.tables[at(c)].find(key);
  return row == nullptr ? "" : l.renderer().attribute(c, a, row->values[at(a)]).as_string();
}

std::string Speaker::value(const Domain& domain, std::int64_t v) const {
  if (v == kNone) return "none";
  if (domain.type == Type::ref) return name(domain.target, v);
  const schemas::Value x = l.renderer().value(domain, v);
  if (x.is_string()) return x.as_string();
  return std::to_string(x.as_int()) + (domain.type == Type::cents ? " cents" : "");
}

std::string Speaker::value(int c, int a, std::int64_t v) const {
  const Domain& d = l.world->concepts[at(c)].attrs[at(a)].domain;
  if (d.type == Type::text && v != kNone) return l.renderer().attribute(c, a, v).as_string();
  return value(d, v);
}

// States before the noun, references after it, then plain values.
std::string Speaker::described(int c,
                               const std::vector<std::pair<int, std::int64_t>>& filters,
                               bool plural) const {
  const Concept& concept_ = l.world->concepts[at(c)];
  std::string before, after, values;
  for (const auto& [a, v] : filters) {
    const Attr& attr = concept_.attrs[at(a)];
    const std::string& noun_of = l.skin.concepts[at(c)].nouns[at(a)];
    if (attr.domain.type == Type::word) {
      before += value(c, a, v) + " ";
    } else if (attr.domain.type == Type::ref) {
      const std::string with =
          attr.with.empty() ? "whose " + noun_of + " " + be(noun_of) + " {}" : attr.with;
      after += " " + replace_all(with, "{}", name(attr.domain.target, v));
    } else {
      values +=
          (values.empty() ? " " : " and ") + value_words(attr.domain.type, noun_of, value(c, a, v));
    }
  }
  return before + noun(c, plural) + after + values;
}

TermPtr Reference::condition(const World& world, int variable) const {
  auto self = std::make_shared<Term>();
  self->op = Op::variable;
  self->index = variable;
  self->domain = {Type::ref, concept_id, -1, 0, 0, false};
  std::vector<TermPtr> parts;
  for (const auto& [a, v] : filters) {
    const Domain& d = world.concepts[at(concept_id)].attrs[at(a)].domain;
    parts.push_back(binary(Op::eq, attribute_of(self, concept_id, a, d), constant_of(v, d)));
  }
  const TermPtr all = all_of(parts);
  return all ? all : constant_of(1, {Type::boolean, -1, -1, 0, 1, false});
}

std::vector<std::int64_t> rows_where(const World&,
                                     const Facts& facts,
                                     int c,
                                     const std::vector<std::pair<int, std::int64_t>>& filters) {
  std::vector<std::int64_t> out;
  for (const auto& row : facts.tables[at(c)].rows)
    if (std::all_of(filters.begin(), filters.end(),
                    [&](const auto& f) { return row.values[at(f.first)] == f.second; }))
      out.push_back(row.key);
  return out;
}

namespace {

// Leaves out, from the last on, whatever the description does not need to fit one fact. A state or
// a reference stays: nothing can be searched by a plain value alone.
void drop_needless(const Lowered& l, const Facts& facts, Reference& r) {
  const auto& attrs = l.world->concepts[at(r.concept_id)].attrs;
  const auto leads = [&](const Reference& x) {
    return std::any_of(x.filters.begin(), x.filters.end(), [&](const auto& f) {
      const Type t = attrs[at(f.first)].domain.type;
      return t == Type::word || t == Type::ref;
    });
  };
  const bool led = leads(r);
  for (std::size_t i = r.filters.size(); i-- > 0 && r.filters.size() > 1;) {
    Reference less = r;
    less.filters.erase(less.filters.begin() + static_cast<std::ptrdiff_t>(i));
    if ((!led || leads(less)) && fits_one(l, facts, less)) r = std::move(less);
  }
}

}  // namespace

std::optional<Reference> refer(
    const Lowered& l, const Facts& facts, int c, std::int64_t key, Rng& rng) {
  const Concept& concept_ = l.world->concepts[at(c)];
  const Speaker say{l};
  const Row* row = facts.tables[at(c)].find(key);
  if (row == nullptr) return std::nullopt;
  Reference r;
  r.concept_id = c;
  r.key = key;
  if (concept_.named()) {
    r.by_name = true;
    const std::string name = say.name(c, key);
    r.phrase = concept_.archetype == "Party" || rng.chance(1, 3)
                   ? name
                   : "the " + say.noun(c) + " " + name;
    return r;
  }
  // References to named facts first (they lead somewhere), then words; a superlative last, then
  // plain values.
  std::vector<int> refs, words, numbers;
  for (int a = 0; a < static_cast<int>(concept_.attrs.size()); ++a) {
    const Domain& d = concept_.attrs[at(a)].domain;
    const std::int64_t v = row->values[at(a)];
    if (v == kNone) continue;
    if (d.type == Type::ref && l.world->concepts[at(d.target)].named()) refs.push_back(a);
    if (d.type == Type::word) words.push_back(a);
    if (d.type == Type::date || d.type == Type::cents || d.type == Type::integer)
      numbers.push_back(a);
  }
  rng.shuffle(refs);
  rng.shuffle(words);
  rng.shuffle(numbers);
  std::vector<int> order = refs;
  order.insert(order.end(), words.begin(), words.end());
  const auto matches = [&] { return rows_where(*l.world, facts, c, r.filters); };
  for (const int a : order) {
    r.filters.emplace_back(a, row->values[at(a)]);
    const auto left = matches();
    if (left.size() == 1) break;
    if (left.size() <= 6 && !numbers.empty() && rng.chance(2, 3)) {
      for (const int n : numbers) {
        std::size_t below = 0, above = 0, equal = 0;
        for (const auto k : left) {
          const std::int64_t v = facts.tables[at(c)].find(k)->values[at(n)];
          if (v == kNone) {
            ++equal;
            continue;
          }
          below += v < row->values[at(n)] ? 1U : 0U;
          above += v > row->values[at(n)] ? 1U : 0U;
          equal += v == row->values[at(n)] ? 1U : 0U;
        }
        if (equal != 1 || (below != 0 && above != 0)) continue;
        r.extreme = n;
        r.lowest = below == 0;
        break;
      }
      if (r.extreme >= 0) break;
    }
  }
  for (std::size_t i = 0; r.extreme < 0 && i < numbers.size() && matches().size() > 1; ++i)
    if (!has(r.filters, numbers[i]))
      r.filters.emplace_back(numbers[i], row->values[at(numbers[i])]);
  if (r.extreme < 0 && matches().size() != 1) return std::nullopt;
  drop_needless(l, facts, r);
  r.phrase = r.extreme < 0 ? "the " + say.described(c, r.filters, false) : superlative(say, r, rng);
  return r;
}

bool fits_one(const Lowered& l, const Facts& facts, const Reference& r) {
  if (r.concept_id < 0) return true;
  const auto& rows = facts.tables[at(r.concept_id)].rows;
  if (r.by_name) {
    const Speaker say{l};
    const std::string name = say.name(r.concept_id, r.key);
    return !name.empty() && std::count_if(rows.begin(), rows.end(), [&](const Row& row) {
                              return say.name(r.concept_id, row.key) == name;
                            }) == 1;
  }
  const TermPtr condition = r.condition(*l.world, 0);
  const std::vector<std::int64_t> none;
  std::vector<std::int64_t> best;
  std::int64_t extremum = kNone;
  for (const auto& row : rows) {
    std::vector<std::int64_t> variables{row.key};
    if (eval(*condition, scope_of(*l.world, facts, none, variables)) != 1) continue;
    const std::int64_t v = r.extreme < 0 ? 0 : row.values[at(r.extreme)];
    if (r.extreme >= 0 && v == kNone) continue;
    if (best.empty() || (r.lowest ? v < extremum : v > extremum)) {
      best = {row.key};
      extremum = v;
    } else if (v == extremum) {
      best.push_back(row.key);
    }
  }
  return best.size() == 1 && best[0] == r.key;
}

TermPtr fact_ref(int c, std::int64_t key) {
  return constant_of(key, {Type::ref, c, -1, 0, 0, false});
}
TermPtr fact_attribute(const World& world, int c, std::int64_t key, int attribute) {
  return attribute_of(fact_ref(c, key), c, attribute,
                      world.concepts[at(c)].attrs[at(attribute)].domain);
}

bool forbidden(const World& world,
               const Facts& facts,
               int transition,
               const std::vector<std::int64_t>& args) {
  const Transition& t = world.transitions[at(transition)];
  for (const auto& rule : world.rules) {
    if (rule.transition != transition || rule.enforced) continue;
    std::vector<std::int64_t> variables;
    std::vector<std::int64_t> slots = args;
    for (const auto& [name, term] : t.lets)
      slots.push_back(eval(*term, scope_of(world, facts, slots, variables)));
    if (eval(*rule.never_if, scope_of(world, facts, slots, variables)) == 1) return true;
  }
  return false;
}

std::vector<std::int64_t> legal_args(
    const World& world, const Facts& facts, int transition, Rng& rng, int tries) {
  for (int i = 0; i < tries; ++i) {
    const auto args = sample_args(world, world.transitions[at(transition)], facts, rng);
    if (args.size() != world.transitions[at(transition)].params.size()) return {};
    if (forbidden(world, facts, transition, args)) continue;
    if (may_apply(world, transition, args, facts).ok) return args;
  }
  return {};
}

std::optional<Operation> bind_operation(const Lowered& l,
                                        const Facts& facts,
                                        int transition,
                                        const std::vector<std::int64_t>& args,
                                        Rng& rng) {
  const Transition& t = l.world->transitions[at(transition)];
  const Speaker say{l};
  Operation o;
  o.transition = transition;
  o.args = args;
  std::vector<std::pair<std::string, std::string>> slots;
  for (std::size_t i = 0; i < t.params.size(); ++i) {
    const Domain& d = t.params[i].domain;
    o.refs.emplace_back();
    std::string words;
    if (d.type == Type::ref) {
      auto r = refer(l, facts, d.target, args[i], rng);
      if (!r) return std::nullopt;
      words = r->phrase;
      o.refs.back() = *std::move(r);
    } else {
      words = say.value(d, args[i]);
    }
    slots.emplace_back(t.params[i].name, std::move(words));
  }
  o.phrase = pick_phrase(l.skin.says[at(transition)], slots, rng);
  for (const auto& [name, words] : slots) o.phrase = replace_all(o.phrase, "{" + name + "}", words);
  return o;
}

}  // namespace seedbed::envgen
