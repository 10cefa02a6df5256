// From requests to a prompt: persona and register, discourse order, asides, a little noise. Every
// constant is in the requests already, so that nothing here adds or loses a fact.
#include "base/text.h"
#include "envgen/general/goal.h"

namespace seedbed::envgen {
namespace {

std::string sentence(std::string text) {
  bool begins = true;
  for (std::size_t i = 0; i < text.size(); ++i) {  // also after a question in the frame
    if (begins && text[i] >= 'a' && text[i] <= 'z')
      text[i] = static_cast<char>(text[i] - 'a' + 'A');
    if (text[i] != ' ') begins = text[i] == '?';
  }
  if (!text.empty() && text.back() != '.' && text.back() != '?' && text.back() != '!') text += ".";
  return text;
}

// Frames around an imperative request; {} is the request. One register a row group, so that a
// prompt keeps its tone.
struct Register {
  std::vector<std::string> greetings, first, next, closings;
};
const std::vector<Register>& registers() {
  static const std::vector<Register> kRegisters = {
      {{"", "Hello!", "Good morning."},
       {"please {}", "could you please {}?", "I would like you to {}"},
       {"please also {}", "{}, please"},
       {"Thank you.", "Many thanks.", ""}},
      {{"", "Hi!", "Hey there."},
       {"{}", "can you {}?", "quick one: {}"},
       {"and {}", "oh, and {}"},
       {"Thanks!", "Cheers.", ""}},
      {{""}, {"{}", "Task: {}", "To do: {}"}, {"Next: {}", "Then: {}"}, {"", "End of request."}},
      {{"Dear colleague,\n", "Good afternoon."},
       {"kindly {}", "I should be grateful if you would {}", "may I ask you to {}"},
       {"furthermore, kindly {}", "in addition, {}"},
       {"With best regards.", "Yours sincerely."}},
      {{"", "Sorry to bother you.", "Me again."},
       {"I need you to {}", "somebody has to {}, so please do", "what I need is this: {}"},
       {"when that is settled, {}", "and while you are at it, {}"},
       {"That is all.", "I would do it myself if I could.", ""}},
      {{"", "Hello there."},
       {"my request is simple: {}", "it falls to you to {}", "would you mind helping me? {}"},
       {"once you have that, {}", "as a second step, {}"},
       {"No hurry.", "It matters to us.", "Let me know how it goes."}},
      {{"Note from the morning meeting.", "From yesterday's minutes.", ""},
       {"we agreed to {}", "it was decided to {}", "open point: {}"},
       {"it was also decided to {}", "open point: {}"},
       {"", "Please close the point.", "This concludes the note."}},
      {{"", "Voice memo, typed up."},
       {"so, {}", "right, {}", "okay, here goes: {}"},
       {"and then {}", "right after that {}"},
       {"Over and out.", "", "You know how."}},
  };
  return kRegisters;
}

}  // namespace

std::string prompt_of(const Lowered& l, const Goal& goal, Rng rng) {
  const Register& r = rng.pick(registers());
  const auto aside = [&] {
    return l.skin.asides.empty() ? std::string() : rng.pick(l.skin.asides);
  };
  std::vector<std::string> parts;
  const std::string greeting = rng.pick(r.greetings);
  if (!greeting.empty()) parts.push_back(greeting);
  const int asides = static_cast<int>(rng.below(4));  // 0: before, 1: between, 2: after, 3: none
  if (asides == 0) parts.push_back(aside());
  for (std::size_t i = 0; i < goal.requests.size(); ++i) {
    std::string request = goal.requests[i];
    const bool own_form = request.rfind("then ", 0) == 0 || request.rfind("after that", 0) == 0 ||
                          request.rfind("only choose", 0) == 0 || request.rfind("if ", 0) == 0;
    std::string text =
        own_form ? request : replace_all(rng.pick(i == 0 ? r.first : r.next), "{}", request);
    parts.push_back(sentence(text));
    if (asides == 1 && i == 0) parts.push_back(aside());
  }
  if (!goal.turns.empty())
    parts.push_back(rng.chance(1, 2) ? "When that is settled, ask me what comes next."
                                     : "There is more; ask me for the next step after this one.");
  if (goal.hidden_param >= 0)
    parts.push_back(rng.chance(1, 2) ? "Ask me if anything is unclear."
                                     : "If something is missing, just ask.");
  if (!goal.refusal && !goal.answers.empty() && rng.chance(1, 2))
    parts.push_back(rng.chance(1, 2) ? "Submit the result when you have it."
                                     : "Put it into the result form.");
  if (asides == 2) parts.push_back(aside());
  const std::string closing = rng.pick(r.closings);
  if (!closing.empty()) parts.push_back(closing);
  std::string out;
  for (const auto& p : parts)
    if (!p.empty()) out += (out.empty() || out.back() == '\n' ? "" : " ") + p;
  return out;
}

std::string later_request(const Lowered&, const Goal& goal, std::size_t turn, Rng rng) {
  const Register& r = rng.pick(registers());
  std::string out;
  for (const auto& request : goal.turns[turn].requests)
    out += (out.empty() ? "" : " ") + sentence(replace_all(rng.pick(r.first), "{}", request));
  return out;
}

}  // namespace seedbed::envgen
