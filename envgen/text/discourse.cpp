// The order of what is said, and its realization in a tone.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

bool begins(const std::string& text, const std::string& head) {
  return text.rfind(head, 0) == 0;
}
bool lower(char c) {
  return c >= 'a' && c <= 'z';
}
std::string capital(std::string text) {
  if (!text.empty() && lower(text[0])) text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

const std::vector<std::string> kAskMe = {"Ask me if anything is unclear.",
                                         "If something is missing, just ask.",
                                         "Come back to me if you need to know more.",
                                         "I may have left something out, so ask.",
                                         "Questions are welcome.",
                                         "Check with me if a detail is open.",
                                         "I can fill in whatever is missing.",
                                         "Do not guess; ask me."};
const std::vector<std::string> kMoreComes = {
    "When that is settled, ask me what comes next.",
    "There is more; ask me for the next step after this.",
    "Then ask me what else there is.",
    "Afterwards, ask me for the rest.",
    "Once that is done, ask me what is next.",
    "I have something further; ask me when you get there.",
    "Come back and ask me what else is to be done.",
    "That is only the beginning: ask me for the next step when you are through."};
const std::vector<std::string> kReport = {
    "Submit the result when you have it.",     "Put it into the result form.",
    "Enter what you find in the result form.", "Hand the answer in with the form.",
    "I need the answer in the form.",          "Let the form have the answer.",
    "Send me the result through the form.",    "The result form is where it goes."};
const std::vector<std::string> kOnlyChoose = {
    "Only choose, change nothing.", "This is about the choice alone; change nothing.",
    "Just name them, and leave everything as it is.", "Nothing is to be changed, only chosen.",
    "Do not change anything, I only need the choice."};
const std::vector<std::string> kAgain = {
    "No, let me put that properly.", "Wait, let me start over.", "Scratch that, more clearly now.",
    "Sorry, that was no way to begin.", "Let me say it in order."};
const std::vector<std::string> kParts = {"It comes in parts.",
                                         "There is more than a single part to it.",
                                         "In this order, please.", "Please keep to the order."};

// The frames of the list that can take the clause.
std::string frame_for(const std::vector<std::string>& frames,
                      const std::string& request,
                      Rng& rng) {
  const Clause clause = clause_of(request);
  std::vector<const std::string*> able;
  for (const auto& f : frames) {
    const Wants w = wants(f);
    if (w == Wants::clause || (w == Wants::verb && clause != Clause::any) ||
        clause == Clause::short_verb)
      able.push_back(&f);
  }
  return able.empty() ? "{}" : *rng.pick(able);
}

bool says_number(const std::string& text) {
  static constexpr std::array<const char*, 11> kWords = {
      "two", "three", "four", "five", "six", "seven", "eight", "nine", " ten ", "eleven", "twelve"};
  return text.find_first_of("0123456789") != std::string::npos ||
         std::any_of(kWords.begin(), kWords.end(),
                     [&](const char* w) { return text.find(w) != std::string::npos; });
}

// Conditions and second bests as sentences of their own, or with other joints.
std::string joints(std::string text, bool sentences, Rng& rng) {
  struct Joint {
    const char* from;
    std::array<const char*, 2> inside;
    std::array<const char*, 2> apart;
  };
  static constexpr Joint kJoints[] = {
      {"; otherwise ", {"; otherwise ", "; if not, "}, {". Otherwise, ", ". If not, "}},
      {"; should that be impossible, ",
       {"; should that be impossible, ", "; if that cannot be done, "},
       {". Should that be impossible, ", ". If it cannot be done, "}},
      {"; if that is refused, ",
       {"; if that is refused, ", "; failing that, "},
       {". If that is refused, ", ". Failing that, "}},
      {"; and if that cannot be done either, ",
       {"; and if that cannot be done either, ", "; and as a last resort, "},
       {". And if that cannot be done either, ", ". As a last resort, "}},
      {"; should that be refused, ",
       {"; should that be refused, ", "; if it is refused, "},
       {". Should that be refused, ", ". If that gets refused, "}}};
  const bool apart = sentences && rng.chance(1, 2);
  for (const auto& j : kJoints) {
    const auto found = text.find(j.from);
    if (found == std::string::npos) continue;
    const auto& way = apart ? j.apart : j.inside;
    text.replace(found, std::string_view(j.from).size(),
                 way[static_cast<std::size_t>(rng.below(2))]);
  }
  return text;
}

bool digit(char c) {
  return c >= '0' && c <= '9';
}

// "1250 cents" -> "1,250 cents"; "3 hours" -> "three hours".
std::string spell(std::string text, bool group, bool words) {
  static constexpr std::array<const char*, 13> kWords = {"",     "",       "two",   "three", "four",
                                                         "five", "six",    "seven", "eight", "nine",
                                                         "ten",  "eleven", "twelve"};
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!digit(text[i])) continue;
    std::size_t end = i;
    while (end < text.size() && digit(text[end])) ++end;
    const bool free = i == 0 || text[i - 1] == ' ';
    if (group && free && end - i > 3 && end - i < 7 && text.compare(end, 6, " cents") == 0) {
      text.insert(end - 3, ",");
      end += 1;
    } else if (words && free && end - i < 3 && i > 3 && end + 1 < text.size() && text[end] == ' ' &&
               lower(text[end + 1])) {
      const int n = std::stoi(text.substr(i, end - i));
      const std::size_t stop = std::min(text.find_first_of(" .,;:", end + 1), text.size());
      const std::string noun = text.substr(end + 1, stop - end - 1);
      const bool counts = is_plural(noun) && noun != "cents";
      static constexpr std::array<const char*, 7> kRanks = {"level ", "grade ", "number ", "step ",
                                                            "part ",  "or ",    "class "};
      const bool rank = std::any_of(kRanks.begin(), kRanks.end(), [&](std::string_view r) {
        return i >= r.size() && text.compare(i - r.size(), r.size(), r) == 0;
      });
      if (counts && !rank && n >= 2 && n <= 12) {
        text.replace(i, end - i, kWords[static_cast<std::size_t>(n)]);
        end = i + 1;
      }
    }
    i = end;
  }
  return text;
}

// A slip of the fingers in one word of a frame; never in its slot.
void slip(std::string& frame, Rng& rng) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i + 4 < frame.size(); ++i) {
    if (i > 0 && frame[i - 1] != ' ') continue;
    std::size_t end = i;
    while (end < frame.size() && lower(frame[end])) ++end;
    if (end - i >= 5 && (end == frame.size() || frame[end] == ' ')) places.push_back(i);
  }
  if (places.empty()) return;
  const std::size_t at = rng.pick(places) + 1;
  if (rng.chance(1, 3))
    frame.erase(at + 1, 1);
  else if (frame[at] != frame[at + 1])
    std::swap(frame[at], frame[at + 1]);
}

std::string shortened(std::string text, Rng& rng) {
  if (rng.chance(1, 3)) text = replace_all(text, "please", "pls");
  if (rng.chance(1, 3)) text = replace_all(text, "thanks", "thx");
  return text;
}

// A request without the words that tie it to the one before: the frames have their own.
std::string untied(std::string request) {
  for (const char* head : {"then ", "after that, ", "afterwards, "})
    if (begins(request, head)) return request.substr(std::string_view(head).size());
  return request;
}

void place(std::vector<Sentence>& body, Sentence s, Rng& rng) {
  const auto spot = rng.below(3);  // before, after the first, at the end
  const std::size_t at = spot == 0   ? 0
                         : spot == 1 ? std::min<std::size_t>(1, body.size())
                                     : body.size();
  body.insert(body.begin() + static_cast<std::ptrdiff_t>(at), std::move(s));
}

}  // namespace

const Register& pick_register(const std::vector<std::string>& allowed, Rng& rng) {
  std::vector<const Register*> able;
  for (const auto& r : registers())
    if (allowed.empty() || std::find(allowed.begin(), allowed.end(), r.name) != allowed.end())
      able.push_back(&r);
  if (able.empty()) return rng.pick(registers());
  return *rng.pick(able);
}

Discourse arrange(const Content& content,
                  const Register& tone,
                  const std::vector<std::string>& asides,
                  Rng& rng) {
  Discourse d;
  d.tone = &tone;
  const bool flowing =
      tone.habit == Habit::sentences || tone.habit == Habit::letter || tone.habit == Habit::spoken;
  const bool group = flowing && rng.chance(1, 3);
  const bool words = flowing && rng.chance(1, 2);
  std::vector<Sentence> body;
  for (std::size_t i = 0; i < content.requests.size(); ++i) {
    if (begins(content.requests[i], "only choose")) {
      body.push_back({Part::remark, rng.pick(kOnlyChoose), ""});
      continue;
    }
    const std::string text =
        joints(spell(i == 0 ? content.requests[i] : untied(content.requests[i]), group, words),
               flowing, rng);
    body.push_back({Part::request, text, frame_for(i == 0 ? tone.first : tone.next, text, rng)});
  }
  if (!content.later.empty()) body.push_back({Part::remark, rng.pick(kMoreComes), ""});
  if (content.asks && rng.chance(2, 3)) body.push_back({Part::remark, rng.pick(kAskMe), ""});
  if (content.reports && rng.chance(2, 5)) body.push_back({Part::remark, rng.pick(kReport), ""});
  if (content.requests.size() > 1 && tone.habit != Habit::points && rng.chance(1, 16))
    body.insert(body.begin(), {Part::remark, rng.pick(kParts), ""});
  const auto extra = rng.below(20);
  if (extra < 7 && !asides.empty()) {
    const std::string& text = rng.pick(asides);
    if (!says_number(text)) place(body, {Part::aside, text, ""}, rng);
  }
  if (extra >= 6 && extra < 11) place(body, {Part::reason, rng.pick(tone.reasons), ""}, rng);
  const bool letter = tone.habit == Habit::letter || tone.habit == Habit::points;
  const bool opens = letter || rng.chance(3, 5);
  if (opens) d.sentences.push_back({Part::opening, rng.pick(tone.openings), ""});
  if (opens && flowing && !letter && rng.chance(1, 30))
    d.sentences.push_back({Part::remark, rng.pick(kAgain), ""});
  d.sentences.insert(d.sentences.end(), body.begin(), body.end());
  if (letter ? rng.chance(3, 4) : rng.chance(1, 2))
    d.sentences.push_back({Part::closing, rng.pick(tone.closings), ""});
  // A slip in a frame, an opening or a closing: never where something is said that matters.
  if (static_cast<int>(rng.below(100)) < tone.typos) {
    Sentence& s = d.sentences[static_cast<std::size_t>(rng.below(d.sentences.size()))];
    if (s.part == Part::request)
      slip(s.frame, rng);
    else if (s.part != Part::aside && s.text.find("\n") == std::string::npos)
      slip(s.text, rng);
  }
  if (tone.short_forms)
    for (auto& s : d.sentences)
      (s.part == Part::request ? s.frame : s.text) =
          shortened(s.part == Part::request ? s.frame : s.text, rng);
  return d;
}

namespace {

std::string filled(const Sentence& s) {
  return s.part == Part::request ? replace_all(s.frame, "{}", s.text) : s.text;
}
bool stopped(const std::string& text) {
  return !text.empty() && std::string_view(".?!:,").find(text.back()) != std::string_view::npos;
}
// A request may itself be a question with more behind it.
std::string as_sentence(const Sentence& s, bool capitals) {
  std::string text = filled(s);
  if (capitals) text = capital(text);
  const bool comma = s.part != Part::opening && !text.empty() && text.back() == ',';
  return stopped(text) && !comma ? text : text + ".";
}

std::string chat_line(const Sentence& s) {
  std::string text = filled(s);
  const bool several = text.find(". ") != std::string::npos;
  if (!text.empty() && text.back() == '.' && !several && s.part != Part::aside) text.pop_back();
  return text;
}

std::string wire(const Sentence& s) {
  std::string text = filled(s);
  while (!text.empty() && (text.back() == '.' || text.back() == '!')) text.pop_back();
  const bool done = text.size() > 4 && text.compare(text.size() - 4, 4, "STOP") == 0;
  return text + (done ? "" : " STOP");
}

}  // namespace

std::string realize(const Discourse& d, Rng& rng) {
  const Habit habit = d.tone->habit;
  const bool breaks = rng.chance(1, 2);
  std::string out;
  for (const auto& s : d.sentences) {
    std::string text, gap = out.empty() ? "" : " ";
    switch (habit) {
      case Habit::sentences:
      case Habit::spoken: {
        const bool comma = !out.empty() && out.back() == ',';
        text = as_sentence(s, !comma);
        if (habit == Habit::spoken && !out.empty() && out.back() == '.' && rng.chance(1, 8))
          gap = ".. ";
        break;
      }
      case Habit::letter:
        text = s.part == Part::closing ? s.text : as_sentence(s, true);
        if (!out.empty() && (s.part == Part::closing || out.back() == ','))
          gap = breaks ? "\n\n" : "\n";
        break;
      case Habit::chat:
        text = chat_line(s);
        if (!out.empty())
          gap = breaks ? "\n" : stopped(out) ? " " : out.find('\n') == 0 ? " " : " - ";
        break;
      case Habit::points:
        text = s.part == Part::opening ? s.text : "- " + filled(s);
        if (!out.empty()) gap = "\n";
        break;
      case Habit::fields:
        text = filled(s);
        if (!out.empty()) gap = "\n";
        break;
      case Habit::wire:
        text = wire(s);
        break;
    }
    out += gap + text;
  }
  return out;
}

}  // namespace seedbed::envgen
