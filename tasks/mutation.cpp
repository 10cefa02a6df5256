#include "tasks/mutation.h"

#include <algorithm>
#include <charconv>

#include "tasks/judge_match.h"
#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

using schemas::AnswerField;
using schemas::AnswerType;
using schemas::ChangeKind;
using schemas::FactChange;
using schemas::Outcome;
using schemas::Scalar;
using schemas::Value;
using schemas::Verifier;
using Kind = Mutant::Kind;

constexpr std::size_t kSiblings = 2;

std::uint64_t bit(int i) {
  return std::uint64_t{1} << static_cast<unsigned>(i);
}

Scalar scalar_of(const Value& value) {
  if (value.is_int()) return value.as_int();
  if (value.is_bool()) return std::int64_t{value.as_bool() ? 1 : 0};
  if (value.is_string()) return value.as_string();
  return {};
}

std::string text_of(const Value& value) {
  return value.is_string() ? value.as_string() : dump(value);
}

std::string place_of(const FactChange& change) {
  if (change.kind == ChangeKind::add) return "new " + change.concept_name;
  return change.concept_name + " " + text_of(change.key) +
         (change.kind == ChangeKind::set ? "." + change.attribute : "");
}

class Maker {
 public:
  Maker(const Verifier& verifier, const MutationHints& hints)
      : v_(verifier), hints_(hints), bits_(verifier) {}

  Mutants run() {
    outcome();
    for (std::size_t i = 0; i < v_.answer.size(); ++i)
      field("answer:" + v_.answer[i].name, v_.answer[i], bit(bits_.answers + static_cast<int>(i)));
    if (v_.outcome == Outcome::refuse) refusal();
    for (std::size_t i = 0; i < v_.choose.size(); ++i) choice(static_cast<int>(i));
    for (const auto& post : v_.post)
      imply("post:" + post.name, "delta and frame fix every fact that it reads");
    for (std::size_t i = 0; i < v_.delta.size(); ++i) change(static_cast<int>(i));
    frame();
    for (std::size_t i = 0; i < v_.obligations.size(); ++i)
      put("obligation:" + v_.obligations[i].rule + " dropped",
          {.kind = Kind::drop,
           .part = bit(bits_.obligations + static_cast<int>(i)),
           .index = static_cast<int>(i)});
    return std::move(out_);
  }

 private:
  void put(std::string name, Mutant mutant) {
    mutant.name = std::move(name);
    out_.made.push_back(std::move(mutant));
  }
  void imply(std::string part, std::string reason) {
    out_.implied.push_back({std::move(part), std::move(reason)});
  }

  void outcome() {
    put("outcome negated", {.kind = Kind::negate, .weaker = false, .part = bit(0)});
    if (v_.outcome == Outcome::refuse)
      imply("outcome", "a code is read from a refusal alone");
    else if (!v_.answer.empty() || !v_.choose.empty())
      imply("outcome", "answers are read from a submission alone");
    else
      put("outcome dropped", {.kind = Kind::drop, .part = bit(0)});
  }

  void field(const std::string& name, const AnswerField& wanted, std::uint64_t part) {
    put(name + " dropped", {.kind = Kind::drop, .part = part, .field = wanted});
    put(name + " negated", {.kind = Kind::negate, .weaker = false, .part = part, .field = wanted});
    if (wanted.type == AnswerType::set) {
      set_field(name, wanted, part);
      return;
    }
    const auto number =
        wanted.type == AnswerType::integer ? normal_integer(wanted.accept.front()) : std::nullopt;
    const Value right =
        number ? Value(std::int64_t{std::stoll(*number)}) : Value(wanted.accept.front());
    const auto others = hints_.siblings(wanted.name, right);
    for (std::size_t i = 0; i < others.size() && i < kSiblings; ++i) {
      AnswerField other = wanted;
      other.accept = {text_of(others[i])};
      if (!normal_accept(other) || accepts(wanted, &others[i])) continue;
      put(name + " takes " + other.accept[0] + " too",
          {.kind = Kind::also, .part = part, .field = other});
      if (i == 0)
        put(name + " wants " + other.accept[0],
            {.kind = Kind::instead, .weaker = false, .part = part, .field = other});
    }
  }

  void set_field(const std::string& name, const AnswerField& wanted, std::uint64_t part) {
    if (!wanted.accept.empty())
      put(name + " takes a part of the set", {.kind = Kind::subset, .part = part, .field = wanted});
    put(name + " takes more than the set", {.kind = Kind::superset, .part = part, .field = wanted});
    AnswerField other = wanted;
    if (other.accept.empty()) return;
    other.accept.pop_back();
    put(name + " wants one item fewer",
        {.kind = Kind::instead, .weaker = false, .part = part, .field = other});
  }

  void refusal() {
    const std::uint64_t code = bit(bits_.code);
    put("refuse_code dropped", {.kind = Kind::drop, .part = code});
    put("refuse_code negated", {.kind = Kind::negate, .weaker = false, .part = code});
    for (std::size_t i = 0; i < hints_.other_codes.size() && i < kSiblings; ++i)
      put("refuse_code takes " + hints_.other_codes[i] + " too",
          {.kind = Kind::also,
           .part = code,
           .field = {"reason_code", AnswerType::text, {hints_.other_codes[i]}}});
    if (!hints_.other_codes.empty())
      put("refuse_code wants " + hints_.other_codes[0],
          {.kind = Kind::instead,
           .weaker = false,
           .part = code,
           .field = {"reason_code", AnswerType::text, {hints_.other_codes[0]}}});
    field("evidence", {"evidence_ids", AnswerType::set, v_.refuse_evidence}, bit(bits_.evidence));
  }

  void choice(int i) {
    const auto& condition = v_.choose[static_cast<std::size_t>(i)];
    const std::uint64_t part = bit(bits_.choose + i);
    const std::string name = "choose:" + condition.name;
    put(name + " dropped", {.kind = Kind::drop, .part = part, .index = i});
    put(name + " negated", {.kind = Kind::negate, .weaker = false, .part = part, .index = i});
    std::string sql = widened(condition.sql);
    if (!sql.empty())
      put(name + " with a wider bound",
          {.kind = Kind::widen, .part = part, .index = i, .sql = std::move(sql)});
  }

  void change(int i) {
    const auto& wanted = v_.delta[static_cast<std::size_t>(i)];
    const std::string name = "delta:" + place_of(wanted);
    put(name + " free", {.kind = Kind::free, .part = bits_.facts, .index = i});
    const auto swapped = [&](const std::string& what, FactChange other) {
      put(name + what,
          {.kind = Kind::swap, .weaker = false, .part = bits_.facts, .index = i, .change = other});
    };
    if (wanted.kind == ChangeKind::add) {
      for (const auto& [attribute, value] : wanted.row.members())
        put(name + " with any " + attribute, {.kind = Kind::free_attribute,
                                              .part = bits_.facts,
                                              .index = i,
                                              .attribute = attribute});
      for (const auto& [attribute, value] : wanted.row.members()) {
        const auto others = hints_.siblings(attribute, value);
        if (others.empty()) continue;
        FactChange other = wanted;
        other.row.set(attribute, others[0]);
        swapped(" with " + attribute + " " + text_of(others[0]), std::move(other));
        break;
      }
      return;
    }
    if (const auto others = hints_.siblings("", wanted.key); !others.empty()) {
      FactChange other = wanted;
      other.key = others[0];
      swapped(" moved to " + text_of(others[0]), std::move(other));
    }
    if (wanted.kind != ChangeKind::set) return;
    if (const auto others = hints_.siblings(wanted.attribute, wanted.value); !others.empty()) {
      FactChange other = wanted;
      other.value = others[0];
      swapped(" wants " + text_of(others[0]), std::move(other));
    }
  }

  void frame() {
    const auto one = [&](bool possible, const char* what, Kind kind) {
      if (possible)
        put(std::string("frame: ") + what, {.kind = kind, .part = bits_.facts});
      else
        imply(std::string("frame: ") + what, "no call is known that does this and nothing else");
    };
    one(hints_.writes, "anything else may change", Kind::thaw);
    if (!hints_.writes) return;
    one(hints_.sets, "other attributes may change", Kind::thaw_set);
    one(hints_.adds, "other facts may come", Kind::thaw_add);
    one(hints_.removals, "other facts may go", Kind::thaw_removed);
  }

  const Verifier& v_;
  const MutationHints& hints_;
  PartBits bits_;
  Mutants out_;
};

// ---- what a mutant of delta or frame says of a state ----

class State {
 public:
  State(const Verifier& verifier, const Judge::State& judge, const Difference& difference)
      : v_(verifier), judge_(judge), difference_(difference) {}

  bool fits(const std::vector<FactChange>& wanted, const std::vector<ChangedFact>& changed) const {
    if (!difference_.unseen.empty()) return false;
    const Match match = match_delta(wanted, changed, *judge_.facts, judge_.env.views);
    return match.delta.empty() && match.frame.empty();
  }

  bool holds(const Mutant& m) const {
    auto wanted = v_.delta;
    const auto at = static_cast<std::size_t>(std::max(0, m.index));
    switch (m.kind) {
      case Kind::thaw:
        return match_delta(wanted, difference_.facts, *judge_.facts, judge_.env.views)
            .delta.empty();
      case Kind::thaw_set:
      case Kind::thaw_add:
      case Kind::thaw_removed:
        return fits(wanted, without_extras(m.kind));
      case Kind::swap:
        wanted[at] = m.change;
        return fits(wanted, difference_.facts);
      case Kind::free_attribute: {
        Value row = Value::object();
        for (const auto& [name, value] : wanted[at].row.members())
          if (name != m.attribute) row.set(name, value);
        wanted[at].row = std::move(row);
        return fits(wanted, difference_.facts);
      }
      case Kind::free: {
        if (wanted[at].kind != ChangeKind::add) return fits(wanted, as_wanted(wanted[at]));
        if (fits(wanted, difference_.facts)) return true;
        wanted.erase(wanted.begin() + static_cast<std::ptrdiff_t>(at));
        return fits(wanted, difference_.facts);
      }
      default:
        return false;
    }
  }

 private:
  // The change made as it is wanted, whatever the play did at its place.
  std::vector<ChangedFact> as_wanted(const FactChange& wanted) const {
    auto out = difference_.facts;
    const int view = judge_.facts->view_of(wanted.concept_name);
    if (view < 0) return out;
    const auto& rows = judge_.facts->views()[static_cast<std::size_t>(view)];
    const auto row = rows.by_key.find(scalar_of(wanted.key));
    if (row == rows.by_key.end()) return out;
    auto at = std::find_if(out.begin(), out.end(), [&](const ChangedFact& f) {
      return f.view == view && f.row == row->second;
    });
    if (at == out.end()) {
      const Scalar* first = rows.row(row->second);
      out.push_back({.view = view, .row = row->second, .now = {first, first + rows.width}});
      at = out.end() - 1;
    }
    if (wanted.kind == ChangeKind::remove) {
      at->now.clear();
      return out;
    }
    const auto& attributes = judge_.env.views[static_cast<std::size_t>(view)].attributes;
    const auto column = std::find(attributes.begin(), attributes.end(), wanted.attribute);
    if (at->now.empty() || column == attributes.end()) return out;
    at->now[static_cast<std::size_t>(column - attributes.begin()) + 1] = scalar_of(wanted.value);
    return out;
  }

  bool is_wanted(ChangeKind kind, const ChangedFact& fact, const std::string& attribute) const {
    const auto& rows = judge_.facts->views()[static_cast<std::size_t>(fact.view)];
    return std::any_of(v_.delta.begin(), v_.delta.end(), [&](const FactChange& w) {
      return w.kind == kind && judge_.facts->view_of(w.concept_name) == fact.view &&
             (kind == ChangeKind::add || same_value(*rows.row(fact.row), w.key)) &&
             (kind != ChangeKind::set || w.attribute == attribute);
    });
  }

  std::vector<ChangedFact> without_extras(Kind kind) const {
    std::vector<ChangedFact> out;
    for (auto fact : difference_.facts) {
      if (kind == Kind::thaw_add && fact.row < 0 && !is_wanted(ChangeKind::add, fact, "")) continue;
      if (kind == Kind::thaw_removed && fact.row >= 0 && fact.now.empty() &&
          !is_wanted(ChangeKind::remove, fact, ""))
        continue;
      if (kind == Kind::thaw_set && fact.row >= 0 && !fact.now.empty()) {
        const auto& view = judge_.env.views[static_cast<std::size_t>(fact.view)];
        const Scalar* before =
            judge_.facts->views()[static_cast<std::size_t>(fact.view)].row(fact.row);
        bool differs = false;
        for (std::size_t c = 1; c < fact.now.size(); ++c) {
          if (!is_wanted(ChangeKind::set, fact, view.attributes[c - 1])) fact.now[c] = before[c];
          differs = differs || fact.now[c] != before[c];
        }
        if (!differs) continue;
      }
      out.push_back(std::move(fact));
    }
    return out;
  }

  const Verifier& v_;
  const Judge::State& judge_;
  const Difference& difference_;
};

// Whether the play's set is a proper part of the right one, or the other way round.
bool is_part(const AnswerField& right, const Value* submitted, bool submitted_is_smaller) {
  if (submitted == nullptr) return false;
  const auto given = normal_set(*submitted);
  const auto wanted = normal_accept(right);
  if (!given || !wanted || *given == *wanted) return false;
  return submitted_is_smaller
             ? std::includes(wanted->begin(), wanted->end(), given->begin(), given->end())
             : std::includes(given->begin(), given->end(), wanted->begin(), wanted->end());
}

}  // namespace

PartBits::PartBits(const Verifier& v) {
  int next = 1;
  if (v.outcome == Outcome::refuse)
    code = next++, evidence = next++;
  else
    next += static_cast<int>(v.answer.size());
  choose = next, next += static_cast<int>(v.choose.size());
  post = next, next += static_cast<int>(v.post.size());
  if (!v.delta.empty()) delta = next++;
  frame = next++;
  obligations = next, next += static_cast<int>(v.obligations.size());
  count = next;
  if (count > 64) return;
  for (int i = post; i <= frame; ++i) facts |= bit(i);
}

std::uint64_t failing(const Parts& parts) {
  std::uint64_t out = 0;
  int at = 0;
  for (const auto* group : {&parts.cheap, &parts.asked, &parts.facts, &parts.rules})
    for (const auto& part : *group) {
      if (!part.holds && at < 64) out |= bit(at);
      ++at;
    }
  return out;
}

std::string widened(const std::string& sql) {
  std::size_t end = sql.size();
  while (end > 0 && (sql[end - 1] == ')' || sql[end - 1] == ' ')) --end;
  std::size_t begin = end;
  while (begin > 0 && sql[begin - 1] >= '0' && sql[begin - 1] <= '9') --begin;
  std::int64_t bound = 0;
  if (begin == end ||
      std::from_chars(sql.data() + begin, sql.data() + end, bound).ec != std::errc{})
    return "";
  std::size_t op = begin;
  while (op > 0 && sql[op - 1] == ' ') --op;
  const bool equal = op > 0 && sql[op - 1] == '=';
  if (equal) --op;
  if (op == 0 || (sql[op - 1] != '<' && sql[op - 1] != '>')) return "";
  const std::int64_t step = std::max<std::int64_t>(1, bound / 10);
  bound += sql[op - 1] == '<' ? step : -step;
  return sql.substr(0, begin) + std::to_string(bound) + sql.substr(end);
}

Mutants make_mutants(const Verifier& verifier, const MutationHints& hints) {
  return Maker(verifier, hints).run();
}

Result<bool> kills(
    const Verifier& verifier,
    const PartBits& bits,
    const Mutant& m,
    const JudgedPlay& play,
    const Judge::State& judge,
    const std::function<Result<bool>(const std::string& sql, const JudgedPlay&)>& holds) {
  if ((play.failing & ~m.part) != 0) return false;  // invariant (1)
  const bool held = (play.failing & m.part) == 0;
  if (held && m.weaker) return false;
  const bool code = m.part == (bits.code < 0 ? 0 : bit(bits.code));
  const auto submitted = [&]() -> const Value* {
    const bool ends = play.stop == schemas::Stop::answered || play.stop == schemas::Stop::refused;
    return ends ? play.submitted.find(code ? "reason_code" : m.field.name) : nullptr;
  };
  switch (m.kind) {
    case Kind::drop:
      return !held;
    case Kind::negate:
      return true;
    case Kind::also:
    case Kind::instead:
      return (accepts(m.field, submitted()) || (m.kind == Kind::also && held)) != held;
    case Kind::subset:
    case Kind::superset:
      return is_part(m.field, submitted(), m.kind == Kind::subset);
    case Kind::widen: {
      SEEDBED_TRY(const bool now, holds(m.sql, play));
      return now != held;
    }
    default:
      return play.state != nullptr && State(verifier, judge, *play.state).holds(m) != held;
  }
}

}  // namespace seedbed::tasks
