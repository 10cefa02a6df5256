#include "agent/teacher_reason.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/text.h"

namespace seedbed::agent {

std::size_t word_count(std::string_view text) {
  std::size_t out = 0;
  for (const auto& word : split(text, ' ')) out += word.empty() ? 0 : 1;
  return out;
}

namespace {

using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Value;

constexpr std::size_t kMostAmong = 4;  // values that one is compared with
constexpr std::size_t kMostRemaining = 4;

// Sentences while there is room for them; the last one always.
class Sentences {
 public:
  explicit Sentences(std::string last) : last_(std::move(last)) {}
  bool add(const std::string& sentence) {
    if (sentence.empty() ||
        word_count(text_) + word_count(sentence) + word_count(last_) > kMostReasonWords)
      return false;
    text_ += sentence + " ";
    return true;
  }
  [[nodiscard]] std::string text() const { return text_ + last_; }

 private:
  std::string text_, last_;
};

template <std::size_t N>
std::string worded(Wording& words,
                   const std::array<std::string_view, N>& forms,
                   const std::vector<std::pair<std::string_view, std::string>>& values) {
  std::string out(forms[static_cast<std::size_t>(words.below(N))]);
  for (const auto& [place, value] : values)
    out = replace_all(std::move(out), "{" + std::string(place) + "}", value);
  return out;
}

std::string spoken(std::string_view identifier) {
  return join(words_of(identifier), " ");
}

bool showable(const std::string& text) {
  return !text.empty() && text.size() <= kMostShown && text.find('\n') == std::string::npos;
}

std::vector<std::size_t> preferred_calls(const Outlook& outlook) {
  std::vector<std::size_t> out;
  for (const int need : outlook.steps[outlook.next].needs)
    if (need >= 0 && static_cast<std::size_t>(need) < outlook.call_of_step.size())
      out.push_back(outlook.call_of_step[static_cast<std::size_t>(need)]);
  return out;
}

// "its state is open and its topic is hygienic"
std::string matches(const Pick& pick) {
  std::string out;
  for (const auto& [field, value] : pick.match)
    if (showable(value)) out += (out.empty() ? "its " : " and its ") + field + " is " + value;
  return out;
}

std::string extreme(const Place& place, const Pick& pick) {
  const std::string value = value_text(*place.item->find(pick.by));
  const bool date = is_date(value);
  if (!pick.limit.empty()) {
    const std::string_view side = pick.side == 0  ? "equal to"
                                  : pick.side < 0 ? (date ? "before" : "below")
                                                  : (date ? "after" : "above");
    return "its " + pick.by + " " + value + " is " + std::string(side) + " " + pick.limit;
  }
  const std::string_view end =
      pick.least ? (date ? "earliest" : "lowest") : (date ? "latest" : "highest");
  std::string out = "its " + pick.by + " " + value + " is the " + std::string(end);
  std::vector<std::string> among = pick.among;
  if (among.size() > kMostAmong) among.resize(kMostAmong);
  return out + ", against " + join(among, ", ");
}

// Why this record and no other; "" where nothing tells.
std::string why(const Place& place, const Pick& pick, const Facts& facts) {
  if (pick.only) {
    // The call's own words picked it.
    for (const auto& [name, value] : facts.calls()[place.call].args.members())
      if (const std::string text = value_text(value); showable(text) && name != "offset")
        return "it is the one for " + name + " " + text;
    return "it is the only one";
  }
  std::string out = matches(pick);
  if (!pick.by.empty()) out += (out.empty() ? "" : "; ") + extreme(place, pick);
  if (!out.empty()) return out;
  for (const auto& [name, value] : facts.calls()[place.call].args.members())
    if (const std::string text = value_text(value); showable(text) && name != "offset")
      out += (out.empty() ? "it is one of those for " : " and ") + name + " " + text;
  return out;
}

std::string from_record(const Place& place,
                        const std::string& value,
                        const std::string& argument,
                        const Facts& facts,
                        Wording& words) {
  const std::string key = key_of(*place.item), tool = facts.calls()[place.call].tool;
  if (key != value && showable(key)) {
    static constexpr std::array<std::string_view, 4> kForms = {
        "{key} has {field} {value}.", "The {field} of {key} is {value}.",
        "{tool} shows {value} as {field} of {key}.", "I read {field} {value} at {key}."};
    return worded(words, kForms,
                  {{"key", key}, {"field", place.field}, {"value", value}, {"tool", tool}});
  }
  const std::string because = why(place, facts.pick(place), facts);
  if (because.empty()) {
    static constexpr std::array<std::string_view, 4> kForms = {
        "{tool} shows {value}.", "{value} is among the records of {tool}.",
        "For {argument} I take {value} from {tool}.", "{tool} lists {value}, which fits."};
    return worded(words, kForms, {{"tool", tool}, {"value", value}, {"argument", argument}});
  }
  static constexpr std::array<std::string_view, 5> kForms = {
      "{tool} gives {value}: {because}.", "It is {value}: {because}.",
      "I take {value}, since {because}.", "{value} from {tool} fits: {because}.",
      "The right one is {value}; {because}."};
  return worded(words, kForms, {{"tool", tool}, {"value", value}, {"because", because}});
}

std::string from_user(const std::string& value, const std::string& argument, Wording& words) {
  static constexpr std::array<std::string_view, 5> kForms = {
      "The user says {value}.", "{value} stands in the request.",
      "For {argument} the request says {value}.", "The request names {value}.",
      "I take {argument} {value} from the request."};
  return worded(words, kForms, {{"value", value}, {"argument", argument}});
}

// Where one argument comes from; "" where nothing can be said.
std::string source(const std::string& argument,
                   const Value& arg,
                   const Facts& facts,
                   const std::vector<std::size_t>& preferred,
                   const std::vector<std::string>* owners,  // of a result: the ids in it
                   Wording& words) {
  const std::string value = value_text(arg);
  if (!showable(value)) return "";
  const auto place =
      owners == nullptr ? facts.find(value, preferred) : facts.find(value, preferred, *owners);
  const bool said = facts.user_says(value);
  if (place && (owners != nullptr || !said))
    return from_record(*place, value, argument, facts, words);
  return said ? from_user(value, argument, words) : "";
}

std::string next_page(const Value& offset, Wording& words) {
  static constexpr std::array<std::string_view, 4> kForms = {
      "There is more: next_offset is {value}.", "The list goes on at {value}.",
      "That was one page; the next begins at {value}.", "next_offset {value} leads on."};
  return worded(words, kForms, {{"value", value_text(offset)}});
}

// The same tool again for other records: what is done and what remains.
std::string repeated(const Outlook& outlook, const Facts& facts, Wording& words) {
  const GoldStep& step = outlook.steps[outlook.next];
  const auto target = [&](const GoldStep& other) -> std::string {
    if (other.kind != GoldKind::call || other.tool != step.tool || !other.args.is_object())
      return "";
    for (const auto& [name, value] : other.args.members()) {
      const Value* ours = step.args.find(name);
      if (name == "offset" || (ours != nullptr && &other != &step && *ours == value)) continue;
      const std::string text = value_text(value);
      if (facts.find(text, {})) return text;
    }
    return "";
  };
  std::vector<std::string> done, later;
  for (std::size_t i = 0; i < outlook.steps.size(); ++i) {
    if (i == outlook.next) continue;
    const std::string text = target(outlook.steps[i]);
    if (!text.empty() && showable(text)) (i < outlook.next ? done : later).push_back(text);
  }
  if (done.empty() && later.empty()) return "";
  for (auto* list : {&done, &later})
    if (list->size() > kMostRemaining) list->resize(kMostRemaining);
  static constexpr std::array<std::string_view, 4> kBoth = {
      "Done: {done}. Left after this: {later}.", "Already done: {done}; then come {later}.",
      "After {done} this one, then {later}.", "So far {done}; still to do after this: {later}."};
  static constexpr std::array<std::string_view, 4> kLast = {
      "Done: {done}. This is the last.", "After {done} only this one is left.",
      "Already done: {done}; one remains.", "So far {done}; this is the last."};
  static constexpr std::array<std::string_view, 4> kFirst = {
      "This one first, then {later}.", "Left after this: {later}.", "Then come {later}.",
      "I begin here; {later} follow."};
  const std::vector<std::pair<std::string_view, std::string>> values = {
      {"done", join(done, ", ")}, {"later", join(later, ", ")}};
  if (done.empty()) return worded(words, kFirst, values);
  return later.empty() ? worded(words, kLast, values) : worded(words, kBoth, values);
}

// What a tool's records are called, where the user speaks of one: its name without the verb.
std::string noun_of(std::string_view tool, const Facts& facts) {
  auto parts = words_of(tool);
  if (parts.size() < 2) return "";
  parts.erase(parts.begin());
  std::string noun = join(parts, " ");
  if (facts.user_says(noun)) return noun;
  if (noun.ends_with("s")) noun.pop_back();
  return facts.user_says(noun) ? noun : "";
}

bool empty_result(const Facts& facts) {
  return !facts.calls().empty() && facts.calls().back().error.empty() &&
         facts.calls().back().items.empty();
}

std::string before_call(const Facts& facts, const Outlook& outlook, Wording& words) {
  const GoldStep& step = outlook.steps[outlook.next];
  static constexpr std::array<std::string_view, 6> kAction = {
      "So I call {tool}.",         "Next: {tool}.", "I use {tool} for it.", "Now {tool}.",
      "That is what {tool} does.", "I {spoken}."};
  static constexpr std::array<std::string_view, 5> kLook = {
      "I need to see the records first: {tool}.", "Now I look at what {tool} shows.",
      "I look through {tool}.", "{tool} shows what there is.",
      "I do not know these records yet, so I call {tool}."};
  static constexpr std::array<std::string_view, 4> kAbout = {
      "The request is about {noun}; {tool} shows them.", "I need the {noun} records: {tool}.",
      "To find the right {noun} I call {tool}.", "{tool} lists what the request calls {noun}."};
  const auto preferred = preferred_calls(outlook);
  std::vector<std::string> sources;
  bool page = false;
  if (step.args.is_object())
    for (const auto& [name, value] : step.args.members()) {
      if (name == "offset") {
        page = true;
        sources.insert(sources.begin(), next_page(value, words));
      } else if (!page) {
        sources.push_back(source(name, value, facts, preferred, nullptr, words));
      }
    }
  sources.erase(std::remove(sources.begin(), sources.end(), std::string()), sources.end());
  const std::string noun = noun_of(step.tool, facts);
  const std::vector<std::pair<std::string_view, std::string>> values = {
      {"tool", step.tool}, {"spoken", spoken(step.tool)}, {"noun", noun}};
  Sentences out(!sources.empty() ? worded(words, kAction, values)
                : noun.empty()   ? worded(words, kLook, values)
                                 : worded(words, kAbout, values));
  if (empty_result(facts)) out.add("That list is empty.");
  for (const auto& sentence : sources) out.add(sentence);
  if (!page) out.add(repeated(outlook, facts, words));
  return out.text();
}

std::string worked_out(const std::string& argument, Wording& words) {
  static constexpr std::array<std::string_view, 4> kForms = {
      "{argument} follows from the records above.", "I work out {argument} from these records.",
      "{argument} is computed from what was read.", "From these values comes {argument}."};
  return worded(words, kForms, {{"argument", argument}});
}

// A list of ids: where they stand, and what the first has that the user named.
std::string of_list(const std::string& argument,
                    const Value& list,
                    const Facts& facts,
                    const std::vector<std::size_t>& preferred,
                    Wording& words) {
  if (list.items().empty()) return "Nothing fits, so " + argument + " is empty.";
  const auto place = facts.find(value_text(list.items().front()), preferred);
  if (!place) return worked_out(argument, words);
  const std::string tool = facts.calls()[place->call].tool;
  const Pick pick = facts.pick(*place);
  std::string fits = matches(pick);
  if (!pick.limit.empty()) fits += (fits.empty() ? "" : "; ") + extreme(*place, pick);
  static constexpr std::array<std::string_view, 4> kForms = {
      "{argument} are the fitting records of {tool}", "From {tool} I take {argument}",
      "{argument} come from {tool}", "The records of {tool} that fit are {argument}"};
  std::string out = worded(words, kForms, {{"argument", argument}, {"tool", tool}});
  if (!fits.empty() && showable(key_of(*place->item)))
    out += ", such as " + key_of(*place->item) + ": " + fits;
  return out + ".";
}

std::string before_submit(const Facts& facts, const Outlook& outlook, Wording& words) {
  const GoldStep& step = outlook.steps[outlook.next];
  static constexpr std::array<std::string_view, 5> kSubmit = {
      "I submit.", "That is the result.", "So I hand it in.", "Now I submit the result.",
      "The task is done."};
  static constexpr std::array<std::string_view, 4> kNothing = {
      "All that was asked is done.", "Everything asked for has been carried out.",
      "The change is made and nothing else is asked.", "No values are asked for."};
  Sentences out(worded(words, kSubmit, {}));
  if (!step.args.is_object() || step.args.members().empty()) {
    out.add(worded(words, kNothing, {}));
    return out.text();
  }
  const auto preferred = preferred_calls(outlook);
  std::vector<std::string> owners;
  for (const auto& [name, value] : step.args.members())
    if (!value.is_array()) owners.push_back(value_text(value));
  for (const auto& [name, value] : step.args.members()) {
    std::string from;
    if (value.is_array())
      from = of_list(name, value, facts, preferred, words);
    else
      from = source(name, value, facts, preferred, &owners, words);
    out.add(from.empty() ? worked_out(name, words) : from);
  }
  return out.text();
}

std::string before_refuse(const Facts& facts, const Outlook& outlook, Wording& words) {
  const GoldStep& step = outlook.steps[outlook.next];
  const std::string code = step.args.text("reason_code");
  static constexpr std::array<std::string_view, 4> kForms = {
      "The handbook forbids this: {code}.", "By the handbook this is {code}.",
      "The rule behind {code} forbids what was asked.", "This must be refused as {code}."};
  static constexpr std::array<std::string_view, 4> kRefuse = {"I change nothing and refuse.",
                                                              "So I refuse.", "I refuse it.",
                                                              "Nothing is changed; I refuse."};
  Sentences out(worded(words, kRefuse, {}));
  out.add(worded(words, kForms, {{"code", code}}));
  const auto preferred = preferred_calls(outlook);
  if (const Value* ids = step.args.find("evidence_ids"); ids != nullptr && ids->is_array())
    for (const auto& id : ids->items()) {
      const std::string value = value_text(id);
      const auto place = facts.find(value, preferred);
      if (!place || !showable(value)) continue;
      static constexpr std::array<std::string_view, 4> kEvidence = {
          "The evidence is {value}, seen in {tool}.", "{value} of {tool} proves it.",
          "{tool} shows it at {value}.", "Evidence: {value} from {tool}."};
      out.add(
          worded(words, kEvidence, {{"value", value}, {"tool", facts.calls()[place->call].tool}}));
    }
  return out.text();
}

std::string before_question(Wording& words) {
  static constexpr std::array<std::string_view, 4> kForms = {
      "The request leaves something open that no tool can tell, so I ask the user.",
      "I cannot know this from the records; I ask.",
      "Something is missing in the request. I ask for it.",
      "Only the user can say this. I ask before I go on."};
  return worded(words, kForms, {});
}

}  // namespace

std::string reason(const Facts& facts, const Outlook& outlook, Wording& words) {
  switch (outlook.steps[outlook.next].kind) {
    case GoldKind::say:
      return before_question(words);
    case GoldKind::submit:
      return before_submit(facts, outlook, words);
    case GoldKind::refuse:
      return before_refuse(facts, outlook, words);
    default:
      return before_call(facts, outlook, words);
  }
}

std::string reason_needless(const Mistake& mistake, Wording& words) {
  static constexpr std::array<std::string_view, 4> kForms = {
      "Let me look at {tool} too.", "Perhaps {tool} helps.", "I check {tool} as well.",
      "I also want to see {tool}."};
  return worded(words, kForms, {{"tool", mistake.call.tool}});
}

std::string reason_after(const Mistake& mistake,
                         const std::string& then,
                         const schemas::MadeCall& made,
                         Wording& words,
                         std::size_t most_words) {
  std::string code, repair;
  if (const auto result = schemas::parse_json(made.result.out); result.ok())
    if (const Value* error = result->find("error"); error != nullptr) code = error->text("code");
  switch (mistake.kind) {
    case MistakeKind::argument_name:
      repair = "Not " + mistake.wrong + " but " + mistake.right + ".";
      break;
    case MistakeKind::argument_value:
      repair = "The value of " + mistake.argument + " was not as the tool wants it.";
      break;
    case MistakeKind::missing:
      repair = "I left out " + mistake.argument + ".";
      break;
    case MistakeKind::extra:
      repair = "It takes no " + mistake.argument + ".";
      break;
    case MistakeKind::tool_name:
    case MistakeKind::other_finder:
      // What was wrong comes first: who repeats what was just said shall not repeat the mistake.
      repair = "Not " + mistake.wrong + " but " + mistake.right + ".";
      break;
    case MistakeKind::unknown_id:
      repair = mistake.wrong + " was wrong; it must be " + mistake.right + ".";
      break;
    case MistakeKind::needless:
      break;
  }
  const auto with_room = [&](const std::string& first, const std::string& otherwise) {
    return word_count(first) + word_count(then) <= most_words ? first + " " + then : otherwise;
  };
  if (mistake.kind == MistakeKind::needless) return with_room("That does not help.", then);
  static constexpr std::array<std::string_view, 4> kForms = {
      "The call failed: {code}. {repair}", "{code}: {repair}", "I got {code}. {repair}",
      "That was {code}. {repair}"};
  const std::string failed = code.empty()
                                 ? "That gave nothing of use. " + repair
                                 : worded(words, kForms, {{"code", code}, {"repair", repair}});
  return with_room(failed, failed);
}

}  // namespace seedbed::agent
