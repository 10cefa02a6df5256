#include "tasks/judge_match.h"

#include <algorithm>
#include <functional>

namespace seedbed::tasks {
namespace {

using schemas::ChangeKind;
using schemas::FactChange;
using schemas::Scalar;
using schemas::Value;
using schemas::View;

int attribute_of(const View& view, const std::string& name) {
  const auto it = std::find(view.attributes.begin(), view.attributes.end(), name);
  return it == view.attributes.end() ? -1 : static_cast<int>(it - view.attributes.begin());
}

class Matcher {
 public:
  Matcher(const std::vector<FactChange>& wanted,
          const std::vector<ChangedFact>& changed,
          const Facts& facts,
          const std::vector<View>& views)
      : wanted_(wanted),
        changed_(changed),
        facts_(facts),
        views_(views),
        used_(wanted.size(), false) {}

  Match run() {
    for (const auto& fact : changed_) {
      if (fact.row < 0)
        added_.push_back(&fact);
      else if (fact.now.empty())
        removed(fact);
      else
        updated(fact);
    }
    match_added();
    for (std::size_t w = 0; w < wanted_.size(); ++w)
      if (!used_[w]) missing(wanted_[w]);
    return std::move(match_);
  }

 private:
  const View& view(int index) const { return views_[static_cast<std::size_t>(index)]; }
  bool is_about(const FactChange& change, int view_index) const {
    return facts_.view_of(change.concept_name) == view_index;
  }
  static void say(std::string& part, const std::string& what) {
    if (part.empty()) part = what;
  }
  std::string name_of(const ChangedFact& fact, const Scalar& key) const {
    return view(fact.view).concept_name + " " + scalar_text(key);
  }

  const FactChange* take(ChangeKind kind,
                         int view_index,
                         const Scalar& key,
                         const std::string& attribute) {
    for (std::size_t w = 0; w < wanted_.size(); ++w) {
      const auto& change = wanted_[w];
      if (used_[w] || change.kind != kind || !is_about(change, view_index) ||
          !same_value(key, change.key))
        continue;
      if (kind == ChangeKind::set && change.attribute != attribute) continue;
      used_[w] = true;
      return &change;
    }
    return nullptr;
  }

  void updated(const ChangedFact& fact) {
    const Scalar* before = facts_.views()[static_cast<std::size_t>(fact.view)].row(fact.row);
    for (std::size_t c = 1; c < fact.now.size(); ++c) {
      if (before[c] == fact.now[c]) continue;
      const std::string& attribute = view(fact.view).attributes[c - 1];
      const auto* change = take(ChangeKind::set, fact.view, before[0], attribute);
      const auto what = [&] {
        return name_of(fact, before[0]) + ": " + attribute + " became " + scalar_text(fact.now[c]);
      };
      if (change == nullptr)
        say(match_.frame, what() + ", which nothing asked for");
      else if (!same_value(fact.now[c], change->value))
        say(match_.delta, what() + ", wanted " + dump(change->value));
    }
  }

  void removed(const ChangedFact& fact) {
    const Scalar& key = *facts_.views()[static_cast<std::size_t>(fact.view)].row(fact.row);
    if (take(ChangeKind::remove, fact.view, key, "") == nullptr)
      say(match_.frame, name_of(fact, key) + " is gone, which nothing asked for");
  }

  // A null in the wanted row stands for null or for the key of any new fact.
  bool fits(const ChangedFact& fact, const FactChange& change) const {
    if (change.kind != ChangeKind::add || !is_about(change, fact.view)) return false;
    for (const auto& [attribute, value] : change.row.members()) {
      const int c = attribute_of(view(fact.view), attribute);
      if (c < 0) return false;
      const Scalar& now = fact.now[static_cast<std::size_t>(c) + 1];
      if (!same_value(now, value) && !(value.is_null() && is_new_key(now))) return false;
    }
    return true;
  }
  bool is_new_key(const Scalar& value) const {
    return std::any_of(added_.begin(), added_.end(),
                       [&](const ChangedFact* f) { return f->now[0] == value; });
  }

  void match_added() {
    std::vector<int> fact_of(wanted_.size(),
                             -1);  // for a wanted add, the new fact it is matched to
    std::vector<bool> tried(wanted_.size());
    const std::function<bool(int)> place = [&](int a) {  // an augmenting path from new fact a
      for (std::size_t w = 0; w < wanted_.size(); ++w) {
        if (tried[w] || !fits(*added_[static_cast<std::size_t>(a)], wanted_[w])) continue;
        tried[w] = true;
        if (fact_of[w] >= 0 && !place(fact_of[w])) continue;
        fact_of[w] = a;
        return true;
      }
      return false;
    };
    std::vector<const ChangedFact*> left;
    for (int a = 0; a < static_cast<int>(added_.size()); ++a) {
      tried.assign(wanted_.size(), false);
      if (!place(a)) left.push_back(added_[static_cast<std::size_t>(a)]);
    }
    for (std::size_t w = 0; w < wanted_.size(); ++w) used_[w] = used_[w] || fact_of[w] >= 0;
    for (const auto* fact : left) absorb(*fact);
  }

  // A new fact of a wanted kind with other attributes is a wrong delta; one too many is the
  // frame's.
  void absorb(const ChangedFact& fact) {
    for (std::size_t w = 0; w < wanted_.size(); ++w) {
      if (used_[w] || wanted_[w].kind != ChangeKind::add || !is_about(wanted_[w], fact.view))
        continue;
      used_[w] = true;
      say(match_.delta, "new " + name_of(fact, fact.now[0]) + " has other attributes than " +
                            dump(wanted_[w].row));
      return;
    }
    say(match_.frame, "new " + name_of(fact, fact.now[0]) + ", which nothing asked for");
  }

  void missing(const FactChange& change) {
    const std::string what = change.kind == ChangeKind::add
                                 ? "new " + change.concept_name + " " + dump(change.row)
                                 : change.concept_name + " " + dump(change.key);
    if (change.kind == ChangeKind::set)
      say(match_.delta, what + ": " + change.attribute + " did not become " + dump(change.value));
    else
      say(match_.delta,
          what + (change.kind == ChangeKind::add ? " is missing" : " is still there"));
  }

  const std::vector<FactChange>& wanted_;
  const std::vector<ChangedFact>& changed_;
  const Facts& facts_;
  const std::vector<View>& views_;
  std::vector<bool> used_;
  std::vector<const ChangedFact*> added_;
  Match match_;
};

}  // namespace

bool same_value(const Scalar& scalar, const Value& value) {
  if (const auto* i = std::get_if<std::int64_t>(&scalar)) {
    if (value.is_bool()) return *i == (value.as_bool() ? 1 : 0);
    if (value.is_int()) return *i == value.as_int();
    return value.is_number() && Value(*i) == value;
  }
  if (const auto* s = std::get_if<std::string>(&scalar))
    return value.is_string() && value.as_string() == *s;
  return value.is_null();
}

std::string scalar_text(const Scalar& scalar) {
  if (const auto* i = std::get_if<std::int64_t>(&scalar)) return std::to_string(*i);
  if (const auto* s = std::get_if<std::string>(&scalar)) return *s;
  return "null";
}

Match match_delta(const std::vector<FactChange>& wanted,
                  const std::vector<ChangedFact>& changed,
                  const Facts& facts,
                  const std::vector<View>& views) {
  return Matcher(wanted, changed, facts, views).run();
}

}  // namespace seedbed::tasks
