#include "agent/teacher_plain.h"

#include <algorithm>
#include <map>
#include <set>

#include "agent/teacher_criteria.h"
#include "agent/teacher_plan.h"
#include "base/text.h"

namespace seedbed::agent {
namespace {

using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Value;

constexpr std::size_t kMostScanned = 24;  // records of a list that are gone through
constexpr std::size_t kMostFitting = 12;

// Whether the tool of the step before is called once more.
bool is_again(const Outlook& outlook) {
  if (outlook.next == 0) return false;
  const GoldStep &before = outlook.steps[outlook.next - 1], &step = outlook.steps[outlook.next];
  return before.kind == GoldKind::call && step.kind == GoldKind::call && before.tool == step.tool;
}

// "open state: BD-0001 sealed no, BD-0003 open yes. "
std::string scan(const std::vector<const Value*>& rows, const std::vector<Condition>& conditions) {
  std::string out;
  for (const Value* row : rows) {
    out += (out.empty() ? "" : ", ") + key_of(*row);
    bool fits = true;
    for (const auto& condition : conditions) {
      if (!fits) break;
      fits = holds(condition, *row);
      out += " " + text_in(*row, condition.field);
    }
    out += fits ? " yes" : " no";
  }
  return text_of(conditions) + ": " + out + ". ";
}

// "earliest award_date: VLC-0005 2030-06-24 yes, VLC-0009 2030-07-01 no. So VLC-0005. ": yes where
// none before it is better.
std::string scan_ends(const Criteria& c, const Value& chosen) {
  std::string out, best;
  for (const Value* row : c.left) {
    const std::string text = text_in(*row, c.by);
    const bool better = best.empty() || (c.least ? below(text, best) : below(best, text)) == true;
    if (better) best = text;
    out += (out.empty() ? "" : ", ") + key_of(*row) + " " + text + (better ? " yes" : " no");
  }
  return std::string(end_of(c, *chosen.find(c.by))) + " " + c.by + ": " + out + ". So " +
         key_of(chosen) + ". ";
}

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
    if (before.kind != GoldKind::call || is_again(outlook_)) return "";
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
      if (place && key_of(*place->item) == value_text(value) &&
          (theirs == nullptr || !(*theirs == value)))
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
    std::set<std::string> keys;
    for (const Value* row : rows) keys.insert(key_of(*row));
    if (keys.size() < rows.size()) return false;
    for (const Value* row : rows) {
      const auto c = criteria(facts_, rows, {key_of(*row)}, today_);
      if (!c || c->by.empty() || !c->conditions.empty() || facts_.user_names(c->by) == 0) continue;
      // The one that the call is about: its key or its name stands in the record that is taken.
      if (!leads_to(*row)) continue;
      out += scan_ends(*c, *row);
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

  // "Quiet Bay is BA-0003. ": what the conditions take for the name that the user said.
  std::string names(const Criteria& c) const {
    std::string out;
    for (const auto& one : c.conditions) {
      const std::string& value = one.values[0];
      const auto place = one.is == Condition::Is::equal && !facts_.told(value) ? facts_.named(value)
                                                                               : std::nullopt;
      if (place) out += text_in(*place->item, place->field) + " is " + value + ". ";
    }
    return out;
  }

  // Why these records of the list of a call: each record with what counts of it, and whether it
  // fits, before those that do.
  std::string fitting(const std::vector<const Value*>& rows, const std::set<std::string>& chosen) {
    const auto c = criteria(facts_, rows, chosen, today_);
    std::vector<std::string> keys;
    const Value* last = nullptr;
    for (const Value* row : rows) {
      if (chosen.count(key_of(*row)) == 0 || keys.size() == kMostFitting) continue;
      keys.push_back(key_of(*row));
      last = row;
    }
    if (last == nullptr) return "";
    if (!c || rows.size() > kMostScanned) return "Of them " + join(keys, ", ") + ". ";
    std::string out;
    if (!c->conditions.empty()) out = names(*c) + scan(rows, c->conditions);
    if (!c->by.empty()) return out + scan_ends(*c, *last);
    return (out.empty() ? "All fit: " : out + "Fit: ") + join(keys, ", ") + ". ";
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
    if (rows.size() < 2) return has;
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
    if (rows.size() < 2) return "";
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

// "7002 for crate_loan_id, 2031-03-05 for date. "
std::string given(const GoldStep& step) {
  std::string out;
  if (!step.args.is_object()) return out;
  for (const auto& [name, value] : step.args.members()) {
    std::string text = value_text(value);
    if (value.is_array())
      for (const auto& item : value.items()) text += (text.empty() ? "" : " ") + value_text(item);
    if (text.empty() || text.size() > kMostShown * 2 || text.find('\n') != std::string::npos)
      text = "text";
    out += (out.empty() ? "" : ", ") + text + " for " + name;
  }
  return out.empty() ? out : out + ". ";
}

}  // namespace

std::string plain_reason(const Facts& facts,
                         const Outlook& outlook,
                         bool planned,
                         const std::string& today) {
  const GoldStep& step = outlook.steps[outlook.next];
  std::string out = planned ? "" : plan(outlook, facts);
  if (is_page(step)) {
    out += "next_offset is " + value_text(*step.args.find("offset")) + ". ";
  } else if (outlook.next > 0 && outlook.steps[outlook.next - 1].tool == step.tool &&
             outlook.steps[outlook.next - 1].args == step.args && step.kind == GoldKind::call) {
    out += "That was not done yet, so again. ";
  } else {
    Reasons reasons(facts, outlook, today);
    const std::string arguments = reasons.arguments();
    out += reasons.transition();
    if (!facts.calls().empty() && facts.calls().back().error.empty() &&
        facts.calls().back().items.empty())
      out += "That list is empty. ";
    if (is_again(outlook) && !arguments.starts_with("After ")) out += "Again " + step.tool + ". ";
    out += arguments;
  }
  const std::string last = given(step);
  if (word_count(out) + word_count(last) > kMostPlainWords)
    out = "Next comes " + name_of(step) + ". ";
  out += last;
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace seedbed::agent
