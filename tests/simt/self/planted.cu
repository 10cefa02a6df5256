#include "kernels/cuda/device.h"
#include "tests/simt/self/planted.h"

namespace seedbed::simt_self {
namespace {
using namespace seedbed::kernels::simt;  // NOLINT: this is a kernel's own file

// Everything runs as one block of 64 threads with 64 floats of dynamic shared memory.
using Kernel = void (*)(bool, const float*, float*);
template <Kernel kernel>
void one_block(bool bug, const float* in, float* out) {
  launch(kernel, dim3(1), dim3(64), 64 * sizeof(float), nullptr, bug, in, out);
}
template <Kernel kernel>
void two_blocks(bool bug, const float* in, float* out) {
  launch(kernel, dim3(2), dim3(64), 0, nullptr, bug, in, out);
}

__global__ void tail_barrier(bool bug, const float* in, float* out) {
  KN_SHARED(float, tile, [64]);
  const unsigned t = threadIdx.x;
  float sum = 0;
  for (int round = 0; round < 3; ++round) {
    tile[t] = in[t] + static_cast<float>(round);  // PLANT: tail_barrier
    __syncthreads();
    sum += tile[63 - t];
    if (!bug) __syncthreads();
  }
  out[t] = sum;
}

__global__ void warp_fence(bool bug, const float* in, float* out) {
  KN_SHARED(float, tile, [64]);
  const unsigned t = threadIdx.x;
  tile[t] = in[t];
  if (!bug) __syncwarp();
  out[t] = tile[t ^ 1U];  // PLANT: warp_fence
}

__global__ void shuffle_as_fence(bool bug, const float* in, float* out) {
  KN_SHARED(float, tile, [64]);
  const unsigned t = threadIdx.x;
  tile[t] = in[t];
  const float other = __shfl_xor_sync(0xffffffffU, in[t], 2);
  if (!bug) __syncwarp();
  out[t] = tile[t ^ 1U] + other;  // PLANT: shuffle_as_fence
}

__global__ void counter(bool bug, const float*, float* out) {
  KN_SHARED(int, count, [1]);
  if (threadIdx.x == 0) count[0] = 0;
  __syncthreads();
  atomicAdd(&count[0], 1);
  if (!bug) __syncthreads();
  out[threadIdx.x] = static_cast<float>(count[0]);  // PLANT: counter
}

__global__ void named_barrier(bool bug, const float* in, float* out) {
  KN_SHARED(float, tile, [64]);
  const unsigned t = threadIdx.x;
  tile[t] = in[t];
  if (bug)
    bar_sync(1 + static_cast<int>(t / 32), 32);  // each warp alone
  else
    bar_sync(1, 64);
  out[t] = tile[63 - t];  // PLANT: named_barrier
}

// One warp fills, the other takes; the barrier that gives the buffer back is missing.
__global__ void written_while_read(bool bug, const float* in, float* out) {
  KN_SHARED(float, box, [32]);
  const unsigned lane = threadIdx.x % 32;
  const bool fills = threadIdx.x < 32;
  for (int round = 0; round < 2; ++round) {
    if (fills) {
      if (!bug && round > 0) bar_sync(2, 64);
      box[lane] = in[static_cast<unsigned>(round) * 32 + lane];  // PLANT: written_while_read
      bar_arrive(1, 64);
    } else {
      bar_sync(1, 64);
      out[static_cast<unsigned>(round) * 32 + lane] = box[31 - lane];
      if (!bug && round == 0) bar_arrive(2, 64);
    }
  }
}

__global__ void copy_not_waited_for(bool bug, const float* in, float* out) {
  KN_SHARED(float, tile, [64]);
  const unsigned t = threadIdx.x;
  if (t < 16) cp_async16(&tile[4 * t], in + 4 * t);
  cp_async_commit();
  if (!bug) cp_async_wait<0>();
  __syncthreads();
  out[t] = tile[t];  // PLANT: copy_not_waited_for
}

__global__ void never_written(bool bug, const float* in, float* out) {
  KN_SHARED(float, tile, [64]);
  const unsigned t = threadIdx.x;
  if (!bug || t < 63) tile[t] = in[t];
  __syncthreads();
  out[t] = tile[63 - t];  // PLANT: never_written
}

__global__ void out_of_static(bool bug, const float* in, float* out) {
  KN_SHARED(float, tile, [64]);  // DECLARED: out_of_static
  const unsigned t = threadIdx.x;
  tile[t + (bug ? 1 : 0)] = in[t];  // PLANT: out_of_static
  __syncthreads();
  out[t] = tile[t == 0 ? 1 : t];
}

__global__ void out_of_dynamic(bool bug, const float* in, float* out) {
  KN_DYN_SMEM(bytes);
  auto* tile = reinterpret_cast<float*>(bytes);
  const unsigned t = threadIdx.x;
  tile[t + (bug ? 1 : 0)] = in[t];  // PLANT: out_of_dynamic
  __syncthreads();
  out[t] = tile[t == 0 ? 1 : t];
}

// Two blocks add to one number; the correct twin atomically.
__global__ void out_of_block(bool bug, const float*, float* out) {
  if (threadIdx.x != 0) return;
  if (bug)
    out[0] = out[0] + 1;  // PLANT: out_of_block
  else
    atomicAdd(out, 1.0F);
}

__global__ void two_barriers(bool bug, const float* in, float* out) {
  const unsigned t = threadIdx.x;
  if (bug && t >= 32) {
    __syncthreads();
  } else {
    __syncthreads();  // PLANT: two_barriers
  }
  out[t] = in[t];
}

__global__ void barrier_against_shuffle(bool bug, const float* in, float* out) {
  const unsigned t = threadIdx.x;
  float x = in[t];
  if (bug && t % 32 >= 16) {
    x = __shfl_xor_sync(0xffffffffU, x, 1);
  } else {
    __syncthreads();  // PLANT: barrier_against_shuffle
  }
  out[t] = x;
}

__global__ void absent_lane(bool bug, const float* in, float* out) {
  const unsigned t = threadIdx.x;
  float x = in[t];
  if (t % 32 < 16) x = __shfl_xor_sync(0xffffU, x, bug ? 16 : 1);  // PLANT: absent_lane
  out[t] = x;
}

__global__ void not_in_own_mask(bool bug, const float* in, float* out) {
  const unsigned t = threadIdx.x;
  const unsigned half = t % 32 < 16 ? 0xffffU : 0xffff0000U;
  __syncwarp(bug && t % 32 < 16 ? 0xffff0000U : half);  // PLANT: not_in_own_mask
  out[t] = in[t];
}

__global__ void two_ops(bool bug, const float* in, float* out) {
  const unsigned t = threadIdx.x;
  float x = in[t];
  if (bug && t % 2 == 1)
    x += static_cast<float>(__ballot_sync(0xffffffffU, 1) & 1U);  // PLANT: two_ops
  else if (bug)
    x = __shfl_sync(0xffffffffU, x, 0);
  out[t] = x;
}

__global__ void partial_mma(bool bug, const float* in, float* out) {
  float c[4] = {};
  const std::uint32_t a[4] = {}, b[2] = {};
  if (!bug || threadIdx.x != 5) mma_bf16(c, a, b);  // PLANT: partial_mma
  if (bug) __syncwarp();
  out[threadIdx.x] = in[threadIdx.x] + c[0];
}

__global__ void left_lane(bool bug, const float* in, float* out) {
  out[threadIdx.x] = in[threadIdx.x];
  if (bug && threadIdx.x == 7) return;
  out[threadIdx.x] = warp_sum(in[threadIdx.x]);  // PLANT: left_lane
}

__global__ void left_thread(bool bug, const float* in, float* out) {
  out[threadIdx.x] = in[threadIdx.x];
  if (bug && threadIdx.x >= 32) return;
  __syncthreads();  // PLANT: left_thread
}

__global__ void barrier_of_48(bool bug, const float* in, float* out) {
  bar_sync(1, bug ? 48 : 64);  // PLANT: barrier_of_48
  out[threadIdx.x] = in[threadIdx.x];
}

__global__ void trap(bool bug, const float* in, float* out) {
  if (bug && threadIdx.x == 3) __trap();  // PLANT: trap
  out[threadIdx.x] = in[threadIdx.x];
}

__global__ void too_much_shared(bool bug, const float* in, float* out) {
  KN_SHARED(float, fits, [64]);
  fits[threadIdx.x] = in[threadIdx.x];
  if (bug) {
    KN_SHARED(float, large, [12 * 1024]);  // PLANT: too_much_shared
    large[threadIdx.x] = 0;
  }
  out[threadIdx.x] = fits[threadIdx.x];
}

__global__ void misaligned_copy(bool bug, const float* in, float* out) {
  KN_SHARED(float, tile, [64]);
  const unsigned t = threadIdx.x;
  if (t < 15) cp_async16(&tile[4 * t], in + 4 * t + (bug ? 1 : 0));  // PLANT: misaligned_copy
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  out[t] = t < 60 ? tile[t] : 0;
}

__global__ void out_of_global(bool bug, const float* in, float* out) {
  out[threadIdx.x] = in[threadIdx.x + (bug ? 1 : 0)];  // PLANT: out_of_global
}

__global__ void out_of_local(bool bug, const float* in, float* out) {
  float local[4] = {in[0], in[1], in[2], in[3]};
  volatile unsigned i = bug ? 4 : 3;
  out[threadIdx.x] = local[i] + in[threadIdx.x];  // PLANT: out_of_local
}

__global__ void misaligned_vector(bool bug, const float* in, float* out) {
  const auto* v = reinterpret_cast<const float4*>(in + (bug ? 1 : 0));
  out[threadIdx.x] = v[threadIdx.x % 8].x;  // PLANT: misaligned_vector
}

int descend(int depth, volatile int* last) {
  volatile int here[256];
  here[0] = depth;
  *last = depth;
  return depth == 0 ? here[0] : descend(depth - 1, here) + here[0];  // PLANT: deep_recursion
}
__global__ void deep_recursion(bool bug, const float* in, float* out) {
  volatile int last = 0;
  out[threadIdx.x] = in[threadIdx.x] + static_cast<float>(descend(bug ? 100'000 : 10, &last));
}
}  // namespace

const Planted kTailBarrier = {"tail_barrier", one_block<tail_barrier>};
const Planted kWarpFence = {"warp_fence", one_block<warp_fence>};
const Planted kShuffleAsFence = {"shuffle_as_fence", one_block<shuffle_as_fence>};
const Planted kCounter = {"counter", one_block<counter>};
const Planted kNamedBarrier = {"named_barrier", one_block<named_barrier>};
const Planted kWrittenWhileRead = {"written_while_read", one_block<written_while_read>};
const Planted kCopyNotWaitedFor = {"copy_not_waited_for", one_block<copy_not_waited_for>};
const Planted kNeverWritten = {"never_written", one_block<never_written>};
const Planted kOutOfStatic = {"out_of_static", one_block<out_of_static>};
const Planted kOutOfDynamic = {"out_of_dynamic", one_block<out_of_dynamic>};
const Planted kOutOfBlock = {"out_of_block", two_blocks<out_of_block>};
const Planted kTwoBarriers = {"two_barriers", one_block<two_barriers>};
const Planted kBarrierAgainstShuffle = {"barrier_against_shuffle",
                                        one_block<barrier_against_shuffle>};
const Planted kAbsentLane = {"absent_lane", one_block<absent_lane>};
const Planted kNotInOwnMask = {"not_in_own_mask", one_block<not_in_own_mask>};
const Planted kTwoOps = {"two_ops", one_block<two_ops>};
const Planted kPartialMma = {"partial_mma", one_block<partial_mma>};
const Planted kLeftLane = {"left_lane", one_block<left_lane>};
const Planted kLeftThread = {"left_thread", one_block<left_thread>};
const Planted kBarrierOf48 = {"barrier_of_48", one_block<barrier_of_48>};
const Planted kTrap = {"trap", one_block<trap>};
const Planted kTooMuchShared = {"too_much_shared", one_block<too_much_shared>};
const Planted kMisalignedCopy = {"misaligned_copy", one_block<misaligned_copy>};
const Planted kOutOfGlobal = {"out_of_global", one_block<out_of_global>};
const Planted kOutOfLocal = {"out_of_local", one_block<out_of_local>};
const Planted kMisalignedVector = {"misaligned_vector", one_block<misaligned_vector>};
const Planted kDeepRecursion = {"deep_recursion", one_block<deep_recursion>};

}  // namespace seedbed::simt_self
