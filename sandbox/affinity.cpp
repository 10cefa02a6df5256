#include "sandbox/affinity.h"

#include <sched.h>

#include <cerrno>

#include "sandbox/broker/errno_name.h"

namespace seedbed::sandbox {

Step pin_thread_and(int core, pid_t pid) {
  cpu_set_t set;
  CPU_ZERO(&set);
  const bool possible = core >= 0 && core < CPU_SETSIZE;
  if (possible) CPU_SET(static_cast<unsigned>(core), &set);
  errno = EINVAL;
  if (!possible || ::sched_setaffinity(0, sizeof set, &set) != 0 ||
      (pid > 0 && ::sched_setaffinity(pid, sizeof set, &set) != 0)) {
    return make_error(Where::sandbox, "core", std::to_string(core),
                      "sched_setaffinity failed: " + errno_name(errno),
                      "name a core that this process may use, or none");
  }
  return {};
}

}  // namespace seedbed::sandbox
