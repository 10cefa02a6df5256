// Prompts: what must be said (Content), in which order (Discourse), in which tone (Register), then
// grammar and noise. Pure functions; the requests' own words are never changed by tone or noise.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "envgen/general/goal.h"

namespace seedbed::envgen {

// ---- tones of voice ----
enum class Habit : std::uint8_t { sentences, letter, chat, spoken, points, fields, wire };
struct Register {
  std::string name;
  Habit habit = Habit::sentences;
  int typos = 0;             // percent of prompts with a slip in a frame's word
  bool short_forms = false;  // pls, thx
  // Sentences but for frames, where {} stands for the request. A frame that begins with {} or has
  // ": ", ". " or the like before it takes any clause; the others want one that begins with a verb.
  std::vector<std::string> openings, first, next, reasons, closings;
};
const std::vector<Register>& registers();
enum class Wants : std::uint8_t { clause, verb, short_verb };  // short_verb: questions
Wants wants(std::string_view frame);

// ---- clauses ----
enum class Clause : std::uint8_t { any, verb, short_verb };
Clause clause_of(std::string_view request);  // short_verb: one imperative, soon over
bool is_request_verb(std::string_view word);

// ---- grammar: phrases.cpp ----
// The head of a noun phrase is a plural: "marks", "units left"; not "lesson count".
bool is_plural(const std::string& noun);
std::string be(const std::string& noun);  // is, are
// "1 units" -> "1 unit", articles, a state that only repeats its noun's first word is quoted.
std::string tidy(const std::string& request);
// "whose fee is 300 cents", "waiting since 2031-02-03", "with 3 units left".
std::string value_words(Type type, const std::string& noun, const std::string& value);
// "earliest return date", "fewest units left": what a superlative is about.
std::string extreme_words(Type type, const std::string& noun, bool lowest, std::uint64_t choice);
// "due earliest", "waiting since the earliest day": for nouns that take no "the earliest"; else "".
std::string extreme_ending(Type type, const std::string& noun, bool lowest);
// One of the phrases whose slot can take its words: no lone particle after many of them.
std::string pick_phrase(const std::vector<std::string>& phrases,
                        const std::vector<std::pair<std::string, std::string>>& slots,
                        Rng& rng);

// ---- content ----
struct Constant {
  std::string text;
  int turn = 0;   // 0: the prompt, n: the user's n-th later message
  int times = 1;  // how often the requests say it
};
struct Content {
  std::vector<std::string> requests;
  std::vector<std::vector<std::string>> later;  // by turn
  std::vector<Constant> constants;              // names, numbers, days
  std::string secret;                           // must not be said
  bool asks = false;                            // the user knows more and may be asked
  bool reports = false;                         // something is to be submitted
};
// What the user says when asked for what the prompt left open.
std::string secret_text(bool fact, const std::string& value, Rng& rng);
Content content_of(const Lowered& l, const Goal& goal);
// Whether every constant stands in its text as often as the requests say it, in one of its
// spellings, and the secret nowhere. `why` names the first that does not.
bool says_all(const Content& content,
              const std::string& prompt,
              const std::vector<std::string>& later,
              std::string* why = nullptr);

// ---- the content plan as text: plan_text.cpp ----
// What the goal comes to, canonically: a list a line. References are printed as descriptions.
std::string plan_text(const Lowered& l, const Goal& goal);
// The goal's formal part again (no phrases, needs or knobs), each description resolved over the
// facts. Error{pack}: no such plan, or a description that does not fit one fact.
Result<Goal> parse_plan(const Lowered& l, std::string_view text);
// Whether the goal's plan, printed and read, gives the same operations with the same constants.
bool recovers(const Lowered& l, const Goal& goal);

// ---- discourse ----
enum class Part : std::uint8_t { opening, request, aside, reason, remark, closing };
struct Sentence {
  Part part = Part::request;
  std::string text;   // of a request: the request
  std::string frame;  // of a request
};
struct Discourse {
  const Register* tone = nullptr;
  std::vector<Sentence> sentences;
};
Discourse arrange(const Content& content,
                  const Register& tone,
                  const std::vector<std::string>& asides,
                  Rng& rng);
std::string realize(const Discourse& discourse, Rng& rng);
const Register& pick_register(const std::vector<std::string>& allowed, Rng& rng);

// ---- checks ----
// What a careful reader would mark: doubled words, "1 units", wrong articles, open slots,
// "ask you to of ...".
std::vector<std::string> faults_of(const std::string& prompt);

}  // namespace seedbed::envgen
