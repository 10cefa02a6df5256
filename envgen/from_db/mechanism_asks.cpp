// What may be asked about a table, and the rules that hold for what is done with it.
#include <algorithm>

#include "base/text.h"
#include "envgen/from_db/mechanism_maker.h"
#include "envgen/general/skin.h"

namespace seedbed::envgen {

// Goals over the rows that refer to one row of another table.
void DbMaker::goals_of(int link) {
  const DbColumn& x = column(link);
  const std::string o = t.symbol, owner = target(x).symbol, many = t.plural, one = t.singular;
  const std::string mine = "o." + x.attribute + " = p", whose = " with {p} as " + x.noun;
  const auto of = [&](const std::string& more) {
    return "o: " + o + " | " + mine + (more.empty() ? "" : " and " + more);
  };
  const auto numbers = columns(is_number);
  const auto dates = columns([](const DbColumn& c) { return c.type == Type::date; });
  const auto words = columns([](const DbColumn& c) { return c.type == Type::word; });
  const auto tell_rows = [&](const std::string& set) {
    return PackTell{"record_ids", "set(" + set + ")", "the ids of those " + many};
  };
  std::vector<int> measures = numbers;
  measures.insert(measures.end(), dates.begin(), dates.end());
  if (!numbers.empty()) {
    const DbColumn& n = column(rng.pick(numbers));
    PackGoal g;
    g.given.emplace_back("p", "ref " + owner);
    g.tell = {tell_rows(of("")),
              {"total", "sum(" + of("") + ", o." + n.attribute + ")",
               "the sum of their " + n.noun + (n.type == Type::cents ? " in cents" : "")}};
    g.say = {"list the " + many + whose + " and add up their " + n.noun,
             "find all " + many + whose + ", and tell me their ids and what their " + n.noun +
                 " comes to in all"};
    goal(g);
  }
  if (!words.empty()) {
    const DbColumn& w = column(rng.pick(words));
    PackGoal g;
    g.given = {{"p", "ref " + owner}, {"k", "enum " + join(word_symbols(w), "|")}};
    g.tell = {tell_rows(of("o." + w.attribute + " = k"))};
    if (!measures.empty()) {
      const DbColumn& n = column(rng.pick(measures));
      g.tell.push_back({"highest",
                        "max(" + of("o." + w.attribute + " = k") + ", o." + n.attribute + ")",
                        "the " + std::string(n.type == Type::date ? "latest " : "highest ") +
                            n.noun + " among them"});
    }
    g.say = {"give me the ids of the " + many + whose + " whose " + w.noun + " is {k}" +
                 (measures.empty() ? "" : ", and the " + g.tell[1].about.substr(4)),
             "which " + many + whose + " have the " + w.noun + " {k}? I need their ids" +
                 (measures.empty() ? "" : " and the " + g.tell[1].about.substr(4))};
    goal(g);
  }
  // One of them by an extreme value, then something is done with it.
  for (const auto& p : out.transitions) {
    if (measures.empty() || p.params.empty() || p.params[0].first != "x" || p.params.size() > 2)
      continue;
    const DbColumn& n = column(rng.pick(measures));
    if (p.name == "change_" + n.attribute || p.name == "change_" + x.attribute) continue;
    const bool high = rng.chance(1, 2);
    PackGoal g;
    g.given.emplace_back("p", "ref " + owner);
    std::string call = p.name + "(o";
    for (std::size_t i = 1; i < p.params.size(); ++i) {
      g.given.push_back(p.params[i]);
      call += ", " + p.params[i].first;
    }
    if (p.params.size() > 1 && p.params[1].first == "p") continue;
    g.find.emplace_back("o", std::string(high ? "argmax(" : "argmin(") + "o: " + o + " | o." +
                                 x.attribute + " = p, o." + n.attribute + ")");
    g.condition = "count(o: " + o + " | " + mine + ") > 1";
    g.operations = {call + ")"};
    const std::string degree =
        n.type == Type::date ? (high ? "latest " : "earliest ") : (high ? "highest " : "lowest ");
    for (const auto& say : p.say)
      g.say.push_back(
          replace_all(say, "{x}", "whichever " + one + whose + " has the " + degree + n.noun));
    goal(g);
  }
  for (const auto& p : out.transitions) {
    const auto word = std::find_if(words.begin(), words.end(), [&](int c) {
      return p.name == "change_" + column(c).attribute;
    });
    if (word == words.end() || p.params[1].first == "p") continue;
    const DbColumn& w = column(*word);
    PackGoal g;
    g.given = {{"p", "ref " + owner}, p.params[1]};
    g.each = "o: " + o + " | " + mine + " and o." + w.attribute + " != " + p.params[1].first;
    g.operations = {p.name + "(o, " + p.params[1].first + ")"};
    const std::string slot = "{" + p.params[1].first + "}";
    g.say = {
        "bring the " + w.noun + " of every " + one + whose + " to " + slot +
            " where it is anything else",
        "make " + slot + " the " + w.noun + " of all " + many + whose + " that have another one"};
    goal(g);
  }
  if (words.empty()) return;
  // A link further.
  for (const int far : cut.tables[at(cut.place_of(x.target))].columns) {
    const DbColumn& y = target(x).columns[at(far)];
    if (y.type != Type::ref || cut.place_of(y.target) < 0 || y.target == x.target) continue;
    const DbColumn& w = column(rng.pick(words));
    const std::string set = "o: " + o + " | o." + x.attribute + "." + y.attribute + " = p and o." +
                            w.attribute + " = k";
    PackGoal g;
    g.given = {{"p", "ref " + cut.model->tables[at(y.target)].symbol},
               {"k", "enum " + join(word_symbols(w), "|")}};
    g.tell = {tell_rows(set)};
    if (!numbers.empty()) {
      const DbColumn& n = column(rng.pick(numbers));
      g.tell.push_back(
          {"total", "sum(" + set + ", o." + n.attribute + ")", "the sum of their " + n.noun});
    }
    g.say = {"list the " + many + " with " + w.noun + " {k} whose " + x.noun + " has {p} as " +
                 y.noun + (numbers.empty() ? "" : ", and give me " + g.tell[1].about),
             "I need the ids of all " + many + " that have the " + w.noun + " {k} and whose " +
                 x.noun + " belongs to {p} by its " + y.noun +
                 (numbers.empty() ? "" : ", together with " + g.tell[1].about)};
    goal(g);
  }
}

void DbMaker::goals() {
  for (const int link : columns([](const DbColumn& c) { return c.type == Type::ref; })) {
    const DbColumn& x = column(link);
    goals_of(link);
    if (&target(x) == &t) continue;
    const std::string count = "count(o: " + t.symbol + " | o." + x.attribute + " = x)";
    PackGoal g;
    g.find.emplace_back("p", "argmax(x: " + target(x).symbol + " | true, " + count + ")");
    g.tell = {{"record_id", "p", "the id of that " + target(x).singular},
              {"record_ids", "set(o: " + t.symbol + " | o." + x.attribute + " = p)",
               "the ids of these " + t.plural}};
    g.say = {"find out which " + target(x).singular + " is the " + x.noun + " of the most " +
                 t.plural + ", and list these " + t.plural,
             "tell me the " + target(x).singular + " that the largest number of " + t.plural +
                 " have as their " + x.noun + ", and which " + t.plural + " these are"};
    goal(g);
  }
}

// Conditions over the row x under which the operation is forbidden: on its own values, on those of
// a row it refers to, on how many rows refer to it. Constants come from the values in the cut.
void DbMaker::rules_of(const PackTransition& p) {
  const bool removes = p.name == "remove";
  const std::string may_not =
      removes ? " may be removed" : " may get another " + replace_all(p.name.substr(7), "_", " ");
  const auto no = [&](const std::string& which) { return "No {x} " + which + may_not + "."; };
  for (const int c : cut.tables[at(place)].columns) {
    const DbColumn& y = column(c);
    PackRule r;
    r.on = p.name;
    r.evidence = {"x"};
    if (y.type == Type::word) {
      const auto w = static_cast<std::size_t>(rng.below(y.words.size()));
      r.never_if = "x." + y.attribute + " = '" + word_symbols(y)[w] + "'";
      r.code = "protected_" + slug(y.noun);
      r.say = {no("with " + y.noun + " " + y.words[w])};
    } else if (is_number(y)) {
      const auto [lo, hi] = middle(place, c);
      if (lo < 0) continue;
      r.never_if = "x." + y.attribute + " > ?limit";
      r.params.emplace_back("limit", std::to_string(lo) + ".." + std::to_string(std::max(lo, hi)));
      r.code = slug(y.noun) + "_too_high";
      r.say = {no("with " + with_article(y.noun) + " above {limit}" +
                  (y.type == Type::cents ? " cents" : ""))};
    } else if (y.type == Type::ref && &target(y) != &t) {
      for (const int far : cut.tables[at(cut.place_of(y.target))].columns) {
        const DbColumn& z = target(y).columns[at(far)];
        if (z.type != Type::word) continue;
        const auto w = static_cast<std::size_t>(rng.below(z.words.size()));
        PackRule through = r;
        through.never_if =
            "x." + y.attribute + "." + z.attribute + " = '" + word_symbols(z)[w] + "'";
        through.evidence = {"x", "x." + y.attribute};
        through.code = "protected_" + slug(y.noun);
        through.say = {no("whose " + y.noun + " has the " + z.noun + " " + z.words[w])};
        rule(through);
        break;
      }
      continue;
    } else {
      continue;
    }
    rule(r);
  }
  if (removes) return;
  for (const auto& child : children) {
    const DbTable& from = other(child.place);
    PackRule r;
    r.on = p.name;
    r.evidence = {"x"};
    r.never_if = "count(o: " + from.symbol + " | o." + from.columns[at(child.column)].attribute +
                 " = x) > ?limit";
    r.params.emplace_back("limit", "0..4");
    r.code = "too_many_" + slug(from.plural);
    r.say = {no("that more than {limit} " + from.plural + " have as their " +
                from.columns[at(child.column)].noun)};
    rule(r);
  }
}

void DbMaker::rules() {
  for (const auto& p : out.transitions) {
    if (p.params.empty() || p.params[0].first != "x") continue;
    rules_of(p);
  }
}

}  // namespace seedbed::envgen
