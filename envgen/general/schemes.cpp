// What packs name beside structure: queries, goals in their own words, ways back; parsed and typed.
#include <algorithm>

#include "base/text.h"
#include "envgen/general/effects.h"

namespace seedbed::envgen {
namespace {

Error bad(const std::string& what, const std::string& text, const std::string& found) {
  return make_error(Where::pack, what, text, found, "see docs/pack-format.md");
}

int transition_named(const World& world, int mechanism, std::string_view name) {
  const std::string symbol =
      world.mechanisms[static_cast<std::size_t>(mechanism)] + "." + std::string(name);
  for (std::size_t t = 0; t < world.transitions.size(); ++t)
    if (world.transitions[t].symbol == symbol) return static_cast<int>(t);
  return -1;
}

struct SchemeReader {
  World& world;
  int mechanism;

  [[nodiscard]] std::string symbol(const std::string& name) const {
    return world.mechanisms[static_cast<std::size_t>(mechanism)] + "." + name;
  }
  Result<std::vector<Param>> params(const Texts& texts, const std::string& what) {
    std::vector<Param> out;
    for (const auto& [name, type] : texts) {
      Param p;
      p.name = name;
      SEEDBED_TRY(p.domain, parse_domain(world, mechanism, type, symbol(name), what));
      out.push_back(p);
    }
    return out;
  }
  // "TRANSITION(term, ...)".
  Result<OperationScheme> operation(const std::string& text,
                                    Names& names,
                                    const std::string& what) {
    const auto open = text.find('(');
    if (open == std::string::npos || trim(text).back() != ')')
      return bad(what, text, "wanted TRANSITION(term, ...)");
    OperationScheme out;
    out.transition = transition_named(world, mechanism, trim(text.substr(0, open)));
    if (out.transition < 0) return bad(what, text, "no such transition of this mechanism");
    const auto& to = world.transitions[static_cast<std::size_t>(out.transition)].params;
    const std::string inner = text.substr(open + 1, text.rfind(')') - open - 1);
    const auto args = split_top(inner, ',');
    if (args.size() != to.size())
      return bad(what, text,
                 "found " + std::to_string(args.size()) + " arguments, wanted " +
                     std::to_string(to.size()));
    for (std::size_t i = 0; i < args.size(); ++i) {
      TermPtr term;
      SEEDBED_TRY(term, parse_term_as(args[i], names, to[i].domain, what));
      if (term->domain.type == Type::ref && term->domain.target != to[i].domain.target)
        return bad(what, text, "argument " + std::to_string(i + 1) + " is of another concept");
      out.args.push_back(term);
    }
    return out;
  }
  // "x: concept | condition" with x bound to variable slot 0.
  Result<std::pair<int, TermPtr>> set(const std::string& text,
                                      Names& names,
                                      const std::string& what) {
    const auto colon = text.find(':'), bar = text.find('|');
    if (colon == std::string::npos || bar == std::string::npos || colon > bar)
      return bad(what, text, "wanted x: concept | condition");
    const int c = names.concept_named(trim(text.substr(colon + 1, bar - colon - 1)));
    if (c < 0) return bad(what, text, "unknown concept or role");
    auto bound = std::make_shared<Term>();
    bound->op = Op::variable;
    bound->index = 0;
    bound->domain = {Type::ref, c, -1, 0, 0, false};
    names.values[std::string(trim(text.substr(0, colon)))] = bound;
    names.next_variable = 1;
    TermPtr condition;
    SEEDBED_TRY(condition, parse_term(text.substr(bar + 1), names, what));
    return std::pair<int, TermPtr>(c, condition);
  }
  Result<NamedRead> read(const PackRead& pack) {
    NamedRead out;
    const std::string what = "read " + symbol(pack.name);
    out.symbol = symbol(pack.name);
    out.mechanism = mechanism;
    out.say = pack.say;
    SEEDBED_TRY(out.params, params(pack.params, what));
    Names names = names_for(world, mechanism);
    for (std::size_t i = 0; i < out.params.size(); ++i)
      names.values[out.params[i].name] = param_of(static_cast<int>(i), out.params[i].domain);
    std::pair<int, TermPtr> found;
    SEEDBED_TRY(found, set("x: " + pack.over + " | " + pack.where, names, what));
    out.over = found.first;
    out.where = found.second;
    return out;
  }
  Result<TellScheme> tell(const PackTell& pack, const Names& outer, const std::string& what) {
    TellScheme out;
    out.field = pack.field;
    out.about = pack.about;
    Names names = outer;
    const std::string text(trim(pack.term));
    if (text.rfind("set(", 0) == 0 && text.back() == ')') {
      std::pair<int, TermPtr> found;
      SEEDBED_TRY(found, set(text.substr(4, text.size() - 5), names, what));
      out.concept_id = found.first;
      out.condition = found.second;
      return out;
    }
    SEEDBED_TRY(out.term, parse_term(text, names, what));
    if (out.term->domain.type == Type::boolean)
      return bad(what, text, "a yes or no is no answer; tell the facts behind it");
    return out;
  }
  Result<GoalScheme> goal(const PackGoal& pack) {
    GoalScheme out;
    out.symbol = symbol(pack.name);
    out.mechanism = mechanism;
    out.say = pack.say;
    const std::string what = "goal " + out.symbol;
    SEEDBED_TRY(out.given, params(pack.given, what));
    Names names = names_for(world, mechanism);
    int slot = 0;
    for (const auto& p : out.given) names.values[p.name] = param_of(slot++, p.domain);
    for (const auto& [name, text] : pack.find) {
      TermPtr term;
      SEEDBED_TRY(term, parse_term(text, names, what));
      if (term->domain.type != Type::ref) return bad(what, text, "a find gives a fact");
      out.find.emplace_back(name, term);
      Domain d = term->domain;
      d.nullable = false;
      names.values[name] = param_of(slot++, d);
    }
    if (!pack.condition.empty()) {
      SEEDBED_TRY(out.condition, parse_term(pack.condition, names, what));
    }
    if (!pack.when.empty()) {
      SEEDBED_TRY(out.when, parse_term(pack.when, names, what));
    }
    Names with_each = names;
    if (!pack.each.empty()) {
      std::pair<int, TermPtr> found;
      SEEDBED_TRY(found, set(pack.each, with_each, what));
      out.each = found.first;
      out.each_condition = found.second;
    }
    for (const auto& text : pack.operations) {
      OperationScheme o;
      SEEDBED_TRY(o, operation(text, with_each, what));
      out.operations.push_back(std::move(o));
    }
    for (const auto& text : pack.otherwise) {
      OperationScheme o;
      SEEDBED_TRY(o, operation(text, names, what));
      out.otherwise.push_back(std::move(o));
    }
    for (const auto& t : pack.tell) {
      TellScheme one;
      SEEDBED_TRY(one, tell(t, names, what));
      out.tell.push_back(std::move(one));
    }
    return out;
  }
};

}  // namespace

Step add_schemes(World& world, bool strict) {
  for (std::size_t m = 0; m < world.packs.size(); ++m) {
    SchemeReader reader{world, static_cast<int>(m)};
    for (const auto& pack : world.packs[m]->transitions) {
      if (pack.undo.empty() || world.left_out.count(reader.symbol(pack.name)) != 0 ||
          world.left_out.count(reader.symbol(pack.undo)) != 0)
        continue;
      const int t = transition_named(world, static_cast<int>(m), pack.name),
                back = transition_named(world, static_cast<int>(m), pack.undo);
      if (t < 0 || back < 0)
        return bad("transition " + reader.symbol(pack.name), pack.undo, "no such transition");
      world.transitions[static_cast<std::size_t>(t)].undo = back;
    }
    for (const auto& pack : world.packs[m]->reads) {
      auto read = reader.read(pack);
      if (read.ok())
        world.reads.push_back(*std::move(read));
      else if (strict)
        return read.error();
    }
    for (const auto& pack : world.packs[m]->goals) {
      auto goal = reader.goal(pack);
      if (goal.ok())
        world.goals.push_back(*std::move(goal));
      else if (strict)
        return goal.error();
    }
  }
  return std::nullopt;
}

std::optional<std::vector<std::int64_t>> duty_of(const World& world,
                                                 const Duty& duty,
                                                 const Facts& facts,
                                                 const std::vector<std::int64_t>& args) {
  std::vector<std::int64_t> variables;
  const Scope scope = scope_of(world, facts, args, variables);
  if (eval(*duty.condition, scope) != 1) return std::nullopt;
  std::vector<std::int64_t> out;
  for (const auto& a : duty.args) out.push_back(eval(*a, scope));
  return out;
}

}  // namespace seedbed::envgen
