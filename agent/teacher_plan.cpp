#include "agent/teacher_plan.h"

#include <algorithm>
#include <set>
#include <span>

#include "base/text.h"
#include "tasks/solvers/words.h"

namespace seedbed::agent {
namespace {

using schemas::GoldKind;
using schemas::GoldStep;
using tasks::solvers::Token;

constexpr std::size_t kMostSpan = 10;  // words of a phrase
constexpr std::size_t kMostLead = 12;  // words before them, up to what begins the wish

// Words that a wish follows.
const std::set<std::string_view> kBeforeWish = {"and", "then",   "please", "to",   "you", "just",
                                                "now", "kindly", "must",   "also", "i",   "we"};

// What is said of a wish that depends on what is seen.
constexpr std::string_view kConditions[] = {"otherwise",      "if not",       "impossible",
                                            "cannot be done", "failing that", "last resort",
                                            "refused"};

// Of a tool that finds by a name: the name, as the request has it.
std::string name_sought(const GoldStep& step, const Facts& facts) {
  if (!step.args.is_object() || step.args.members().size() != 1 || !step.needs.empty()) return "";
  const std::string text = value_text(step.args.members().front().second);
  const bool capital = !text.empty() && text.front() >= 'A' && text.front() <= 'Z';
  return capital && text.size() <= kMostShown && facts.user_says(text) ? text : "";
}

// What the call is given that the request has: ", running for state". The name that a tool finds by
// is said already.
std::string given_by_request(const GoldStep& step, const Facts& facts) {
  if (!step.args.is_object() || !name_sought(step, facts).empty()) return "";
  std::string out;
  for (const auto& [name, value] : step.args.members()) {
    const std::string text = value_text(value);
    const bool plain = !text.empty() && text.size() <= kMostShown &&
                       text.find_first_of(",:;\n") == std::string::npos;
    if (plain && facts.user_gives(text)) out += ", " + text + " for " + name;
  }
  return out;
}

bool looks(std::string_view tool) {
  const auto stems = tasks::solvers::stems_of_name(tool);
  return std::any_of(stems.begin(), stems.end(),
                     [](const auto& stem) { return stem == "list" || stem == "find"; });
}

// What a list that the request has no word of is read for: the one name that no tool is asked for.
// "" where it is not the only such list or name.
std::string name_left(const std::vector<GoldStep>& steps, const Facts& facts) {
  std::set<std::string> left, lists;
  for (auto& name : facts.names()) left.insert(std::move(name));
  for (const auto& step : steps) {
    if (step.kind != GoldKind::call || is_page(step)) continue;
    const std::string sought = name_sought(step, facts);
    left.erase(sought);
    if (sought.empty() && looks(step.tool) && phrase_of(step.tool, facts.request()).empty())
      lists.insert(step.tool);
  }
  return left.size() == 1 && lists.size() == 1 ? *left.begin() : "";
}

// The first step that does something: what it tells is used by no later call.
std::size_t first_act(const std::vector<GoldStep>& steps) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].kind != GoldKind::call || is_page(steps[i]) || looks(steps[i].tool)) continue;
    const auto needed = [&](const GoldStep& later) {
      return later.kind == GoldKind::call && std::find(later.needs.begin(), later.needs.end(),
                                                       static_cast<int>(i)) != later.needs.end();
    };
    if (std::none_of(steps.begin(), steps.end(), needed)) return i;
  }
  return steps.size();
}

// Where a request says what is done otherwise; its size where it says nothing of the kind.
std::size_t otherwise(const std::string& request) {
  const std::string text = lower_ascii(request);
  std::size_t at = request.size();
  for (const std::string_view words : kConditions) at = std::min(at, text.find(words));
  return at;
}

// The first step that depends on what was seen before: it does something, or is of what is done
// otherwise. steps.size(): none.
std::size_t first_that_depends(const std::vector<GoldStep>& steps, const Facts& facts) {
  const std::string& request = facts.request();
  const std::string first = request.substr(0, otherwise(request));
  if (first.size() == request.size()) return steps.size();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].kind != GoldKind::call || is_page(steps[i])) continue;
    const std::string sought = name_sought(steps[i], facts);
    const bool later = sought.empty() ? phrase_of(steps[i].tool, first).empty() &&
                                            !phrase_of(steps[i].tool, request).empty()
                                      : first.find(sought) == first.npos;
    if (later) return std::min(i, first_act(steps));
  }
  return first_act(steps);
}

// "Order: find_cage, list_inspections, close_inspection, submit_result. "
std::string order(std::span<const GoldStep> steps) {
  std::string out, last;
  for (const auto& step : steps) {
    const std::string name = name_of(step);
    if (step.kind == GoldKind::say || name == last) continue;
    out += (out.empty() ? "Order: " : ", ") + name;
    last = name;
  }
  return out + ". ";
}

}  // namespace

std::string name_of(const GoldStep& step) {
  return step.kind == GoldKind::submit   ? std::string(schemas::kSubmitTool)
         : step.kind == GoldKind::refuse ? std::string(schemas::kRefuseTool)
                                         : step.tool;
}

bool is_page(const GoldStep& step) {
  return step.args.is_object() && step.args.find("offset") != nullptr;
}

std::string phrase_of(std::string_view tool, std::string_view request) {
  const bool looking = looks(tool);
  std::set<std::string> stems;
  for (auto& stem : tasks::solvers::stems_of_name(tool))
    if (stem.size() > 2 && stem != "list" && stem != "find") stems.insert(std::move(stem));
  const std::vector<Token> words = tasks::solvers::tokens_of(request);
  std::size_t best_begin = 0, best_end = 0, most = 0;
  for (std::size_t begin = 0; begin < words.size(); ++begin) {
    std::set<std::string> found;
    for (std::size_t end = begin; end < std::min(words.size(), begin + kMostSpan); ++end) {
      if (end > begin && words[end].begins_sentence) break;
      if (stems.count(words[end].stem) == 0) {
        if (end == begin) break;
        continue;
      }
      found.insert(words[end].stem);
      const bool shorter = found.size() == most && end + 1 - begin < best_end - best_begin;
      if (found.size() < most || (found.size() == most && !shorter)) continue;
      most = found.size();
      best_begin = begin;
      best_end = end + 1;
    }
  }
  // What is to be done is said in other words than the tool's: those before.
  for (std::size_t lead = 0; !looking && most > 0 && most < stems.size() && lead < kMostLead;
       ++lead) {
    if (best_begin == 0 || words[best_begin].begins_sentence) break;
    const Token& before = words[best_begin - 1];
    const auto between = request.substr(before.end, words[best_begin].begin - before.end);
    if (between.find(',') != between.npos || kBeforeWish.count(lower_ascii(before.text)) != 0)
      break;
    --best_begin;
  }
  std::string out;
  for (std::size_t i = best_begin; i < best_end; ++i)
    out += (out.empty() ? "" : " ") + words[i].text;
  return out;
}

std::string plan(const Outlook& outlook, const Facts& facts) {
  const std::size_t cut = first_that_depends(outlook.steps, facts);
  if (outlook.next != 0 && (outlook.next != cut || cut == outlook.steps.size())) return "";
  const std::size_t end = outlook.next < cut ? cut : outlook.steps.size();
  const auto steps = std::span(outlook.steps).subspan(outlook.next, end - outlook.next);
  const std::string rest = facts.request().substr(otherwise(facts.request()));
  std::string out;
  std::set<std::string> said;
  for (std::size_t i = steps.size(); i-- > 0;) {
    const GoldStep& step = steps[i];
    // What ends the task comes first, so that the order is the plan from its end, to its begin.
    if (out.empty() && (step.kind == GoldKind::submit || step.kind == GoldKind::refuse))
      out = "Plan: " + name_of(step);
    if (is_page(step) || step.kind != GoldKind::call) continue;
    std::string phrase = name_sought(step, facts);
    if (phrase.empty() && outlook.next > 0) phrase = phrase_of(step.tool, rest);
    if (phrase.empty()) phrase = phrase_of(step.tool, facts.request());
    if (phrase.empty() && looks(step.tool)) phrase = name_left(outlook.steps, facts);
    const std::string one =
        phrase + (phrase.empty() ? "" : ": ") + step.tool + given_by_request(step, facts);
    if (said.insert(one).second) out += (out.empty() ? "Plan: " : "; ") + one;
  }
  return out + (out.empty() ? "" : ". ") + order(steps);
}

}  // namespace seedbed::agent
