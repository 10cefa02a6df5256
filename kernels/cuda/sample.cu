// From logits to tokens in up to eight launches, whatever the rows ask for: what a row does not
// need ends at once. Floor: the logits once (4 bytes an id), from the level 2 cache in the launches
// after the first; about 35 double operations an id for each distribution that is weighed.
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/sample_cut.cuh"
#include "kernels/cuda/sample_draw.cuh"
#include "kernels/cuda/sample_rows.cuh"
#include "kernels/sample.h"

namespace seedbed::kernels::KN_NS {

namespace {

constexpr int kMostTop = 1024;

// ---- biases and penalties, where there are any: z of every id ----

__global__ void __launch_bounds__(kChunkThreads) widen_kernel(Work w) {
  const View view(w, static_cast<int>(blockIdx.x));
  const int begin = static_cast<int>(blockIdx.y) * kChunk, end = min(begin + kChunk, w.p.vocab);
  double* z = w.z + std::int64_t{view.local} * w.p.vocab;
  for (int id = begin + static_cast<int>(threadIdx.x); id < end; id += kChunkThreads)
    z[id] = static_cast<double>(view.logits[id]);
}

__global__ void __launch_bounds__(kChunkThreads) adjust_kernel(Work w) {
  const View view(w, static_cast<int>(blockIdx.x));
  const SampleParams& p = w.p;
  double* z = w.z + std::int64_t{view.local} * p.vocab;
  const int tid = static_cast<int>(threadIdx.x);
  if (p.bias_offsets != nullptr)
    for (int k = p.bias_offsets[view.at] + tid; k < p.bias_offsets[view.at + 1];
         k += kChunkThreads) {
      const std::int32_t id = p.bias_ids[k];
      KN_CHECK(id >= 0 && id < p.vocab, id, p.vocab);
      KN_CHECK(p.bias[k] < INFINITY, id, k);
      z[id] = __dadd_rn(z[id], static_cast<double>(p.bias[k]));
    }
  __syncthreads();
  if (p.seen_offsets != nullptr)
    for (int k = p.seen_offsets[view.at] + tid; k < p.seen_offsets[view.at + 1];
         k += kChunkThreads) {
      const std::int32_t id = p.seen_ids[k];
      KN_CHECK(id >= 0 && id < p.vocab, id, p.vocab);
      z[id] = penalised(z[id], view.row(), p.seen_outputs[k]);
    }
}

// ---- the highest of each chunk ----

__global__ void __launch_bounds__(kChunkThreads) scan_kernel(Work w) {
  KN_SHARED(Chunk, of_warp, [kChunkThreads / 32]);
  const View view(w, static_cast<int>(blockIdx.x));
  const int tid = static_cast<int>(threadIdx.x), c = static_cast<int>(blockIdx.y);
  if (c == 0) {
    const SampleRow& s = view.row();
    KN_CHECK(s.temperature >= 0 && s.top_k >= 0, view.at, s.top_k);
    KN_CHECK(s.top_p >= 0 && s.min_p >= 0 && s.min_p <= 1, view.at, w.p.rows);
    KN_CHECK(s.repetition_penalty > 0, view.at, w.p.rows);
    for (int k = tid; k < kClasses; k += kChunkThreads) view.classes()[k] = 0;
    if (tid == 0) view.cut() = {kMinusInfKey, 0, -1, 0x7fffffff};
  }
  Chunk own{};
  own.highest = own.raw_highest = -INFINITY;
  own.best = 0x7fffffff;
  const int begin = c * kChunk, end = min(begin + kChunk, w.p.vocab);
#pragma unroll 4
  for (int id = begin + tid; id < end; id += kChunkThreads) {
    const float raw = view.logits[id];
    const double z = view.z(id);
    own.raw_highest = fmaxf(own.raw_highest, raw);
    if (!(raw < INFINITY)) own.bad = 1;
    if (!view.is_allowed(id)) own.masked = 1;
    if (z > own.highest) own.highest = z, own.best = id;
  }
  const auto join = [&own](double z, int best, float raw, int bad, int masked) {
    if (z > own.highest || (z == own.highest && best < own.best)) own.highest = z, own.best = best;
    own.raw_highest = fmaxf(own.raw_highest, raw);
    own.bad |= bad;
    own.masked |= masked;
  };
  for (int step = 16; step > 0; step /= 2) {
    const double z = __shfl_xor_sync(kFullMask, own.highest, step);
    const int best = __shfl_xor_sync(kFullMask, own.best, step);
    const float raw = __shfl_xor_sync(kFullMask, own.raw_highest, step);
    const int flags = __shfl_xor_sync(kFullMask, own.bad | own.masked << 1, step);
    join(z, best, raw, flags & 1, flags >> 1);
  }
  if (tid % 32 == 0) of_warp[tid / 32] = own;
  __syncthreads();
  if (tid != 0) return;
  for (int k = 1; k < kChunkThreads / 32; ++k)
    join(of_warp[k].highest, of_warp[k].best, of_warp[k].raw_highest, of_warp[k].bad,
         of_warp[k].masked);
  view.chunks()[c] = own;
}

// ---- weights ----

__global__ void __launch_bounds__(kChunkThreads) weigh_kernel(Work w) {
  KN_SHARED(unsigned, low, [kClasses]);
  KN_SHARED(unsigned, high, [kClasses]);
  KN_SHARED(Weight, scratch, [kChunkThreads / 32]);
  const View view(w, static_cast<int>(blockIdx.x));
  const Row row = row_of(view);
  if (row.nothing) return;
  const int tid = static_cast<int>(threadIdx.x), c = static_cast<int>(blockIdx.y);
  const bool by_class = row.by_weight && !row.by_count;
  const bool weighs = !row.greedy && !row.by_count;
  const bool surprises = weighs && !row.cuts && w.p.entropy != nullptr;
  if (by_class)
    for (int k = tid; k < kClasses; k += kChunkThreads) low[k] = high[k] = 0;
  __syncthreads();
  Weight total = 0, surprise = 0, raw_total = 0;
  const int begin = c * kChunk, end = min(begin + kChunk, w.p.vocab);
  for (int base = begin; base < end; base += kChunkThreads) {
    const int id = base + tid;
    const bool in = id < end;
    Weight weight = 0;
    if (in && weighs) {
      const double z = view.z(id), x = row.x(z);
      weight = weight_of(x);
      if (!(z > -INFINITY)) weight = 0;
      total += weight;
      if (surprises && weight != 0) surprise += surprise_of(x, weight);
    }
    if (in && !(row.plain && weighs))
      raw_total += weight_of(__dsub_rn(static_cast<double>(view.logits[id]), row.raw_highest));
    if (by_class) add_to_slots(low, high, weight == 0 ? -1 : class_of(weight), weight);
  }
  total = chunk_sum(total, scratch);
  if (surprises) surprise = chunk_sum(surprise, scratch);
  raw_total = chunk_sum(raw_total, scratch);
  if (tid == 0) {
    Chunk& chunk = view.chunks()[c];
    chunk.total = total;
    chunk.surprise = surprise;
    chunk.raw_total = row.plain && weighs ? total : raw_total;
  }
  if (!by_class) return;
  for (int k = tid; k < kClasses; k += kChunkThreads) {
    const Weight sum = static_cast<Weight>(high[k]) << 32 | low[k];
    if (sum != 0) atomicAdd(&view.classes()[k], sum);
  }
}

// ---- the ends of top-k and top-p ----

__global__ void __launch_bounds__(kCutThreads) cut_kernel(Work w) {
  KN_SHARED(unsigned, count, [kCutBins]);
  KN_SHARED(unsigned, low, [kCutBins]);
  KN_SHARED(unsigned, high, [kCutBins]);
  KN_SHARED(Weight, key, [kFew]);
  KN_SHARED(int, id, [kFew]);
  KN_SHARED(Weight, scratch, [32]);
  KN_SHARED(Weight, found, [4]);
  const CutMemory m{count, low, high, key, id, scratch, found};
  const View view(w, static_cast<int>(blockIdx.x));
  const Row row = row_of(view);
  if (row.nothing || !(row.by_count || row.by_weight)) return;
  const SampleRow& s = view.row();
  const int vocab = w.p.vocab, tid = static_cast<int>(threadIdx.x);
  if (row.by_count) {
    const Threshold end = reach(ByZ{view}, vocab, kMinusInfKey + 1, key_of_z(row.highest),
                                static_cast<Weight>(s.top_k), vocab <= kFew, m);
    if (tid == 0) {
      view.cut().z_bound = end.bound;
      view.cut().z_id = end.id;
    }
    __syncthreads();
  }
  if (!row.by_weight) return;
  ByWeight ids{view, Keeper(view, row)};
  Weight total = 0;
  if (row.by_count) {
    Weight own = 0, weight = 0;
    for (int k = tid; k < vocab; k += kCutThreads)
      if (ids.get(k, weight)) own += weight;
    total = block_before<kCutThreads>(own, scratch).all;
    __syncthreads();
  } else {
    total = over_chunks<Weight>(view, w.chunks, &Chunk::total);
  }
  const Weight target = top_p_target(s.top_p, total);
  const Threshold end =
      row.by_count ? reach(ids, vocab, 1, Weight{1} << kWeightBits, target, s.top_k <= kFew, m)
                   : reach_in_classes(ids, view, target, m);
  if (tid == 0) {
    view.cut().w_bound = end.bound;
    view.cut().w_id = end.id;
  }
}

std::size_t round_up(std::size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

// The launches for `rows` rows from w.first on.
void run(const Work& w, int rows) {
  const SampleParams& p = w.p;
  const auto stream = here().stream;
  const auto n = static_cast<unsigned>(rows);
  const dim3 chunks(n, static_cast<unsigned>(w.chunks)), one(n);
  if (w.z != nullptr) {
    launch(widen_kernel, chunks, dim3(kChunkThreads), 0, stream, w);
    launch(adjust_kernel, one, dim3(kChunkThreads), 0, stream, w);
  }
  launch(scan_kernel, chunks, dim3(kChunkThreads), 0, stream, w);
  launch(weigh_kernel, chunks, dim3(kChunkThreads), 0, stream, w);
  launch(cut_kernel, one, dim3(kCutThreads), 0, stream, w);
  launch(keep_kernel, chunks, dim3(kChunkThreads), 0, stream, w);
  launch(draw_kernel, one, dim3(kDrawThreads), 0, stream, w);
  if (p.kept_ids != nullptr && p.kept_capacity > 0)
    launch(list_kernel, chunks, dim3(kChunkThreads), 0, stream, w);
  if (p.top > 0) launch(top_kernel, one, dim3(kDrawThreads), topk_memory(p.vocab), stream, w);
}

}  // namespace

void sample(const SampleParams& p) {
  KERNEL_CHECK(p.vocab >= 1 && p.vocab <= kMaxSampleVocab, p.vocab, kMaxSampleVocab);
  KERNEL_CHECK(p.rows == 0 || (p.logits != nullptr && p.row != nullptr && p.id != nullptr &&
                               p.logprob != nullptr && p.raw_logprob != nullptr),
               p.rows, p.vocab);
  KERNEL_CHECK(p.top <= kMostTop, p.top, kMostTop);
  const bool lists = p.bias_offsets != nullptr || p.seen_offsets != nullptr;
  Work w{};
  w.p = p;
  w.chunks = static_cast<int>(ceil_div(p.vocab, kChunk));
  const auto chunks = static_cast<std::size_t>(w.chunks), vocab = static_cast<std::size_t>(p.vocab);
  const std::size_t a_row = chunks * sizeof(Chunk) + kClasses * sizeof(Weight) + sizeof(Cut) +
                            (lists ? vocab * sizeof(double) : 0);
  const std::size_t room = here().workspace_bytes;
  KERNEL_CHECK(p.rows == 0 || room >= a_row + 4 * 256, room, a_row);
  const std::size_t most = (room - 4 * 256) / a_row;
  const int at_once = static_cast<int>(most < static_cast<std::size_t>(p.rows) ? most : p.rows);
  for (w.first = 0; w.first < p.rows; w.first += at_once) {
    const int rows = p.rows - w.first < at_once ? p.rows - w.first : at_once;
    const auto n = static_cast<std::size_t>(rows);
    std::byte* at = here().workspace;
    w.chunk = reinterpret_cast<Chunk*>(at);
    at += round_up(n * chunks * sizeof(Chunk));
    w.classes = reinterpret_cast<Weight*>(at);
    at += round_up(n * kClasses * sizeof(Weight));
    w.cut = reinterpret_cast<Cut*>(at);
    at += round_up(n * sizeof(Cut));
    w.z = lists ? reinterpret_cast<double*>(at) : nullptr;
    run(w, rows);
  }
}

}  // namespace seedbed::kernels::KN_NS
