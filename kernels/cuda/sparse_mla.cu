// sparse_mla and dense_mla: see mla_mma.cuh (bf16, f8 pages) and mla_f32.cuh for the arithmetic.
//
// Two ways to take a row's splits, of the same bits: one block goes through all of them and keeps
// what is joined in shared memory (many rows: nothing is written but the result), or each split has
// a block of its own and mla_combine joins what they left in the workspace (few rows: the device
// would stand idle).
#include "kernels/cuda/mla_f32.cuh"
#include "kernels/cuda/mla_mma.cuh"

namespace seedbed::kernels::KN_NS {
namespace {

template <bool kF8, bool kFast, int kGroups>
__global__ void __launch_bounds__(kMlaThreads* kGroups, 1)
    mla_rows_kernel(MlaJob job, int stages, int head_tiles) {
  KN_DYN_SMEM(smem);
  const MlaShared at = mla_shared<kF8>(kGroups, stages, true);
  MlaRow<kF8, kFast, kGroups> row(job, smem, at, stages,
                                  blockIdx.x / static_cast<unsigned>(head_tiles),
                                  static_cast<int>(blockIdx.x % static_cast<unsigned>(head_tiles)));
  float4* kept = reinterpret_cast<float4*>(smem + at.acc) + threadIdx.x;
  constexpr int kStep = kMlaThreads * kGroups;
  float top[2] = {-INFINITY, -INFINITY}, total[2] = {};
  const int blocks = (row.length + kMlaBlock - 1) / kMlaBlock;
  row.run(0, blocks, [&](int split) {
    Worth worth[2];
#pragma unroll
    for (int h = 0; h < 2; ++h)
      worth[h] = join_worth(top[h], total[h], row.of_head(at.top)[row.lane / 4 + 8 * h],
                            row.of_head(at.total)[row.lane / 4 + 8 * h]);
    row.each4([&](int i, int h, float4 x) {
      float4& to = kept[(2 * i + h) * kStep];
      const float4 old = split == 0 ? make_float4(0, 0, 0, 0) : to;
      to = make_float4(joined(old.x, x.x, worth[h]), joined(old.y, x.y, worth[h]),
                       joined(old.z, x.z, worth[h]), joined(old.w, x.w, worth[h]));
    });
  });
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int head = row.first_head + row.lane / 4 + 8 * h;
    if (head >= job.heads) continue;
    const std::int64_t at_row = row.token * job.heads + head;
    float* out = job.out + at_row * job.c;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      float4 x = make_float4(0, 0, 0, 0);
      if (total[h] != 0) {
        const float4 sum = kept[(2 * i + h) * kStep];
        x = make_float4(__fdiv_rn(sum.x, total[h]), __fdiv_rn(sum.y, total[h]),
                        __fdiv_rn(sum.z, total[h]), __fdiv_rn(sum.w, total[h]));
      }
      const int channel = row.channel_of(i);
      if (kFast && reinterpret_cast<std::uintptr_t>(job.out) % 16 == 0) {
        *reinterpret_cast<float4*>(out + channel) = x;
        continue;
      }
      const float four[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
      for (int n = 0; n < 4; ++n)
        if (channel + n < job.c) out[channel + n] = four[n];
    }
    if (job.lse != nullptr && row.lane % 4 == 0 && row.warp == 0)
      job.lse[at_row] = natural_lse(top[h], total[h]);
  }
}

template <bool kF8, bool kFast, int kGroups>
__global__ void __launch_bounds__(kMlaThreads* kGroups, 1)
    mla_splits_kernel(MlaJob job, MlaParts parts, int stages, int head_tiles) {
  KN_DYN_SMEM(smem);
  const MlaShared at = mla_shared<kF8>(kGroups, stages, false);
  const int tile = static_cast<int>(blockIdx.x % static_cast<unsigned>(head_tiles)),
            split = static_cast<int>(blockIdx.x / static_cast<unsigned>(head_tiles) %
                                     static_cast<unsigned>(parts.splits));
  MlaRow<kF8, kFast, kGroups> row(
      job, smem, at, stages,
      blockIdx.x / static_cast<unsigned>(head_tiles) / static_cast<unsigned>(parts.splits), tile);
  const int blocks = (row.length + kMlaBlock - 1) / kMlaBlock, first = split * kMlaBlocks;
  if (first >= blocks) return;
  row.run(first, min(first + kMlaBlocks, blocks), [&](int) {
    const std::int64_t part = (row.token * parts.splits + split) * job.heads;
    row.each4([&](int i, int h, float4 x) {
      const int head = row.first_head + row.lane / 4 + 8 * h;
      if (head < job.heads)
        *reinterpret_cast<float4*>(parts.acc + (part + head) * kMaxLatent + row.channel_of(i)) = x;
    });
    const int head = row.first_head + row.lane;
    if (row.warp == 0 && row.lane < kMlaHeads && head < job.heads) {
      parts.top[part + head] = row.of_head(at.top)[row.lane];
      parts.total[part + head] = row.of_head(at.total)[row.lane];
    }
  });
}

// One head of one token a block. Floor: 4 * kMaxLatent bytes a split.
__global__ void __launch_bounds__(kMlaThreads) mla_combine_kernel(MlaJob job, MlaParts parts) {
  const std::int64_t row = blockIdx.x, token = row / job.heads;
  const int head = static_cast<int>(row % job.heads), channel = 4 * static_cast<int>(threadIdx.x);
  const int splits = (list_length(job, token) + kMlaSplit - 1) / kMlaSplit;
  KN_CHECK(splits <= parts.splits, splits, parts.splits);
  float top = -INFINITY, total = 0;
  float4 sum = make_float4(0, 0, 0, 0);
  for (int split = 0; split < splits; ++split) {
    const std::int64_t part = (token * parts.splits + split) * job.heads + head;
    const Worth worth = join_worth(top, total, parts.top[part], parts.total[part]);
    const float4 x = *reinterpret_cast<const float4*>(parts.acc + part * kMaxLatent + channel);
    sum = make_float4(joined(sum.x, x.x, worth), joined(sum.y, x.y, worth),
                      joined(sum.z, x.z, worth), joined(sum.w, x.w, worth));
  }
  const float four[4] = {sum.x, sum.y, sum.z, sum.w};
#pragma unroll
  for (int n = 0; n < 4; ++n)
    if (channel + n < job.c)
      job.out[row * job.c + channel + n] = total == 0 ? 0.0F : __fdiv_rn(four[n], total);
  if (job.lse != nullptr && threadIdx.x == 0) job.lse[row] = natural_lse(top, total);
}

int shared_limit(int arch) {  // bytes that a block may ask for
  if (arch == 80 || arch == 87) return 163 * 1024;
  return arch >= 90 && arch < 120 ? 227 * 1024 : 99 * 1024;
}

template <bool kF8, bool kFast, int kGroups>
void launch_rows(const MlaJob& job, int stages) {
  const std::int64_t tiles = ceil_div(job.heads, kMlaHeads * kGroups);
  launch(mla_rows_kernel<kF8, kFast, kGroups>, dim3(static_cast<unsigned>(job.tokens * tiles)),
         dim3(kMlaThreads * kGroups),
         static_cast<std::size_t>(mla_shared<kF8>(kGroups, stages, true).bytes), here().stream, job,
         stages, static_cast<int>(tiles));
}

// As many tokens at a time as the workspace holds parts for.
template <bool kF8, bool kFast, int kGroups>
void launch_splits(const MlaJob& all, int stages, int splits) {
  const std::int64_t tiles = ceil_div(all.heads, kMlaHeads * kGroups);
  const std::size_t a_token = mla_part_bytes(1, splits, all.heads);
  KERNEL_CHECK(a_token <= here().workspace_bytes, a_token, here().workspace_bytes);
  const auto room = static_cast<int>(min(static_cast<long long>(here().workspace_bytes / a_token),
                                         static_cast<long long>(all.tokens)));
  for (int first = 0; first < all.tokens; first += room) {
    MlaJob job = all;
    job.tokens = min(room, all.tokens - first);
    job.q += std::int64_t{first} * job.heads * (job.c + job.r);
    job.out += std::int64_t{first} * job.heads * job.c;
    if (job.lse != nullptr) job.lse += std::int64_t{first} * job.heads;
    if (job.length != nullptr) job.length += first;
    if (!job.dense) job.slots += first * job.k;
    if (job.table.sequence != nullptr) job.table.sequence += first;
    MlaParts parts;
    const std::int64_t rows = std::int64_t{job.tokens} * splits * job.heads;
    parts.acc = reinterpret_cast<float*>(here().workspace);
    parts.top = parts.acc + rows * kMaxLatent;
    parts.total = parts.top + rows;
    parts.splits = splits;
    launch(mla_splits_kernel<kF8, kFast, kGroups>,
           dim3(static_cast<unsigned>(job.tokens * tiles * splits)), dim3(kMlaThreads * kGroups),
           static_cast<std::size_t>(mla_shared<kF8>(kGroups, stages, false).bytes), here().stream,
           job, parts, stages, static_cast<int>(tiles));
    launch(mla_combine_kernel, dim3(static_cast<unsigned>(job.tokens * job.heads)),
           dim3(kMlaThreads), 0, here().stream, job, parts);
  }
}

template <bool kF8, bool kFast, int kGroups>
void launch_mma(const MlaJob& job, int splits) {
  const int limit = shared_limit(here().arch);
  const std::int64_t blocks = std::int64_t{job.tokens} * ceil_div(job.heads, kMlaHeads * kGroups);
  const bool few = splits > 1 && blocks < 2 * std::int64_t{here().sms} &&
                   mla_part_bytes(1, splits, job.heads) <= here().workspace_bytes;
  const bool keeps = mla_shared<kF8>(kGroups, 2, true).bytes <= limit;
  if (few || !keeps)
    launch_splits<kF8, kFast, kGroups>(
        job, mla_shared<kF8>(kGroups, 3, false).bytes <= limit ? 3 : 2, splits);
  else
    launch_rows<kF8, kFast, kGroups>(job, mla_shared<kF8>(kGroups, 3, true).bytes <= limit ? 3 : 2);
}

template <bool kF8>
void choose_mma(const MlaJob& job, int splits) {
  const bool fast = job.c == kMaxLatent && job.r == kMaxRope &&
                    reinterpret_cast<std::uintptr_t>(job.pages.base) % 16 == 0 &&
                    job.pages.stride % 16 == 0;
  if (!fast)
    launch_mma<kF8, false, 1>(job, splits);
  else if (job.heads <= kMlaHeads || here().arch % 10 != 0)  // small shared memory: 86, 87, 89
    launch_mma<kF8, true, 1>(job, splits);
  else
    launch_mma<kF8, true, 2>(job, splits);
}

template <int kOwn>
void launch_f32(const MlaJob& job) {
  launch(mla_f32_kernel<kOwn>,
         dim3(static_cast<unsigned>(job.tokens * ceil_div(job.heads, kF32Heads))),
         dim3(kF32Threads), mla_f32_bytes(job.c, job.r), here().stream, job);
}

void run(const MlaJob& job, std::int64_t longest) {
  if (job.tokens == 0) return;
  KERNEL_CHECK(job.heads > 0 && job.c > 0 && job.r >= 0, job.heads, job.c);
  const auto splits = static_cast<int>(max(ceil_div(longest, kMlaSplit), std::int64_t{1}));
  const bool small = job.c <= kMaxLatent && job.r <= kMaxRope;
  if (small && job.pages.dtype == DType::f8) return choose_mma<true>(job, splits);
  if (small && job.pages.dtype == DType::bf16) return choose_mma<false>(job, splits);
  KERNEL_CHECK(job.c <= kF32MaxLatent && mla_f32_bytes(job.c, job.r) <=
                                             static_cast<std::size_t>(shared_limit(here().arch)),
               job.c, job.r);
  job.c <= 512 ? launch_f32<16>(job) : launch_f32<32>(job);
}

}  // namespace

void sparse_mla(const SparseMlaParams& p) {
  MlaJob job;
  job.tokens = p.tokens;
  job.heads = p.heads;
  job.c = p.c;
  job.r = p.r;
  job.q = p.q;
  job.scale = p.scale;
  job.pages = p.pages;
  job.slots = p.slots;
  job.k = p.k;
  job.length = p.length;
  job.out = p.out;
  job.lse = p.lse;
  KERNEL_CHECK(p.slots != nullptr || p.tokens == 0 || p.k == 0, p.tokens, p.k);
  run(job, p.k);
}

// The length of a list is known on the device alone: splits are counted by the width of the table.
void dense_mla(const DenseMlaParams& p) {
  MlaJob job;
  job.tokens = p.tokens;
  job.heads = p.heads;
  job.c = p.c;
  job.r = p.r;
  job.q = p.q;
  job.scale = p.scale;
  job.pages = p.pages;
  job.dense = true;
  job.table = p.table;
  job.length = p.key_end;
  job.out = p.out;
  job.lse = p.lse;
  KERNEL_CHECK(p.key_end != nullptr || p.tokens == 0, p.tokens, 0);
  run(job, p.table.table_stride * kPageTokens);
}

}  // namespace seedbed::kernels::KN_NS
