// The last launches of sample.cu: what is kept, the draw, and what is told of both.
#pragma once
#include "kernels/cuda/sample_rows.cuh"
#include "kernels/cuda/topk_row.cuh"

namespace seedbed::kernels::KN_NS {

static __global__ void __launch_bounds__(kChunkThreads) keep_kernel(Work w) {
  KN_SHARED(Weight, scratch, [kChunkThreads / 32]);
  const View view(w, static_cast<int>(blockIdx.x));
  const Row row = row_of(view);
  if (row.nothing || row.greedy || !row.cuts) return;
  const Keeper keeper(view, row);
  const int begin = static_cast<int>(blockIdx.y) * kChunk, end = min(begin + kChunk, w.p.vocab);
  Weight count = 0, total = 0, surprise = 0;
  for (int id = begin + static_cast<int>(threadIdx.x); id < end; id += kChunkThreads) {
    const double z = view.z(id);
    Weight weight = 0;
    if (!keeper.keeps(z, id, weight)) continue;
    ++count;
    total += weight;
    if (w.p.entropy != nullptr && weight != 0) surprise += surprise_of(row.x(z), weight);
  }
  count = chunk_sum(count, scratch);
  total = chunk_sum(total, scratch);
  surprise = chunk_sum(surprise, scratch);
  if (threadIdx.x != 0) return;
  Chunk& chunk = view.chunks()[blockIdx.y];
  chunk.kept_count = static_cast<std::int32_t>(count);
  chunk.kept_total = total;
  chunk.kept_surprise = surprise;
}

// The first kept_capacity of the kept ids, ascending: a thread takes 16 neighbours.
static __global__ void __launch_bounds__(kChunkThreads) list_kernel(Work w) {
  KN_SHARED(int, scratch, [kChunkThreads / 32]);
  constexpr int kPer = kChunk / kChunkThreads;
  const View view(w, static_cast<int>(blockIdx.x));
  const Row row = row_of(view);
  if (row.nothing || row.greedy || !row.cuts) return;
  const int c = static_cast<int>(blockIdx.y), capacity = w.p.kept_capacity;
  const int before = over_chunks<int>(view, c, &Chunk::kept_count);
  if (before >= capacity || view.chunks()[c].kept_count == 0) return;
  const Keeper keeper(view, row);
  const int first = c * kChunk + static_cast<int>(threadIdx.x) * kPer;
  unsigned kept = 0;
  for (int k = 0; k < kPer && first + k < w.p.vocab; ++k) {
    Weight weight = 0;
    if (keeper.keeps(view.z(first + k), first + k, weight)) kept |= 1U << k;
  }
  int at = before + block_before<kChunkThreads>(__popc(kept), scratch).before;
  for (; kept != 0 && at < capacity; kept &= kept - 1)
    w.p.kept_ids[view.at * capacity + at++] = first + __ffs(static_cast<int>(kept)) - 1;
}

constexpr int kDrawThreads = 1024;

// The id at which the running sum of weights, in ascending id, first exceeds `left`.
__device__ __forceinline__ int drawn(
    const View& view, const Row& row, Weight left, Weight* scratch, int* found) {
  constexpr int kPer = kChunk / kDrawThreads;
  // The chunk, by each warp for itself.
  const int lane = static_cast<int>(threadIdx.x % 32);
  int c = 0;
  for (;; c += 32) {
    Weight own = 0;
    if (c + lane < view.w.chunks)
      own = row.cuts ? view.chunks()[c + lane].kept_total : view.chunks()[c + lane].total;
    Weight sum = own;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
      const Weight below = __shfl_up_sync(kFullMask, sum, static_cast<unsigned>(step));
      if (lane >= step) sum += below;
    }
    const unsigned beyond = __ballot_sync(kFullMask, left < sum);
    const int at = beyond == 0 ? 31 : __ffs(static_cast<int>(beyond)) - 1;
    left -= __shfl_sync(kFullMask, beyond == 0 ? sum : sum - own, at);
    if (beyond != 0 || c + 32 >= view.w.chunks) {
      c += at;
      break;
    }
  }
  const Keeper keeper(view, row);
  const int first = c * kChunk + static_cast<int>(threadIdx.x) * kPer;
  Weight weight[kPer], sum = 0;
#pragma unroll
  for (int k = 0; k < kPer; ++k) {
    weight[k] = 0;
    if (first + k >= view.w.p.vocab) continue;
    const double z = view.z(first + k);
    Weight kept = 0;
    if (row.cuts) {
      if (keeper.keeps(z, first + k, kept)) weight[k] = kept;
    } else if (z > -INFINITY) {
      weight[k] = weight_of(row.x(z));
    }
    sum += weight[k];
  }
  Weight before = block_before<kDrawThreads>(sum, scratch).before;
  if (before <= left && left < before + sum) {
    int k = 0;
#pragma unroll
    for (int j = 0; j + 1 < kPer; ++j) {
      before += weight[j];
      if (left >= before) k = j + 1;
    }
    *found = first + k;
  }
  __syncthreads();
  return *found;
}

__device__ inline void write_nothing(const SampleParams& p, std::int64_t i) {
  p.id[i] = -1;
  p.logprob[i] = p.raw_logprob[i] = 0;
  if (p.entropy != nullptr) p.entropy[i] = 0;
  if (p.kept_count != nullptr) p.kept_count[i] = 0;
}

static __global__ void __launch_bounds__(kDrawThreads) draw_kernel(Work w) {
  KN_SHARED(Weight, scratch, [32]);
  KN_SHARED(int, found, [1]);
  const View view(w, static_cast<int>(blockIdx.x));
  const SampleParams& p = w.p;
  const std::int64_t i = view.at;
  const Row row = row_of(view);
  if (row.nothing) {
    if (threadIdx.x == 0) write_nothing(p, i);
    return;
  }
  Weight total = 0, surprise = 0;
  int id = row.best, kept = 1;
  if (!row.greedy) {
    total = over_chunks<Weight>(view, w.chunks, row.cuts ? &Chunk::kept_total : &Chunk::total);
    surprise =
        over_chunks<Weight>(view, w.chunks, row.cuts ? &Chunk::kept_surprise : &Chunk::surprise);
    kept = row.cuts ? over_chunks<int>(view, w.chunks, &Chunk::kept_count) : -1;
    id = drawn(view, row, scaled_draw(sample_bits(view.row()), total), scratch, found);
  }
  const Weight raw_total = over_chunks<Weight>(view, w.chunks, &Chunk::raw_total);
  if (threadIdx.x != 0) return;
  p.id[i] = id;
  p.raw_logprob[i] = static_cast<float>(__dsub_rn(
      __dsub_rn(static_cast<double>(view.logits[id]), row.raw_highest), log_weight(raw_total)));
  if (p.kept_count != nullptr) p.kept_count[i] = kept;
  if (row.greedy) {
    p.logprob[i] = 0;
    if (p.entropy != nullptr) p.entropy[i] = 0;
    if (p.kept_ids != nullptr && p.kept_capacity > 0) p.kept_ids[i * p.kept_capacity] = id;
    return;
  }
  const double log_total = log_weight(total);
  p.logprob[i] = static_cast<float>(fmin(0.0, __dsub_rn(row.x(view.z(id)), log_total)));
  if (p.entropy != nullptr)
    p.entropy[i] = static_cast<float>(
        __dadd_rn(log_total, __ddiv_rn(static_cast<double>(surprise), static_cast<double>(total))));
}

// The highest raw logprobs: topk_select finds them, counting better ones puts them in order.
static __global__ void __launch_bounds__(kDrawThreads) top_kernel(Work w) {
  KN_DYN_SMEM(memory);
  const View view(w, static_cast<int>(blockIdx.x));
  const SampleParams& p = w.p;
  const Row row = row_of(view);
  std::int32_t* ids = p.top_ids + view.at * p.top;
  float* logprobs = p.top_logprobs + view.at * p.top;
  const int j = static_cast<int>(threadIdx.x);
  if (row.nothing) {
    if (j < p.top) ids[j] = -1, logprobs[j] = 0;
    return;
  }
  topk_row<kDrawThreads>(view.logits, p.vocab, p.top, {ids, nullptr, nullptr}, memory);
  __syncthreads();
  const double log_total = log_weight(over_chunks<Weight>(view, w.chunks, &Chunk::raw_total));
  int id = -1, place = j;
  if (j < p.top && ids[j] >= 0) {  // what is -1 stands behind all others already
    id = ids[j];
    place = 0;
    for (int k = 0; k < p.top && ids[k] >= 0; ++k)
      if (view.logits[ids[k]] > view.logits[id] ||
          (view.logits[ids[k]] == view.logits[id] && ids[k] < id))
        ++place;
  }
  __syncthreads();
  if (j >= p.top) return;
  const bool there = id >= 0 && view.logits[id] > -INFINITY;
  ids[place] = there ? id : -1;
  logprobs[place] =
      there ? static_cast<float>(__dsub_rn(
                  __dsub_rn(static_cast<double>(view.logits[id]), row.raw_highest), log_total))
            : 0.0F;
}

}  // namespace seedbed::kernels::KN_NS
