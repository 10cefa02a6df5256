// Pairs of knob values that no task can have, by what the kinds and knobs mean. Private to
// diversity.
#pragma once
#include <string>

#include "tasks/diversity/knobs.h"

namespace seedbed::tasks::diversity {

// Why the two cannot meet; "" where they can.
std::string excluded_because(const KnobDomain& knob_a,
                             const KnobValue& a,
                             const KnobDomain& knob_b,
                             const KnobValue& b);

}  // namespace seedbed::tasks::diversity
