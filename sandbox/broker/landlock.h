// Landlock by number: the reference distribution's headers are older than its kernels.
#pragma once

namespace seedbed::sandbox {

// Highest ABI of this kernel, or -errno.
int landlock_abi();
// From now on the calling thread and its children reach no file but those below `work_area` (an
// O_PATH descriptor, or -1: none), make no TCP connection, and signal or connect nobody outside.
// Needs no_new_privs. Returns 0 or errno.
int landlock_restrict(int work_area);

}  // namespace seedbed::sandbox
