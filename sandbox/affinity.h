// A caller and its jail on one core: waking an idle core costs more than the call itself (3 to 5
// times the round trip).
#pragma once
#include <sys/types.h>

#include "base/result.h"

namespace seedbed::sandbox {

// Pins the calling thread and, where pid > 0, that process to `core`. Refuses (Error{sandbox}) a
// core that this process may not use.
Step pin_thread_and(int core, pid_t pid);

}  // namespace seedbed::sandbox
