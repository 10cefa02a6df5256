// The seccomp allowlist of a tool server, and the names of system calls.
#pragma once
#include <string_view>

#include "sandbox/broker/sys.h"

namespace seedbed::sandbox {

// The program's descriptor while it is being started: above every RLIMIT_NOFILE that a jail may
// have, so that nothing inside can make it again once exec has closed it. The filter allows
// execveat of this one descriptor: there is no second exec.
inline constexpr int kProgramFd = 1000;

// Installs the filter in the calling thread; needs no_new_privs. What is not allowed goes to the
// listener (returned through `listener`), whose owner names it and answers EPERM; where the kernel
// grants no listener, it is EPERM without a name and `listener` stays -1. A foreign ABI (32 bit,
// x32) kills. Returns 0 or errno.
int install_filter(int& listener);

std::string_view syscall_name(int number);  // "" where unknown to us

}  // namespace seedbed::sandbox
