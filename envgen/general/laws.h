// The three laws of WORLD.md, tested on one lowered world: (1) the views after a lowered effect are
// the effect on the views; (2) a successful call equals its World transition, a failed one changes
// nothing; (3) invariants hold after any legal sequence.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "envgen/general/goal.h"
#include "envgen/general/slot.h"
#include "envgen/general/surface.h"
#include "sandbox/tool_host.h"

namespace seedbed::envgen {

// A world dressed and stored by the named passes; what make_environment() does with passes drawn.
Result<Lowered> dress(std::shared_ptr<const World> world,
                      const Facts& facts,
                      const Packs& packs,
                      const Lexicon& lexicon,
                      const PassChoice& passes,
                      Rng rng);

// Like draft_of(), for a goal that was drawn and worded in another dress of the same world: what
// the prompt says is not looked at.
Result<std::optional<tasks::Draft>> draft_in_other_words(const Lowered& lowered,
                                                         const Goal& goal,
                                                         Rng rng);

struct LawReport {
  int steps = 0, succeeded = 0;
  std::vector<std::string> broken;  // which law, where
};
// Plays `steps` random calls (most of them legal) from a reset state.
Result<LawReport> check_laws(const Lowered& lowered, sandbox::ToolHost& host, Rng rng, int steps);

}  // namespace seedbed::envgen
