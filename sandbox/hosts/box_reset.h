// R2: a box back to a state of its files, without another box.
#pragma once
#include "base/result.h"
#include "sandbox/boxes.h"
#include "sandbox/hosts/work_state.h"

namespace seedbed::sandbox {

// Ends every program inside but pid 1, empties /tmp and /dev/shm, makes /work exactly `state` and
// reads it again to prove it. Hosts on the box must be gone. System V objects and message queues
// stay: where they matter, take another box (R3). A box that was full of processes takes until
// their places are free. Error{sandbox}: the box is of no use any more.
Step reset_box(LiveBox& box, const WorkState& state);

}  // namespace seedbed::sandbox
