// Goals that only read: a value behind a reference, a set of facts joined over two mechanisms.
#include <set>

#include "envgen/general/goal_drawer.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

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

// A fact named outright, or as what a record of another mechanism refers to.
std::optional<Drawer::Owner> Drawer::owner_of(int concept_id) {
  if (rng.chance(4, 5))
    for (const int c : own_concepts()) {
      const auto links = attrs_of(
          c, [&](const Domain& x) { return x.type == Type::ref && x.target == concept_id; });
      if (links.empty()) continue;
      const Row& row = rows(c)[static_cast<std::size_t>(rng.below(rows(c).size()))];
      if (row.values[at(links[0])] == kNone) continue;
      auto ref = refer(l, l.facts, c, row.key, rng);
      const bool said = ref && std::any_of(ref->filters.begin(), ref->filters.end(),
                                           [&](const auto& f) { return f.first == links[0]; });
      if (!ref || said) continue;
      const std::string text = "the " + noun(c, links[0]) + " of " + ref->phrase;
      return Owner{row.values[at(links[0])], text,
                   w.concepts[at(c)].symbol + "." + attr(c, links[0]).name, *std::move(ref),
                   Need{Need::Kind::attribute, c, {}, {}, row.key, links[0], 0, nullptr, 0}};
    }
  const std::int64_t key =
      rows(concept_id)[static_cast<std::size_t>(rng.below(rows(concept_id).size()))].key;
  auto ref = refer(l, l.facts, concept_id, key, rng);
  if (!ref) return std::nullopt;
  const std::string text = ref->phrase;
  return Owner{key, text, "", *std::move(ref), {}};
}

std::optional<Goal> Drawer::lookup() {
  static const char* const kNth[] = {"first", "second", "third", "fourth"};
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
    // Of one fact, or of two to four beside each other.
    Names names = names_for(w, d.mechanism);
    const std::size_t wanted = rng.chance(1, 3) ? static_cast<std::size_t>(rng.between(2, 4)) : 1;
    std::vector<std::string> whose, paths;
    std::set<std::int64_t> keys;
    for (int attempt = 0; attempt < 10 && keys.size() < wanted; ++attempt) {
      auto owner = owner_of(d.over);
      if (!owner || !keys.insert(owner->key).second) continue;
      const std::string field = wanted == 1 ? "" : "_" + std::to_string(keys.size());
      auto term =
          names.derived(d.symbol.substr(d.symbol.find('.') + 1), fact_ref(d.over, owner->key), 0);
      if (!term.ok()) return std::nullopt;
      const std::string of = wanted == 1 ? "" : " of the " + std::string(kNth[keys.size() - 1]);
      g.answers.push_back(value_answer("value" + field, *term, -1, -1, "the " + d.noun + of));
      g.answers.push_back(id_answer(
          "record_id" + field, d.over, owner->key,
          "the id of " +
              (wanted == 1 ? "that " : "the " + std::string(kNth[keys.size() - 1]) + " ") +
              say.noun(d.over)));
      if (owner->need) g.needs.push_back(*owner->need);
      g.needs.push_back({Need::Kind::derived, d.over, {}, {}, owner->key, order[0], 0, nullptr, 0});
      whose.push_back(owner->said);
      paths.push_back(owner->path);
      g.mentions.push_back(std::move(owner->mention));
    }
    if (keys.size() < wanted || keys.empty()) return std::nullopt;
    std::string text = std::string(rng.chance(1, 2) ? "tell me the " : "find out the ") + d.noun;
    for (std::size_t i = 0; i < whose.size(); ++i)
      text += (i == 0 ? " of " : i + 1 < whose.size() ? ", of " : " and of ") + whose[i];
    text += wanted == 1 ? ", together with the id of that " + say.noun(d.over)
                        : ", in this order, each with the id of the " + say.noun(d.over);
    g.requests.push_back(std::move(text));
    g.expression = "answer(" + d.symbol + "(";
    for (std::size_t i = 0; i < paths.size(); ++i) g.expression += (i > 0 ? "," : "") + paths[i];
    g.expression += "))";
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
        g.needs.push_back({Need::Kind::attribute, c, {}, {}, row.key, hop, 0, nullptr, 0});
        g.needs.push_back({Need::Kind::attribute, target, {}, {}, key, a, 0, nullptr, 0});
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
        Need list{Need::Kind::list, c, near, {link}, kNone, -1, 0, nullptr, 0};
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
        g.needs.push_back({Need::Kind::list, other, far, {back[0]}, kNone, -1, 0, nullptr, 0});
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

}  // namespace seedbed::envgen
