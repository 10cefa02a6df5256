// Why a mutant that is left cannot be told apart.
#include <algorithm>

#include "tasks/battery.h"

namespace seedbed::tasks {
namespace {

using schemas::ChangeKind;
using schemas::FactChange;
using schemas::ToolCall;
using schemas::Value;

}  // namespace

std::string Battery::implied(const Mutant& m) const {
  if (m.name.rfind("obligation:", 0) == 0) return implied_rule(m);
  if (m.name.rfind("choose:", 0) == 0 && all_choices_)
    return "no submission of " + std::to_string(choices_tried_) + " tells it apart";
  if (m.kind == Mutant::Kind::free || m.kind == Mutant::Kind::free_attribute)
    return implied_change(m);
  return "";
}

std::string Battery::implied_rule(const Mutant& m) const {
  const auto& rule = verifier_.obligations[static_cast<std::size_t>(m.index)];
  const auto known = c_.kit.broken_rules.find(rule.tool + "\n" + rule.sql);
  if (known == c_.kit.broken_rules.end()) return "";
  const auto& broken = known->second;
  if (!broken.call)
    return "no call of " + std::to_string(broken.tried) + " breaks it in this state";
  if (!broken.undo)
    return "what breaks it changes facts that the frame holds, and none of " +
           std::to_string(broken.undos_tried) + " calls takes it back";
  return "";
}

bool Battery::changes_alone(int view, int attribute, Touch::Kind kind) const {
  const auto here = [&](const Touch& t) {
    return t.view == view && t.kind == kind && (attribute < 0 || t.attribute == attribute);
  };
  for (std::size_t i = 0; i < touches_->size();) {
    std::size_t end = i;
    bool alone = true;
    for (; end < touches_->size() && (*touches_)[end].call == (*touches_)[i].call; ++end)
      alone = alone && here((*touches_)[end]);
    if (alone) return true;
    i = end;
  }
  return false;
}

std::string Battery::implied_change(const Mutant& m) const {
  const auto [view, attribute] = place(m);
  if (view < 0) return "";
  const FactChange& wanted = verifier_.delta[static_cast<std::size_t>(m.index)];
  if (m.kind == Mutant::Kind::free_attribute) {
    const Value* value = wanted.row.find(m.attribute);
    const bool given =
        std::any_of(c_.gold.calls.begin(), c_.gold.calls.end(), [&](const ToolCall& call) {
          return std::any_of(call.args.members().begin(), call.args.members().end(),
                             [&](const auto& arg) { return value && arg.second == *value; });
        });
    if (given || changes_alone(view, attribute, Touch::Kind::set)) return "";
    return "the call that makes the fact sets it, and no known call sets it later";
  }
  const auto kind = wanted.kind == ChangeKind::add      ? Touch::Kind::add
                    : wanted.kind == ChangeKind::remove ? Touch::Kind::remove
                                                        : Touch::Kind::set;
  if (changes_alone(view, attribute, kind)) {
    if (took_effect(m) || probed_.count(m.name) == 0) return "";
    return "no known call that could change it does so here";
  }
  return "every known call that changes it changes more, which other parts hold";
}

}  // namespace seedbed::tasks
