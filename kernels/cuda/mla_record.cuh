// How records and what is made of them lie in the shared memory of mla_mma.cuh.
#pragma once
#include "kernels/cuda/mla_job.cuh"

namespace seedbed::kernels::KN_NS {
namespace {

constexpr int kMlaBlock = 32;                      // entries at a time
constexpr int kMlaBlocks = kMlaSplit / kMlaBlock;  // of a split
constexpr int kMlaHeads = 16, kMlaThreads = 128;   // of a group
constexpr int kPartialPitch = kMlaBlock + 4;       // floats
constexpr int kWeightPitch = kMlaBlock + 8;        // floats
constexpr int kSlotRing = 4;

// A record in shared memory, padded to 512 + 64 channels. Rows of f8 records are 656 bytes long as
// stored, rows of bf16 ones get 16 more: four rows on are 64 bytes on modulo all banks.
template <bool kF8>
struct Record {
  static constexpr int kPitch = kF8 ? 656 : 1168;
  static constexpr int kChunks = kF8 ? 41 : 72;  // of 16 bytes, in the published shape
  static constexpr int kScales = 512;            // f8: where they begin
  static constexpr int kKey = kF8 ? 528 : 1024;
  static constexpr int kSteps = kF8 ? 2 : 4;  // of a quarter: 64 bytes of a row
  static constexpr int kQuarter = kF8 ? 128 : 256;
};

struct MlaShared {  // offsets in bytes
  int partial, weight, fade, top, total, unit, ring, acc, bytes;
};
template <bool kF8>
__host__ __device__ __forceinline__ MlaShared mla_shared(int groups, int stages, bool keeps_acc) {
  MlaShared s{};
  s.partial = stages * kMlaBlock * Record<kF8>::kPitch;
  s.weight = s.partial + groups * 4 * kMlaHeads * kPartialPitch * 4;
  s.fade = s.weight + groups * kMlaHeads * kWeightPitch * 4;
  s.top = s.fade + groups * kMlaHeads * 4;
  s.total = s.top + groups * kMlaHeads * 4;
  s.unit = s.total + groups * kMlaHeads * 4;
  s.ring = s.unit + groups * kMlaHeads * 4;
  s.acc = s.ring + kSlotRing * kMlaBlock * 4;
  s.bytes = s.acc + (keeps_acc ? groups * kMlaThreads * 64 * 4 : 0);
  return s;
}

// The entry of a block of eight that column n of the scores' mma stands for: neighbours are four
// rows apart, see Record.
__device__ __forceinline__ int entry_of(int n) {
  return (n & 1) * 4 + (n >> 1);
}

}  // namespace
}  // namespace seedbed::kernels::KN_NS
