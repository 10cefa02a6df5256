// The prompt of a goal and what its user says later: drawn until every constant stands in it as
// often as it must.
#include <algorithm>

#include "base/hash.h"
#include "base/text.h"
#include "envgen/general/goal.h"
#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

constexpr std::uint64_t kTries = 3;

// The same for the prompt and for what the user says later.
const Register& tone_of(const Lowered& l, const Goal& goal) {
  Rng rng(hash64(goal.requests.empty() ? "" : goal.requests[0]));
  return pick_register(l.skin.registers, rng);
}

}  // namespace

std::string prompt_of(const Lowered& l, const Goal& goal, Rng rng) {
  const Content content = content_of(l, goal);
  const Register& tone = tone_of(l, goal);
  static const std::vector<std::string> kNoAsides;
  std::string out;
  for (std::uint64_t i = 0; i < kTries; ++i) {  // an aside may happen to say a constant too
    Rng draw = rng.fork("text", i);
    const bool last = i + 1 == kTries;
    const Discourse discourse = arrange(content, tone, last ? kNoAsides : l.skin.asides, draw);
    out = realize(discourse, draw);
    Content now = content;
    now.constants.erase(std::remove_if(now.constants.begin(), now.constants.end(),
                                       [](const Constant& c) { return c.turn > 0; }),
                        now.constants.end());
    if (says_all(now, out, {})) break;
  }
  return out;
}

std::string later_request(const Lowered& l, const Goal& goal, std::size_t turn, Rng rng) {
  Content content;
  for (const auto& r : goal.turns[turn].requests) content.requests.push_back(tidy(r));
  const Register& tone = tone_of(l, goal);
  Discourse discourse = arrange(content, tone, {}, rng);
  auto& s = discourse.sentences;
  if (tone.habit != Habit::points)
    s.erase(std::remove_if(s.begin(), s.end(),
                           [](const Sentence& x) {
                             return x.part == Part::opening || x.part == Part::closing;
                           }),
            s.end());
  return realize(discourse, rng);
}

}  // namespace seedbed::envgen
