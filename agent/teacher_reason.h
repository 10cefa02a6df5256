// Short reasons before a call, made from the plan's data flow. They speak of what stands in the
// conversation so far and of nothing else; a keyed draw chooses among the wordings, or the first of
// each stands.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/teacher_facts.h"
#include "agent/teacher_mistake.h"
#include "base/rng.h"
#include "schemas/task.h"

namespace seedbed::agent {

inline constexpr std::size_t kMostReasonWords = 40;

std::size_t word_count(std::string_view text);

// The next step among the steps of the plan.
struct Outlook {
  const std::vector<schemas::GoldStep>& steps;
  std::size_t next = 0;
  // Which call of the facts a step was; for steps before `next` that are calls.
  const std::vector<std::size_t>& call_of_step;
};

// Which of n wordings: drawn, or in a plain voice always the first, so that a reason is a function
// of the conversation.
class Wording {
 public:
  Wording(Rng rng, bool plain) : rng_(rng), plain_(plain) {}
  std::uint64_t below(std::uint64_t n) { return plain_ ? 0 : rng_.below(n); }

 private:
  Rng rng_;
  bool plain_;
};

std::string reason(const Facts& facts, const Outlook& outlook, Wording& words);
// The same, `then`, after a mistake: what was wrong, and what is right.
std::string reason_after(const Mistake& mistake,
                         const std::string& then,
                         const schemas::MadeCall& made,
                         Wording& words,
                         std::size_t most_words);
// Before a lookup that is not needed.
std::string reason_needless(const Mistake& mistake, Wording& words);

}  // namespace seedbed::agent
