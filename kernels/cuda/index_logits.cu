// index_logits and index_logits_paged: see index_mma.cuh; f32, and more than 128 channels, in plain
// f32 below.
#include "kernels/cuda/index_mma.cuh"
#include "kernels/index_logits.h"

namespace seedbed::kernels::KN_NS {
namespace {

// Few tokens: up to four of them a block, their queries stay; tiles of keys go by, the next one on
// its way from memory (4 KiB a warp) while one is scored. Tokens of one sequence that stand side by
// side share its keys.
template <bool kF8, bool kAligned>
__global__ void __launch_bounds__(kIndexThreads, 1) index_decode_kernel(IndexJob job) {
  KN_DYN_SMEM(smem);
  using Block = IndexBlock<kF8, kAligned>;
  Block block(job, smem);
  const int first_token = static_cast<int>(blockIdx.y) * kResidentTokens,
            last_token = min(first_token + kResidentTokens, job.tokens);
  uint4 queries[Block::kQLoads];
  for (int token = first_token; token < last_token; ++token) {
    block.fetch(token, queries);
    block.put(token - first_token, token, queries);
  }
  __syncthreads();
  int token = first_token, next = first_token, tile = static_cast<int>(blockIdx.x) * kTileKeys;
  const int step = static_cast<int>(gridDim.x) * kTileKeys;
  uint4 raw[2][2][Block::kSteps];
  typename Block::Place place;
  float scale = 1;
  const auto look = [&] {  // at the keys of the run that begins with `token`
    if (tile >= job.columns) return;
    place = block.place(token, tile, block.end_of_run(token, last_token, next));
    block.load_keys(place, raw);
    scale = block.load_scale(place);
  };
  look();
  while (tile < job.columns) {
    block.take_keys(place, raw, scale);
    const int from = token, to = next, at = tile;
    token = next;
    if (token == last_token) {
      token = first_token;
      tile += step;
    }
    look();
    for (int row = from; row < to; ++row) block.run_row(row, row - first_token, at);
  }
}

// 128 registers hold the f8 kernel where ptxas builds for sm_90; for sm_80 it would spill.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
constexpr int kPrefillBlocks = 2;
#else
constexpr int kPrefillBlocks = 1;
#endif
// Many tokens: one tile of keys stays in registers, tokens go by; the next one's queries are on
// their way while one is scored.
template <bool kF8, bool kAligned>
__global__ void __launch_bounds__(kIndexThreads, kF8&& kAligned ? kPrefillBlocks : 1)
    index_prefill_kernel(IndexJob job, int tokens_a_block) {
  KN_DYN_SMEM(smem);
  using Block = IndexBlock<kF8, kAligned>;
  Block block(job, smem);
  const int tile = static_cast<int>(blockIdx.x) * kTileKeys;
  const int first = static_cast<int>(blockIdx.y) * tokens_a_block,
            last = min(first + tokens_a_block, job.tokens);
  uint4 queries[Block::kQLoads];
  block.fetch(first, queries);
  block.put(0, first, queries);
  if (first + 1 < last) block.fetch(first + 1, queries);
  int next = first;
  for (int token = first; token < last; ++token) {
    __syncthreads();  // this token's queries are there; nobody reads those before it any more
    const int slot = (token - first) % 2;
    if (token + 1 < last) block.put(1 - slot, token + 1, queries);
    if (token + 2 < last) block.fetch(token + 2, queries);
    if (token == next)
      block.read_keys(block.place(token, tile, block.end_of_run(token, last, next)));
    block.run_row(token, slot, tile);
  }
}

// Any dtype and dim: 32 keys of one token a block, widened into shared memory; a lane is a key, a
// warp has every eighth head. Floor: 2 * heads * dim FLOP a score at the rate of f32.
__device__ __forceinline__ float stored_number(DType dtype, const std::byte* at, std::int64_t i) {
  if (dtype == DType::f8) return e4m3x4_to_f32(static_cast<std::uint32_t>(at[i])).x;
  if (dtype == DType::bf16)
    return __uint_as_float((static_cast<std::uint32_t>(at[2 * i]) << 16) |
                           (static_cast<std::uint32_t>(at[2 * i + 1]) << 24));
  return __uint_as_float(load16_bytes(at + 4 * i, 4).x);
}
__global__ void __launch_bounds__(kIndexThreads) index_plain_kernel(IndexJob job, DType dtype) {
  KN_DYN_SMEM(smem);
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int pitch = job.dim + 1, blocks = quant_blocks(job.dim), tiles = (job.columns + 31) / 32;
  float* keys = reinterpret_cast<float*>(smem);                 // [32][pitch]
  float* scales = keys + 32 * pitch;                            // [32][blocks]
  float* q = scales + 32 * blocks + warp * job.dim;             // of the warp's head
  float* heads = scales + 32 * blocks + kIndexWarps * job.dim;  // [heads][32]
  const int token = static_cast<int>(blockIdx.x / static_cast<unsigned>(tiles)),
            first = static_cast<int>(blockIdx.x % static_cast<unsigned>(tiles)) * 32;
  const int begin = begin_of(job, token), end = end_of(job, token), s = first + lane;
  const std::byte* page = nullptr;
  if (job.paged && first < end) {
    const std::int32_t id =
        job.table.table[sequence_of(job, token) * job.table.table_stride + first / kPageTokens];
    if (id >= 0 && id < job.pages.count) page = job.pages.base + id * job.pages.stride;
  }
  const bool somewhere = first < end && first + 32 > begin && (!job.paged || page != nullptr);
  const bool seen = somewhere && s >= begin && s < end;
  if (somewhere)
    for (int row = warp; row < 32; row += kIndexWarps) {
      const bool there = first + row < end;
      const std::int64_t at = job.paged ? (first + row) % kPageTokens : first + row;
      const std::byte* from = job.paged ? page : job.k;
      for (int i = lane; i < job.dim; i += 32)
        keys[row * pitch + i] = there ? stored_number(dtype, from, at * job.dim + i) : 0.0F;
      for (int i = lane; i < blocks; i += 32)
        scales[row * blocks + i] =
            !there || dtype != DType::f8 ? 1.0F
            : job.paged ? stored_number(DType::f32, page + kPageTokens * job.dim, at * blocks + i)
                        : job.k_scale[at * blocks + i];
    }
  __syncthreads();
  for (int head = warp; somewhere && head < job.heads; head += kIndexWarps) {
    const std::int64_t row = static_cast<std::int64_t>(token) * job.heads + head;
    __syncwarp();
    for (int i = lane; i < job.dim; i += 32) q[i] = stored_number(dtype, job.q, row * job.dim + i);
    __syncwarp();
    float product = 0;
    for (int b = 0; b < blocks; ++b) {
      float sum = 0;
      for (int i = b * kQuantBlock; i < min((b + 1) * kQuantBlock, job.dim); ++i)
        sum = __fmaf_rn(q[i], keys[lane * pitch + i], sum);
      product = __fmaf_rn(sum, scales[lane * blocks + b], product);
    }
    heads[head * 32 + lane] = product < 0 ? 0.0F : product;
  }
  __syncthreads();
  if (warp != 0 || s >= job.columns) return;
  float x = 0;
  if (seen)
    for (int head = 0; head < job.heads; ++head)
      x = __fmaf_rn(job.w[static_cast<std::int64_t>(token) * job.heads + head],
                    heads[head * 32 + lane], x);
  job.out[token * job.ldo + s] = seen ? x : -INFINITY;
}

unsigned count(std::int64_t n) {
  return static_cast<unsigned>(n);
}

template <bool kF8, bool kAligned>
void launch_mma(const IndexJob& job) {
  const auto room = static_cast<std::size_t>(query_room(job.heads).bytes);
  const std::int64_t tiles = ceil_div(job.columns, kTileKeys), sms = here().sms;
  const std::int64_t groups = ceil_div(job.tokens, kResidentTokens);
  // A block that keeps its queries pays off until tokens alone would fill the device.
  if (job.tokens <= 256 && room * kResidentTokens <= std::size_t{96} * 1024) {
    const std::int64_t blocks = max(std::int64_t{1}, min(tiles, ceil_div(4 * sms, groups)));
    launch(index_decode_kernel<kF8, kAligned>, dim3(count(blocks), count(groups)),
           dim3(kIndexThreads), room * static_cast<std::size_t>(min(kResidentTokens, job.tokens)),
           here().stream, job);
    return;
  }
  const std::int64_t each =
      min(std::int64_t{64}, max(std::int64_t{8}, job.tokens * tiles / (4 * sms)));
  launch(index_prefill_kernel<kF8, kAligned>, dim3(count(tiles), count(ceil_div(job.tokens, each))),
         dim3(kIndexThreads), 2 * room, here().stream, job, static_cast<int>(each));
}

bool divides16(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % 16 == 0;
}

void run(const IndexJob& job, DType dtype) {
  if (job.tokens == 0 || job.columns == 0) return;
  KERNEL_CHECK(job.heads > 0 && job.dim > 0, job.heads, job.dim);
  const int bytes = bytes_of(dtype);
  if (dtype == DType::f32 || job.dim > kIndexMaxDim) {
    const std::size_t room =
        sizeof(float) * static_cast<std::size_t>(32 * (job.dim + 1 + quant_blocks(job.dim)) +
                                                 kIndexWarps * job.dim + 32 * job.heads);
    KERNEL_CHECK(room <= std::size_t{99} * 1024, job.heads, job.dim);
    launch(index_plain_kernel, dim3(count(job.tokens * ceil_div(job.columns, 32))),
           dim3(kIndexThreads), room, here().stream, job, dtype);
    return;
  }
  const bool keys =
      job.paged ? divides16(job.pages.base) && job.pages.stride % 16 == 0 : divides16(job.k);
  const bool aligned = keys && divides16(job.q) && job.dim * bytes % 16 == 0;
  if (dtype == DType::f8)
    aligned ? launch_mma<true, true>(job) : launch_mma<true, false>(job);
  else
    aligned ? launch_mma<false, true>(job) : launch_mma<false, false>(job);
}

}  // namespace

void index_logits(const IndexLogitsParams& p) {
  IndexJob job;
  job.tokens = p.tokens;
  job.heads = p.heads;
  job.dim = p.dim;
  job.columns = p.columns;
  job.q = static_cast<const std::byte*>(p.q);
  job.w = p.w;
  job.k = static_cast<const std::byte*>(p.k);
  job.k_scale = p.k_scale;
  job.key_begin = p.key_begin;
  job.key_end = p.key_end;
  job.out = p.out;
  job.ldo = p.ldo != 0 ? p.ldo : p.columns;
  run(job, p.dtype);
}

void index_logits_paged(const IndexLogitsPagedParams& p) {
  IndexJob job;
  job.tokens = p.tokens;
  job.heads = p.heads;
  job.dim = p.dim;
  job.columns = p.columns;
  job.q = static_cast<const std::byte*>(p.q);
  job.w = p.w;
  job.paged = true;
  job.pages = p.pages;
  job.table = p.table;
  job.key_end = p.key_end;
  job.out = p.out;
  job.ldo = p.ldo != 0 ? p.ldo : p.columns;
  run(job, p.pages.dtype);
}

}  // namespace seedbed::kernels::KN_NS
