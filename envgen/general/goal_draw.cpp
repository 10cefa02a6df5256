// Drawing goals: each kind binds a scheme to the facts so that answer and effect are unique.
#include <algorithm>
#include <functional>

#include "base/text.h"
#include "envgen/general/goal.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}
using Need = Goal::Need;
using Filters = std::vector<std::pair<int, std::int64_t>>;

struct Drawer {
  const Lowered& l;
  const World& w;
  Speaker say;
  Rng rng;

  std::optional<Goal> lookup();
  std::optional<Goal> aggregate();
  std::optional<Goal> achieve();
  std::optional<Goal> multi();
  std::optional<Goal> each();
  std::optional<Goal> conditional();
  std::optional<Goal> refuse();
  std::optional<Goal> ask();

  bool offered(int transition) const {
    return std::any_of(l.surface.tools.begin(), l.surface.tools.end(), [&](const ToolForm& f) {
      return f.kind == ToolForm::Kind::transition && f.transition == transition;
    });
  }
  std::vector<int> transitions() {
    std::vector<int> out;
    for (int t = 0; t < static_cast<int>(w.transitions.size()); ++t)
      if (offered(t)) out.push_back(t);
    rng.shuffle(out);
    return out;
  }
  const Attr& attr(int c, int a) const { return w.concepts[at(c)].attrs[at(a)]; }
  std::string noun(int c, int a) const { return l.skin.concepts[at(c)].nouns[at(a)]; }
  const std::vector<Row>& rows(int c) const { return l.facts.tables[at(c)].rows; }
  std::vector<int> attrs_of(int c, const std::function<bool(const Domain&)>& f) {
    std::vector<int> out;
    for (int a = 0; a < static_cast<int>(w.concepts[at(c)].attrs.size()); ++a)
      if (f(attr(c, a).domain)) out.push_back(a);
    rng.shuffle(out);
    return out;
  }
  std::vector<int> own_concepts() {
    std::vector<int> out;
    for (int c = 0; c < static_cast<int>(w.concepts.size()); ++c)
      if (!w.concepts[at(c)].named()) out.push_back(c);
    rng.shuffle(out);
    return out;
  }
  Answer id_answer(const std::string& field,
                   int c,
                   std::int64_t key,
                   const std::string& about) const {
    Answer a;
    a.field = field;
    a.about = about;
    a.term = fact_ref(c, key);
    a.concept_id = c;
    return a;
  }
  Answer value_answer(
      const std::string& field, const TermPtr& term, int c, int a, const std::string& about) const {
    Answer out;
    out.field = field;
    out.about = about;
    const Type t = term->domain.type;
    out.term = term;
    if (t == Type::ref) out.concept_id = term->domain.target;
    if (t == Type::text) {
      out.concept_id = c;
      out.attribute = a;
    }
    return out;
  }
  std::optional<Filters> some_filters(int c, std::size_t lo, std::size_t hi);
  std::optional<Goal> event_then_tell();
  TermPtr var(int slot, int c) const {
    auto t = std::make_shared<Term>();
    t->op = Op::variable;
    t->index = slot;
    t->domain = {Type::ref, c, -1, 0, 0, false};
    return t;
  }
  TermPtr filter_term(int c, const Filters& filters, int slot) const {
    Reference r;
    r.concept_id = c;
    r.filters = filters;
    return r.condition(w, slot);
  }
};

// One or two filters (a word, a reference to a named fact) that leave between lo and hi facts.
std::optional<Filters> Drawer::some_filters(int c, std::size_t lo, std::size_t hi) {
  const auto usable = attrs_of(c, [&](const Domain& d) {
    return d.type == Type::word || (d.type == Type::ref && w.concepts[at(d.target)].named());
  });
  for (int attempt = 0; attempt < 10 && !usable.empty(); ++attempt) {
    Filters filters;
    const Row& row = rows(c)[static_cast<std::size_t>(rng.below(rows(c).size()))];
    for (const int a : usable) {
      if (row.values[at(a)] == kNone || filters.size() == 2 ||
          (!filters.empty() && rng.chance(1, 2)))
        continue;
      filters.emplace_back(a, row.values[at(a)]);
    }
    const std::size_t n = rows_where(w, l.facts, c, filters).size();
    if (!filters.empty() && n >= lo && n <= hi) return filters;
  }
  return std::nullopt;
}

std::optional<Goal> Drawer::lookup() {
  Goal g;
  g.kind = "lookup";
  if (!w.derived.empty() && rng.chance(3, 5)) {
    std::vector<int> order;
    for (int d = 0; d < static_cast<int>(w.derived.size()); ++d) order.push_back(d);
    rng.shuffle(order);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) {  // those with a shared quantity first
                       std::vector<int> x, y;
                       collect_loads(*w.derived[at(a)].term, x);
                       collect_loads(*w.derived[at(b)].term, y);
                       return x.size() > y.size();
                     });
    const Derived& d = w.derived[at(order[0])];
    const bool shown = std::any_of(
        l.surface.tools.begin(), l.surface.tools.end(),
        [&](const ToolForm& f) { return f.concept_id == d.over && !f.derived.empty(); });
    if (!shown) return std::nullopt;
    const Row& row = rows(d.over)[static_cast<std::size_t>(rng.below(rows(d.over).size()))];
    auto ref = refer(l, l.facts, d.over, row.key, rng);
    if (!ref) return std::nullopt;
    Names names = names_for(w, d.mechanism);
    auto term =
        names.derived(d.symbol.substr(d.symbol.find('.') + 1), fact_ref(d.over, row.key), 0);
    if (!term.ok()) return std::nullopt;
    g.answers.push_back(value_answer("value", *term, -1, -1, "the " + d.noun));
    g.answers.push_back(
        id_answer("record_id", d.over, row.key, "the id of that " + say.noun(d.over)));
    g.needs.push_back({Need::Kind::derived, d.over, {}, {}, row.key, order[0], false});
    g.requests.push_back(std::string(rng.chance(1, 2) ? "tell me the " : "find out the ") + d.noun +
                         " of " + ref->phrase + ", together with its id");
    g.mentions.push_back(*std::move(ref));
    g.expression = "answer(" + d.symbol + "(x))";
    return g;
  }
  for (const int c : own_concepts()) {
    const auto hops = attrs_of(c, [](const Domain& d) { return d.type == Type::ref; });
    for (int attempt = 0; attempt < 4; ++attempt) {
      const Row& row = rows(c)[static_cast<std::size_t>(rng.below(rows(c).size()))];
      auto ref = refer(l, l.facts, c, row.key, rng);
      if (!ref) continue;
      for (const int hop : hops) {
        const int target = attr(c, hop).domain.target;
        const auto far = attrs_of(
            target, [](const Domain& d) { return d.type != Type::ref && d.type != Type::word; });
        if (far.empty() || row.values[at(hop)] == kNone) continue;
        const bool said = std::any_of(ref->filters.begin(), ref->filters.end(),
                                      [&](const auto& f) { return f.first == hop; });
        const int a = far[0];
        if (attr(target, a).name == "name" && said) continue;
        const std::int64_t key = row.values[at(hop)];
        g.answers.push_back(value_answer("value", fact_attribute(w, target, key, a), target, a,
                                         "the " + noun(target, a)));
        g.answers.back().term =
            attribute_of(attribute_of(fact_ref(c, row.key), c, hop, attr(c, hop).domain), target, a,
                         attr(target, a).domain);
        g.answers.push_back(id_answer("record_id", c, row.key, "the id of the " + say.noun(c)));
        g.needs.push_back({Need::Kind::attribute, c, {}, {}, row.key, hop, false});
        g.needs.push_back({Need::Kind::attribute, target, {}, {}, key, a, false});
        g.requests.push_back("look up " + ref->phrase + " and tell me its id and the " +
                             noun(target, a) + " of the " + say.noun(target) + " that it is about");
        g.expression = "answer(" + w.concepts[at(c)].symbol + "." + attr(c, hop).name + "." +
                       attr(target, a).name + ";" + std::to_string(ref->filters.size()) +
                       (ref->extreme >= 0 ? "x" : "") + ")";
        g.mentions.push_back(*std::move(ref));
        return g;
      }
    }
  }
  return std::nullopt;
}

// All facts of one mechanism whose owner also has some fact of another mechanism.
std::optional<Goal> Drawer::aggregate() {
  for (const int c : own_concepts()) {
    for (const int link : attrs_of(c, [&](const Domain& d) {
           return d.type == Type::ref && w.concepts[at(d.target)].named();
         })) {
      const int owner = attr(c, link).domain.target;
      for (const int other : own_concepts()) {
        if (w.concepts[at(other)].mechanism == w.concepts[at(c)].mechanism) continue;
        const auto back = attrs_of(
            other, [&](const Domain& d) { return d.type == Type::ref && d.target == owner; });
        const auto words = attrs_of(other, [](const Domain& d) { return d.type == Type::word; });
        if (back.empty() || words.empty()) continue;
        const Row& sample = rows(other)[static_cast<std::size_t>(rng.below(rows(other).size()))];
        const Filters far{{words[0], sample.values[at(words[0])]}};
        Filters near;
        const auto own_words = attrs_of(c, [](const Domain& d) { return d.type == Type::word; });
        if (!own_words.empty())
          near.emplace_back(own_words[0],
                            rows(c)[static_cast<std::size_t>(rng.below(rows(c).size()))]
                                .values[at(own_words[0])]);
        // count(y: other | y.back = x.link and filters) > 0
        auto count = std::make_shared<Term>();
        count->op = Op::count;
        count->concept_id = other;
        count->index = 1;
        count->domain = {Type::integer, -1, -1, 0, 0, false};
        const TermPtr y = var(1, other), x = var(0, c);
        const TermPtr x_link = attribute_of(x, c, link, attr(c, link).domain);
        count->kids = {binary(
            Op::both,
            binary(Op::eq, attribute_of(y, other, back[0], attr(other, back[0]).domain), x_link),
            filter_term(other, far, 1))};
        TermPtr condition =
            binary(Op::both, filter_term(c, near, 0),
                   binary(Op::gt, count, constant_of(0, {Type::integer, -1, -1, 0, 0, false})));
        std::vector<std::int64_t> keys, variables;
        const std::vector<std::int64_t> none;
        for (const auto& row : rows(c)) {
          variables.assign(1, row.key);
          if (eval(*condition, scope_of(w, l.facts, none, variables)) == 1) keys.push_back(row.key);
        }
        if (keys.size() < 2 || keys.size() > 9 ||
            keys.size() == rows_where(w, l.facts, c, near).size())
          continue;
        Goal g;
        g.kind = "aggregate";
        Answer ids;
        ids.field = "record_ids";
        ids.about = "the ids of those " + say.noun(c, true);
        ids.concept_id = c;
        ids.condition = condition;
        g.answers.push_back(ids);
        const auto numbers = attrs_of(
            c, [](const Domain& d) { return d.type == Type::cents || d.type == Type::integer; });
        Need list{Need::Kind::list, c, near, {link}, kNone, -1, false};
        std::string total;
        if (!numbers.empty()) {
          auto sum = std::make_shared<Term>();
          sum->op = Op::sum;
          sum->concept_id = c;
          sum->index = 0;
          sum->domain = attr(c, numbers[0]).domain;
          sum->domain.nullable = false;
          sum->kids = {condition, attribute_of(x, c, numbers[0], attr(c, numbers[0]).domain)};
          g.answers.push_back(
              value_answer("total", sum, -1, -1, "the sum of their " + noun(c, numbers[0])));
          list.attributes.push_back(numbers[0]);
          total = " and the sum of their " + noun(c, numbers[0]);
        }
        g.needs.push_back(list);
        g.needs.push_back({Need::Kind::list, other, far, {back[0]}, kNone, -1, false});
        const std::string whose = say.noun(owner) + " also has " +
                                  (rng.chance(1, 2) ? "at least one " : "some ") +
                                  say.described(other, far, false);
        g.requests.push_back(
            std::string(rng.chance(1, 2) ? "give me the ids of all " : "list the ids of the ") +
            say.described(c, near, true) + " whose " + whose + total);
        g.expression = "set(" + w.concepts[at(c)].symbol + "|" + attr(c, link).name + "~" +
                       w.concepts[at(other)].symbol + "." + attr(other, back[0]).name + ")" +
                       total.substr(0, 3);
        return g;
      }
    }
  }
  return std::nullopt;
}

std::optional<Goal> Drawer::achieve() {
  for (const int t : transitions()) {
    const auto args = legal_args(w, l.facts, t, rng, 60);
    if (args.size() != w.transitions[at(t)].params.size()) continue;
    auto o = bind_operation(l, l.facts, t, args, rng);
    if (!o) continue;
    Goal g;
    g.kind = "achieve";
    g.requests.push_back(o->phrase);
    g.operations.push_back(*std::move(o));
    g.expression = "achieve(" + w.transitions[at(t)].symbol + ")";
    return g;
  }
  return std::nullopt;
}

// An operation whose event changes something in another mechanism; then tell what changed there.
std::optional<Goal> Drawer::event_then_tell() {
  for (const int t : transitions()) {
    if (w.transitions[at(t)].reactions.empty()) continue;
    for (int attempt = 0; attempt < 12; ++attempt) {
      const auto args = legal_args(w, l.facts, t, rng, 40);
      if (args.size() != w.transitions[at(t)].params.size()) break;
      for (const auto& reaction : w.transitions[at(t)].reactions) {
        Facts with = l.facts, without = l.facts;
        apply(w, t, args, with);
        apply(w, t, args, without, reaction.edge);
        for (int c = 0; c < static_cast<int>(with.tables.size()); ++c)
          for (const auto& row : with.tables[at(c)].rows) {
            const Row* other = without.tables[at(c)].find(row.key);
            if (other != nullptr && *other == row) continue;
            int changed = -1;
            for (int a = 0; a < static_cast<int>(row.values.size()) && changed < 0; ++a)
              if (other == nullptr
                      ? attr(c, a).domain.type != Type::ref && attr(c, a).domain.type != Type::text
                      : other->values[at(a)] != row.values[at(a)])
                changed = a;
            if (changed < 0 || row.values[at(changed)] == kNone) continue;
            auto o = bind_operation(l, l.facts, t, args, rng);
            if (!o) continue;
            Goal g;
            g.kind = "multi";
            g.answers.push_back(id_answer(
                "affected_id", c, row.key,
                "the id of the " + say.noun(c) + " that changed or was made in consequence"));
            g.answers.push_back(value_answer("value_after", fact_attribute(w, c, row.key, changed),
                                             c, changed,
                                             "its " + noun(c, changed) + " afterwards"));
            g.needs.push_back({Need::Kind::attribute, c, {}, {}, row.key, changed, true});
            g.requests.push_back(o->phrase);
            g.requests.push_back(
                std::string(rng.chance(1, 2) ? "then tell me" : "after that, report") + " which " +
                say.noun(c) + (other == nullptr ? " was made" : " changed") +
                " as a consequence (its id) and what its " + noun(c, changed) + " is " +
                (rng.chance(1, 2) ? "now" : "afterwards"));
            g.expression = "seq(" + w.transitions[at(t)].symbol + ",answer(" +
                           w.concepts[at(c)].symbol + "." + attr(c, changed).name + "))";
            g.operations.push_back(*std::move(o));
            return g;
          }
      }
    }
  }
  return std::nullopt;
}

std::optional<Goal> Drawer::multi() {
  if (rng.chance(3, 4))
    if (auto g = event_then_tell()) return g;
  Goal g;
  g.kind = "multi";
  Facts facts = l.facts;
  for (const int t : transitions()) {
    if (!g.operations.empty() &&
        w.transitions[at(g.operations[0].transition)].mechanism == w.transitions[at(t)].mechanism)
      continue;
    const auto args = legal_args(w, facts, t, rng, 40);
    if (args.size() != w.transitions[at(t)].params.size()) continue;
    // Legal from the start as well, so that the wish does not hang on an order.
    Facts alone = l.facts;
    bool known = apply(w, t, args, alone).ok && !forbidden(w, l.facts, t, args);
    auto o = known ? bind_operation(l, l.facts, t, args, rng) : std::nullopt;
    if (!o) continue;
    apply(w, t, args, facts);
    g.requests.push_back(o->phrase);
    g.expression += w.transitions[at(t)].symbol + ";";
    g.operations.push_back(*std::move(o));
    if (g.operations.size() == 2) break;
  }
  if (g.operations.size() < 2) return std::nullopt;
  return g;
}

std::optional<Goal> Drawer::each() {
  for (const int t : transitions()) {
    const Transition& x = w.transitions[at(t)];
    if (x.params.size() != 1 || x.params[0].domain.type != Type::ref ||
        w.concepts[at(x.params[0].domain.target)].named())
      continue;
    const int c = x.params[0].domain.target;
    for (int attempt = 0; attempt < 12; ++attempt) {
      const auto filters = some_filters(c, 2, 4);
      if (!filters) continue;
      Facts facts = l.facts;
      Goal g;
      g.kind = "each";
      bool legal = true;
      for (const auto key : rows_where(w, l.facts, c, *filters)) {
        legal = legal && !forbidden(w, facts, t, {key}) && apply(w, t, {key}, facts).ok;
        Operation o;
        o.transition = t;
        o.args = {key};
        o.refs.emplace_back();
        g.operations.push_back(o);
      }
      if (!legal) continue;
      g.needs.push_back({Need::Kind::list, c, *filters, {}, kNone, -1, false});
      std::string phrase = rng.pick(x.say);
      phrase = replace_all(
          phrase, "{" + x.params[0].name + "}",
          std::string(rng.chance(1, 2) ? "every " : "each ") + say.described(c, *filters, false));
      g.requests.push_back(phrase);
      g.expression = "each(" + x.symbol + ";" + std::to_string(filters->size()) + ")";
      return g;
    }
  }
  return std::nullopt;
}

std::optional<Goal> Drawer::conditional() {
  std::vector<int> order;
  for (int d = 0; d < static_cast<int>(w.derived.size()); ++d) order.push_back(d);
  rng.shuffle(order);
  for (const int id : order) {
    const Derived& d = w.derived[at(id)];
    const bool shown = std::any_of(
        l.surface.tools.begin(), l.surface.tools.end(),
        [&](const ToolForm& f) { return f.concept_id == d.over && !f.derived.empty(); });
    if (!shown) continue;
    for (int attempt = 0; attempt < 8; ++attempt) {
      const Row& row = rows(d.over)[static_cast<std::size_t>(rng.below(rows(d.over).size()))];
      auto ref = refer(l, l.facts, d.over, row.key, rng);
      if (!ref) continue;
      Names names = names_for(w, d.mechanism);
      auto term =
          names.derived(d.symbol.substr(d.symbol.find('.') + 1), fact_ref(d.over, row.key), 0);
      if (!term.ok()) break;
      std::vector<int> loads;
      collect_loads(**term, loads);
      const std::vector<std::int64_t> none;
      std::vector<std::int64_t> variables;
      const std::int64_t value = eval(**term, scope_of(w, l.facts, none, variables));
      const std::int64_t bare =
          loads.empty() ? value : eval(**term, scope_of(w, l.facts, none, variables, loads[0]));
      if (!loads.empty() && bare == value && attempt < 6) continue;
      const std::int64_t bound = bare != value ? std::min(bare, value) : value - rng.between(0, 1);
      Goal g;
      g.kind = "if";
      Condition c;
      c.term = binary(Op::gt, *term, constant_of(bound, {Type::integer, -1, -1, 0, 0, false}));
      c.holds = value > bound;
      std::vector<Operation> two;
      for (const int t : transitions()) {
        const auto args = legal_args(w, l.facts, t, rng, 40);
        if (args.size() != w.transitions[at(t)].params.size() ||
            (two.size() == 1 && two[0].transition == t))
          continue;
        if (auto o = bind_operation(l, l.facts, t, args, rng)) two.push_back(*std::move(o));
        if (two.size() == 2) break;
      }
      if (two.size() < 2) return std::nullopt;
      c.phrase = "the " + d.noun + " of " + ref->phrase + " is " +
                 (rng.chance(1, 2) ? "greater than " : "above ") + std::to_string(bound);
      g.operations.push_back(two[c.holds ? 0 : 1]);
      g.other.push_back(two[c.holds ? 1 : 0]);
      g.requests.push_back("if " + c.phrase + ", " + two[0].phrase + "; otherwise " +
                           two[1].phrase);
      g.condition = c;
      g.needs.push_back({Need::Kind::derived, d.over, {}, {}, row.key, id, false});
      g.mentions.push_back(*std::move(ref));
      g.expression = "if(" + d.symbol + ">n," + w.transitions[at(two[0].transition)].symbol + "," +
                     w.transitions[at(two[1].transition)].symbol + ")";
      return g;
    }
  }
  return std::nullopt;
}

std::optional<Goal> Drawer::refuse() {
  struct Way {
    int transition, rule, gate;
  };
  std::vector<Way> ways;
  for (int r = 0; r < static_cast<int>(w.rules.size()); ++r)
    ways.push_back({w.rules[at(r)].transition, r, -1});
  for (const auto& g : w.gates)
    for (const int t : g.transitions) ways.push_back({t, -1, g.edge});
  rng.shuffle(ways);
  if (rng.chance(2, 3))
    std::stable_sort(ways.begin(), ways.end(),
                     [](const Way& a, const Way& b) { return (a.gate >= 0) > (b.gate >= 0); });
  for (const auto& way : ways) {
    if (!offered(way.transition)) continue;
    const Transition& t = w.transitions[at(way.transition)];
    for (int attempt = 0; attempt < 80; ++attempt) {
      const auto args = sample_args(w, t, l.facts, rng);
      if (args.size() != t.params.size()) break;
      std::vector<std::int64_t> slots = args, variables;
      for (const auto& [name, term] : t.lets)
        slots.push_back(eval(*term, scope_of(w, l.facts, slots, variables)));
      // Exactly this one reason stands against it.
      bool fits = true;
      for (const auto& g : t.guards) {
        const bool mine =
            (way.gate >= 0 && g.edge == way.gate) || (way.rule >= 0 && g.rule == way.rule);
        fits = fits && (eval(*g.term, scope_of(w, l.facts, slots, variables)) == 1) != mine;
      }
      for (int r = 0; r < static_cast<int>(w.rules.size()); ++r)
        if (w.rules[at(r)].transition == way.transition)
          fits = fits && (eval(*w.rules[at(r)].never_if, scope_of(w, l.facts, slots, variables)) ==
                          1) == (r == way.rule);
      if (!fits) continue;
      Refusal refusal;
      refusal.rule = way.rule;
      refusal.gate = way.gate;
      Goal g;
      g.kind = "refuse";
      if (way.rule >= 0) {
        refusal.code = w.rules[at(way.rule)].code;
        for (const auto& e : w.rules[at(way.rule)].evidence) {
          const std::int64_t key = eval(*e, scope_of(w, l.facts, slots, variables));
          if (key != kNone) refusal.evidence.emplace_back(e->domain.target, key);
        }
        g.expression = "refuse(" + w.rules[at(way.rule)].symbol + ")";
      } else {
        for (const auto& gate : w.gates)
          if (gate.edge == way.gate) refusal.code = gate.code;
        refusal.evidence.emplace_back(t.subject->domain.target,
                                      eval(*t.subject, scope_of(w, l.facts, slots, variables)));
        g.expression = "refuse(gate " + w.edges[at(way.gate)].text + ")";
      }
      auto o = bind_operation(l, l.facts, way.transition, args, rng);
      if (!o || refusal.evidence.empty()) continue;
      g.requests.push_back(o->phrase);
      g.operations.push_back(*std::move(o));
      g.refusal = refusal;
      return g;
    }
  }
  return std::nullopt;
}

std::optional<Goal> Drawer::ask() {
  for (const int t : transitions()) {
    const Transition& x = w.transitions[at(t)];
    std::vector<int> hideable;
    for (int i = 0; i < static_cast<int>(x.params.size()); ++i) {
      const Domain& d = x.params[at(i)].domain;
      if (d.type != Type::ref || (x.params.size() > 1 && w.concepts[at(d.target)].named()))
        hideable.push_back(i);
    }
    if (hideable.empty()) continue;
    const auto args = legal_args(w, l.facts, t, rng, 60);
    if (args.size() != x.params.size()) continue;
    auto o = bind_operation(l, l.facts, t, args, rng);
    if (!o) continue;
    const int hidden = rng.pick(hideable);
    const Domain& d = x.params[at(hidden)].domain;
    Goal g;
    g.kind = "ask";
    g.hidden_param = hidden;
    g.hidden_value =
        d.type == Type::ref ? say.name(d.target, args[at(hidden)]) : say.value(d, args[at(hidden)]);
    const std::string what = d.type == Type::ref     ? say.noun(d.target)
                             : d.type == Type::cents ? "amount"
                             : d.type == Type::word  ? "kind"
                             : d.type == Type::date  ? "date"
                                                     : "number";
    // The request again, with the hidden value left open.
    std::string phrase = rng.pick(x.say);
    for (std::size_t i = 0; i < x.params.size(); ++i) {
      const bool open = static_cast<int>(i) == hidden;
      const std::string vague = d.type == Type::ref    ? "the right " + what
                                : d.type == Type::word ? "(you know which kind)"
                                                       : "the usual " + what;
      const std::string words = open ? vague
                                : x.params[i].domain.type == Type::ref
                                    ? o->refs[i].phrase
                                    : say.value(x.params[i].domain, args[i]);
      phrase = replace_all(phrase, "{" + x.params[i].name + "}", words);
    }
    // A phrase that mentions another hidden-named fact by the hidden name would give it away.
    if (phrase.find(g.hidden_value) != std::string::npos) continue;
    g.hidden_keyword = what;
    g.hidden_text = (d.type == Type::ref ? "I mean " : "Please take ") + g.hidden_value + ".";
    g.requests.push_back(phrase);
    g.operations.push_back(*std::move(o));
    g.expression = "ask(" + x.symbol + "." + x.params[at(hidden)].name + ")";
    return g;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Goal> draw_choice(const Lowered& l, Rng rng);  // goal_choose.cpp

std::optional<Goal> draw_goal(const Lowered& l, const std::string& kind, Rng rng) {
  Drawer d{l, *l.world, Speaker{l}, rng};
  if (kind == "lookup") return d.lookup();
  if (kind == "aggregate") return d.aggregate();
  if (kind == "achieve") return d.achieve();
  if (kind == "multi") return d.multi();
  if (kind == "each") return d.each();
  if (kind == "if") return d.conditional();
  if (kind == "choose") return draw_choice(l, rng);
  if (kind == "refuse") return d.refuse();
  if (kind == "ask") return d.ask();
  return std::nullopt;
}

}  // namespace seedbed::envgen
