// Kernels with a bug each, and their correct twins: what the runtime must find, and must not.
#pragma once
#include <cstddef>
#include <cstdint>

namespace seedbed::simt_self {

// With `bug` the mistake is made at the line that carries `// PLANT: <name>` in planted.cu.
// `in` has 64 floats, `out` 64.
struct Planted {
  const char* name;
  void (*run)(bool bug, const float* in, float* out);
};

// Found by the race check: races, and what only sees each access.
extern const Planted kTailBarrier, kWarpFence, kShuffleAsFence, kCounter, kNamedBarrier,
    kWrittenWhileRead, kCopyNotWaitedFor, kNeverWritten, kOutOfStatic, kOutOfDynamic, kOutOfBlock;
// Found in any build: threads that do not meet.
extern const Planted kTwoBarriers, kBarrierAgainstShuffle, kAbsentLane, kNotInOwnMask, kTwoOps,
    kPartialMma, kLeftLane, kLeftThread, kBarrierOf48, kTrap, kTooMuchShared, kMisalignedCopy;
// Found by AddressSanitizer and UndefinedBehaviorSanitizer.
extern const Planted kOutOfGlobal, kOutOfLocal, kMisalignedVector, kDeepRecursion;

}  // namespace seedbed::simt_self
