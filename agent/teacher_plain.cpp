#include "agent/teacher_plain.h"

#include <algorithm>
#include <climits>
#include <map>
#include <set>

#include "agent/teacher_criteria.h"
#include "base/text.h"

namespace seedbed::agent {
namespace {

using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Value;
using Tools = std::vector<schemas::Tool>;

constexpr std::size_t kMostCompared = 10;  // records of which the least or greatest is taken
constexpr std::size_t kMostFitting = 12;

bool is_page(const GoldStep& step) {
  return step.args.is_object() && step.args.find("offset") != nullptr;
}
std::string name_of(const GoldStep& step) {
  return step.kind == GoldKind::submit   ? std::string(schemas::kSubmitTool)
         : step.kind == GoldKind::refuse ? std::string(schemas::kRefuseTool)
                                         : step.tool;
}

// ---- the plan ----

// Words that two names share, one of them in the singular perhaps.
int kinship(const std::string& argument, const std::string& tool) {
  int out = 0;
  const auto words = words_of(tool);
  for (const auto& word : words_of(argument)) {
    if (word == "id" || word == "ids") continue;
    out += std::any_of(words.begin(), words.end(), [&](const std::string& other) {
      return other == word || other == word + "s" || word == other + "s";
    });
  }
  return out;
}

// The earlier step that an argument most likely comes from, by its name; "" where none is needed.
std::string source_of(const std::string& argument,
                      const GoldStep& step,
                      const std::vector<GoldStep>& steps) {
  std::string best;
  int most = INT_MIN;
  for (const int need : step.needs) {
    if (need < 0 || static_cast<std::size_t>(need) >= steps.size()) continue;
    const GoldStep& from = steps[static_cast<std::size_t>(need)];
    if (from.kind != GoldKind::call) continue;
    // Of names that fit as well, the one that says least besides.
    const int shared = kinship(argument, from.tool);
    const int kin = shared == 0 ? 0 : shared * 100 - static_cast<int>(words_of(from.tool).size());
    if (kin <= most) continue;
    most = kin;
    best = from.tool;
  }
  return best;
}

// Whether a tool's schema lists the values of an argument.
bool is_listed(const Tools& tools, const std::string& tool, const std::string& argument) {
  for (const auto& one : tools) {
    if (one.name != tool) continue;
    const Value* properties = one.input.find("properties");
    const Value* property = properties == nullptr ? nullptr : properties->find(argument);
    return property != nullptr && property->find("enum") != nullptr;
  }
  return false;
}

std::string planned(const GoldStep& step,
                    const std::vector<GoldStep>& steps,
                    const Facts& facts,
                    const Tools& tools) {
  std::string out;
  if (!step.args.is_object()) return name_of(step);
  for (const auto& [name, value] : step.args.members()) {
    const std::string text = value_text(value);
    const std::string from = source_of(name, step, steps);
    std::string one = name;
    if (!text.empty() && text.size() <= kMostShown &&
        (facts.user_says(text) || from.empty() || is_listed(tools, step.tool, name)))
      one += " " + text;
    else if (!from.empty())
      one += " from " + from;
    out += (out.empty() ? "" : ", ") + one;
  }
  return name_of(step) + (out.empty() ? "" : " with " + out);
}

// "Order: find_cage, list_inspections, close_inspection, submit_result"
std::string order(const Outlook& outlook) {
  std::string out, last;
  for (const auto& step : outlook.steps) {
    const std::string name = name_of(step);
    if (step.kind == GoldKind::say || name == last) continue;
    out += (out.empty() ? "Order: " : ", ") + name;
    last = name;
  }
  return out;
}

// From the end: each thing that is done, once, however often.
std::string plan(const Outlook& outlook, const Facts& facts, const Tools& tools) {
  std::string out;
  std::set<std::string> said;
  for (std::size_t i = outlook.steps.size(); i-- > 0;) {
    const GoldStep& step = outlook.steps[i];
    const bool end =
        step.kind == GoldKind::submit && (!step.args.is_object() || step.args.members().empty());
    if (is_page(step) || end || step.kind == GoldKind::say || step.kind == GoldKind::refuse)
      continue;
    const std::string one = planned(step, outlook.steps, facts, tools);
    if (said.insert(one).second) out += (out.empty() ? "Plan: " : "; ") + one;
  }
  return out.empty() ? out : out + ". " + order(outlook) + ". ";
}

// ---- which records ----

class Reasons {
 public:
  Reasons(const Facts& facts, const Outlook& outlook, const std::string& today)
      : facts_(facts), outlook_(outlook), step_(outlook.steps[outlook.next]), today_(today) {
    for (const int need : step_.needs)
      if (need >= 0 && static_cast<std::size_t>(need) < outlook.call_of_step.size())
        preferred_.push_back(outlook.call_of_step[static_cast<std::size_t>(need)]);
    for (const auto& step : outlook.steps)
      if (step.args.is_object())
        for (const auto& [name, value] : step.args.members()) {
          if (!value.is_array())
            owners_.push_back(value_text(value));
          else
            for (const auto& item : value.items()) owners_.push_back(value_text(item));
        }
  }

  std::string arguments() {
    std::string out;
    if (!step_.args.is_object()) return out;
    compare_reads(out);
    // What is taken of a record follows the record.
    for (const bool keys : {true, false})
      for (const auto& [name, value] : step_.args.members()) {
        const auto place =
            value.is_array() ? std::nullopt : facts_.find(value_text(value), preferred_, owners_);
        if ((value.is_array() || (place && key_of(*place->item) == value_text(value))) != keys)
          continue;
        out += value.is_array() ? of_list(name, value) : of_value(name, value_text(value));
      }
    return out;
  }

  // What was done before, and that this comes next.
  std::string transition() {
    if (outlook_.next == 0) return "";
    const GoldStep& before = outlook_.steps[outlook_.next - 1];
    if (before.kind != GoldKind::call ||
        (step_.kind == GoldKind::call && before.tool == step_.tool))
      return "";
    return last_of_several(before) + "After " + name_of(before) + " comes " + name_of(step_) + ". ";
  }

 private:
  std::string last_of_several(const GoldStep& before) {
    if (outlook_.next < 2 || is_page(before) || !before.args.is_object()) return "";
    const GoldStep& other = outlook_.steps[outlook_.next - 2];
    if (other.kind != GoldKind::call || other.tool != before.tool || is_page(other)) return "";
    for (const auto& [name, value] : before.args.members()) {
      const Value* theirs = other.args.find(name);
      const auto place = facts_.find(value_text(value), {}, owners_);
      if (place && (theirs == nullptr || !(*theirs == value)))
        return "After " + key_of(*place->item) + " nothing is left. ";
    }
    return "";
  }

  // Records that were read one by one: which of them stands at the end that the user speaks of.
  void compare_reads(std::string& out) {
    std::map<std::string, std::vector<const Value*>> read;
    for (const auto& call : facts_.calls())
      if (call.items.size() == 1 && call.tool != step_.tool)
        read[call.tool].push_back(call.items.front());
    for (const auto& [tool, rows] : read)
      if (rows.size() > 1 && compare(rows, out)) return;
  }
  bool compare(const std::vector<const Value*>& rows, std::string& out) {
    for (const Value* row : rows) {
      const auto c = criteria(facts_, rows, {key_of(*row)}, today_);
      if (!c || c->by.empty() || !c->conditions.empty()) continue;
      // The one that the call is about: its key or its name stands in the record that is taken.
      if (!leads_to(*row)) continue;
      out += ends(*c, *row);
      return true;
    }
    return false;
  }

  bool leads_to(const Value& row) {
    std::set<std::string> texts;
    for (const auto& [field, value] : row.members())
      if (!value.is_number() || field == row.members().front().first)
        texts.insert(value_text(value));
    for (const auto& [name, value] : step_.args.members()) {
      const std::string text = value_text(value);
      if (text.empty()) continue;
      if (texts.count(text) != 0) return true;
      const auto place = facts_.find(text, preferred_, owners_);
      if (!place) continue;
      for (const auto& [field, held] : place->item->members())
        if (!held.is_number() && texts.count(value_text(held)) != 0) return true;
    }
    return false;
  }

  // "award_date: 2030-06-24 VLC-0005, 2030-07-01 VLC-0009; earliest 2030-06-24 VLC-0005. "
  static std::string ends(const Criteria& c, const Value& chosen) {
    std::vector<const Value*> rows = c.left;
    if (rows.size() > kMostCompared) {
      rows.resize(kMostCompared);
      if (std::find(rows.begin(), rows.end(), &chosen) == rows.end()) rows.back() = &chosen;
    }
    std::string out;
    for (const Value* row : rows) {
      const Value* value = row->find(c.by);
      if (value != nullptr)
        out += (out.empty() ? "" : ", ") + value_text(*value) + " " + key_of(*row);
    }
    const Value& value = *chosen.find(c.by);
    return c.by + ": " + out + "; " + std::string(end_of(c, value)) + " " + value_text(value) +
           " " + key_of(chosen) + ". ";
  }

  // Why these records of the list of a call.
  std::string fitting(const std::vector<const Value*>& rows, const std::set<std::string>& chosen) {
    const auto c = criteria(facts_, rows, chosen, today_);
    std::string keys;
    const Value* last = nullptr;
    std::size_t count = 0;
    for (const Value* row : rows) {
      if (chosen.count(key_of(*row)) == 0 || ++count > kMostFitting) continue;
      keys += (keys.empty() ? "" : ", ") + key_of(*row);
      last = row;
    }
    if (last == nullptr) return "";
    if (!c) return "Of them " + keys + ". ";
    const std::string fit = c->conditions.empty() ? "" : "Fit by " + text_of(c->conditions) + ": ";
    if (c->by.empty()) return (fit.empty() ? "All fit: " : fit) + keys + ". ";
    std::string all;
    for (std::size_t i = 0; i < std::min(c->left.size(), kMostFitting); ++i)
      all += (i == 0 ? "" : ", ") + key_of(*c->left[i]);
    return (fit.empty() ? "" : fit + all + ". ") + ends(*c, *last);
  }

  // The records of a list of which calls of this tool take `field`, now and later, by their keys,
  // and the last one before.
  std::set<std::string> taken(const std::string& argument,
                              const std::string& field,
                              const std::vector<const Value*>& rows,
                              std::string& before) const {
    std::set<std::string> out;
    for (std::size_t i = 0; i < outlook_.steps.size(); ++i) {
      const GoldStep& other = outlook_.steps[i];
      if (other.kind != step_.kind || other.tool != step_.tool || !other.args.is_object()) continue;
      const Value* value = other.args.find(argument);
      const std::string text = value == nullptr ? "" : value_text(*value);
      const Value* found = nullptr;
      for (const Value* row : rows) {
        const Value* held = row->find(field);
        if (text.empty() || held == nullptr || value_text(*held) != text) continue;
        if (found == nullptr || (!owned(*found) && owned(*row))) found = row;
      }
      if (found == nullptr) continue;
      out.insert(key_of(*found));
      if (i < outlook_.next) before = key_of(*found);
    }
    return out;
  }
  bool owned(const Value& row) const {
    return std::find(owners_.begin(), owners_.end(), key_of(row)) != owners_.end();
  }

  std::string of_value(const std::string& argument, const std::string& value) {
    if (value.empty() || value.size() > kMostShown || argument == "offset") return "";
    const bool submitted = step_.kind == GoldKind::submit;
    const auto place = facts_.find(value, preferred_, owners_);
    if (!place || (facts_.user_says(value) && !submitted)) return "";
    const std::string key = key_of(*place->item);
    const auto rows = facts_.beside(place->call);
    const std::string has = key == value ? "" : key + " has " + place->field + " " + value + ". ";
    if (!done_.insert(key).second) return has;
    shown_.push_back(place->item);
    for (const Value* other : shown_)
      for (const auto& [field, held] : other->members())
        if (other != place->item && key_of(*other) != key && value_text(held) == key)
          return key_of(*other) + " has " + field + " " + key + ". " + has;
    if (rows.size() < 2)
      return has.empty() ? facts_.calls()[place->call].tool + " gives " + value + ". " : has;
    std::string before;
    auto chosen = taken(argument, place->field, rows, before);
    if (submitted || chosen.count(key) == 0) chosen = {key};
    if (!submitted && !before.empty() && before != key)
      return "After " + before + " comes " + key + ". " + has;
    return fitting(rows, chosen) + has;
  }

  std::string of_list(const std::string& argument, const Value& list) {
    if (list.items().empty()) return "Nothing fits, so " + argument + " is empty. ";
    std::set<std::string> chosen;
    for (const auto& item : list.items()) chosen.insert(value_text(item));
    const auto place = facts_.find(value_text(list.items().front()), preferred_, owners_);
    if (!place) return "";
    const auto rows = facts_.beside(place->call);
    if (key_of(*place->item) != value_text(list.items().front())) return "";
    if (rows.size() < 2)
      return facts_.calls()[place->call].tool + " gives " + *chosen.begin() + ". ";
    return fitting(rows, chosen);
  }

  const Facts& facts_;
  const Outlook& outlook_;
  const GoldStep& step_;
  const std::string& today_;
  std::vector<std::size_t> preferred_;
  std::vector<std::string> owners_;  // values that steps take: their records rather than others
  std::set<std::string> done_;       // keys of records that were told of
  std::vector<const Value*> shown_;  // those records
};

// "So I call take_back_crate_loan: crate_loan_id 7002."
std::string made(const GoldStep& step) {
  std::string out;
  if (step.args.is_object())
    for (const auto& [name, value] : step.args.members()) {
      std::string text;
      if (value.is_array()) {
        for (const auto& item : value.items()) text += (text.empty() ? "" : " ") + value_text(item);
      } else {
        text = value_text(value);
      }
      if (text.empty() || text.size() > kMostShown * 2 || text.find('\n') != std::string::npos)
        text.clear();
      out += (out.empty() ? ": " : ", ") + name + (text.empty() ? "" : " " + text);
    }
  return "So I call " + name_of(step) + out + ".";
}

}  // namespace

std::string plain_reason(const Facts& facts,
                         const Outlook& outlook,
                         const Tools& tools,
                         const std::string& today) {
  const GoldStep& step = outlook.steps[outlook.next];
  std::string out;
  if (outlook.next == 0) out += plan(outlook, facts, tools);
  if (is_page(step)) {
    out += "next_offset is " + value_text(*step.args.find("offset")) + ". ";
  } else if (outlook.next > 0 && outlook.steps[outlook.next - 1].tool == step.tool &&
             outlook.steps[outlook.next - 1].args == step.args && step.kind == GoldKind::call) {
    out += "That was not done yet, so again. ";
  } else {
    Reasons reasons(facts, outlook, today);
    out += reasons.transition();
    if (!facts.calls().empty() && facts.calls().back().error.empty() &&
        facts.calls().back().items.empty())
      out += "That list is empty. ";
    out += reasons.arguments();
  }
  const std::string call = made(step);
  return word_count(out) + word_count(call) <= kMostPlainWords ? out + call : call;
}

}  // namespace seedbed::agent
