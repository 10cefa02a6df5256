// Plays made for what is left of the delta's mutants.
#include <algorithm>

#include "tasks/battery.h"
#include "tasks/judge_match.h"
#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

using schemas::ChangeKind;
using schemas::FactChange;
using schemas::Scalar;
using schemas::ToolCall;
using schemas::Value;

constexpr std::size_t kSwaps = 8;   // of one argument, where six swaps were not enough
constexpr std::size_t kProbes = 3;  // plays made for one surviving mutant

}  // namespace

std::pair<int, int> Battery::place(const Mutant& m) const {
  if (m.kind != Mutant::Kind::free && m.kind != Mutant::Kind::free_attribute) return {-1, -1};
  const FactChange& wanted = verifier_.delta[static_cast<std::size_t>(m.index)];
  const int view = judge().facts->view_of(wanted.concept_name);
  const std::string& name = m.kind == Mutant::Kind::free_attribute ? m.attribute : wanted.attribute;
  if (view < 0 || name.empty()) return {view, -1};
  const auto& attributes = judge().env.views[static_cast<std::size_t>(view)].attributes;
  const auto at = std::find(attributes.begin(), attributes.end(), name);
  return {view, at == attributes.end() ? -1 : static_cast<int>(at - attributes.begin())};
}

std::optional<Value> Battery::key_of(const Mutant& m, int view) const {
  const FactChange& wanted = verifier_.delta[static_cast<std::size_t>(m.index)];
  if (wanted.kind != ChangeKind::add) return wanted.key;
  std::optional<Value> out;
  for (const auto& fact : gold_.state->facts)
    if (fact.view == view && fact.row < 0) {
      if (out) return std::nullopt;
      out = value_of(fact.now[0]);
    }
  return out;
}

std::vector<ToolCall> Battery::overwriting(const Mutant& m) const {
  std::vector<ToolCall> out;
  std::map<std::string, int> tools;
  const auto [view, attribute] = place(m);
  const auto key = view < 0 ? std::nullopt : key_of(m, view);
  if (!key) return out;
  for (const auto& touch : *touches_) {
    if (out.size() == kProbes) break;
    if (touch.view != view || touch.kind == Touch::Kind::add ||
        (touch.kind == Touch::Kind::set && attribute >= 0 && touch.attribute != attribute))
      continue;
    ToolCall call = c_.kit.writes[static_cast<std::size_t>(touch.call)];
    bool pointed = false;
    for (auto& [name, value] : call.args.members())
      if (same_value(touch.key, value)) value = *key, pointed = true;
    const auto same = [&](const ToolCall& x) { return x.tool == call.tool && x.args == call.args; };
    if (pointed && std::none_of(out.begin(), out.end(), same) &&
        c_.kit.schemas.at(call.tool).validate(call.args).empty() && ++tools[call.tool] < 3)
      out.push_back(std::move(call));
  }
  return out;
}

std::vector<int> Battery::calls_of(Touch::Kind kind) const {
  std::vector<int> out;
  for (std::size_t i = 0; i < touches_->size();) {
    std::size_t end = i;
    bool all = true;
    for (; end < touches_->size() && (*touches_)[end].call == (*touches_)[i].call; ++end)
      all = all && (*touches_)[end].kind == kind;
    if (all) out.push_back((*touches_)[i].call);
    i = end;
  }
  return out;
}

std::vector<ToolCall> Battery::probes(const Mutant& m) const {
  const auto strays = [&](const std::vector<int>& calls) {
    std::vector<ToolCall> out;
    for (std::size_t n = 0; n < std::min(kProbes, calls.size()); ++n)
      out.push_back(c_.kit.writes[static_cast<std::size_t>(
          calls[n * calls.size() / std::min(kProbes, calls.size())])]);
    return out;
  };
  switch (m.kind) {
    case Mutant::Kind::thaw_set:
      return strays(calls_of(Touch::Kind::set));
    case Mutant::Kind::thaw_add:
      return strays(calls_of(Touch::Kind::add));
    case Mutant::Kind::thaw_removed:
      return strays(calls_of(Touch::Kind::remove));
    default:
      return overwriting(m);
  }
}

void Battery::probe_arguments(const Mutant& m) {
  const auto& row = verifier_.delta[static_cast<std::size_t>(m.index)].row;
  const Value* wanted = row.find(m.attribute);
  std::size_t made = 0;
  for (const int i : writing_calls(c_)) {
    const auto& call = c_.gold.calls[static_cast<std::size_t>(i)];
    for (const auto& [name, value] : call.args.members()) {
      if (wanted == nullptr || value != *wanted) continue;
      const Value* properties = c_.kit.tool(call.tool)->input.find("properties");
      const Value* schema = properties == nullptr ? nullptr : properties->find(name);
      for (auto& other :
           siblings(c_.kit, schema == nullptr ? Value::object() : *schema, name, value, kSwaps)) {
        Value args = call.args;
        args.set(name, std::move(other));
        if (made == kSwaps || !c_.kit.schemas.at(call.tool).validate(args).empty()) continue;
        ++made;
        Script script = c_.gold;
        script.calls[static_cast<std::size_t>(i)].args = std::move(args);
        add_probe(m, std::move(script));
      }
    }
  }
}

void Battery::add_probe(const Mutant& m, Script script) {
  probed_[m.name].push_back(c_.trials.size());
  c_.add({.kind = Trial::Kind::probe,
          .gate = "G13",
          .name = "for " + m.name,
          .script = std::move(script)});
}

int Battery::writer_of(const Mutant& m) const {
  if (m.kind != Mutant::Kind::free) return -1;
  const auto writing = writing_calls(c_);
  const auto& key = verifier_.delta[static_cast<std::size_t>(m.index)].key;
  for (const int i : writing)
    for (const auto& [name, value] : c_.gold.calls[static_cast<std::size_t>(i)].args.members())
      if (value == key) return i;
  return writing.empty() ? -1 : writing.back();
}

bool Battery::took_effect(const Mutant& m) const {
  const auto found = probed_.find(m.name);
  if (found == probed_.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](std::size_t trial) {
    return trial < trial_play_.size() && (plays_[trial_play_[trial]].failing & bits_.facts) != 0;
  });
}

Step Battery::probe() {
  for (const auto& m : mutants.made) {
    if (m.killed || !m.weaker) continue;
    if (m.kind == Mutant::Kind::free_attribute) probe_arguments(m);
    const int instead = writer_of(m);
    for (const auto& call : probes(m)) {
      Script script = c_.gold;
      script.calls.push_back(call);
      add_probe(m, std::move(script));
      if (instead < 0) continue;
      script = c_.gold;
      script.calls[static_cast<std::size_t>(instead)] = call;
      add_probe(m, std::move(script));
    }
  }
  if (judged_ == c_.trials.size()) return std::nullopt;
  if (auto e = c_.play()) return e;
  if (auto e = judge_trials()) return e;
  return decide();
}

}  // namespace seedbed::tasks
