// grouped_gemm: each group's rows against the group's own matrix, with the bits of one gemm a group
// (gemm_mma.cuh, gemm_f32.cuh). Offsets and pointers lie on the device, so grids may not depend on
// them: as many blocks as the device holds go through the items of all groups, which each block
// counts for itself. Two kernels are launched, one for groups of few rows (decode: the matrix is
// streamed once), one for the others; each passes over what is not its own. Rows of a group need
// no alignment to tiles: the contiguous form of prefill and the few rows a group of decode are one.
//
// Floor: cols * inner bytes of w for each group that has rows, or 2 * rows * cols * inner FLOP.
#include "kernels/cuda/gemm_f32.cuh"
#include "kernels/cuda/gemm_few.cuh"
#include "kernels/cuda/gemm_tile.cuh"
#include "kernels/gemm.h"

namespace seedbed::kernels::KN_NS {
namespace {

struct GroupedJob {
  int groups = 0;
  const std::int32_t* offsets = nullptr;
  const void* const* w = nullptr;
  const float* const* w_scale = nullptr;
  Product of_all;  // a, a_scale and out of row 0; no w
  int a_bytes = 0;
  bool aligned = false;  // as far as is known here: each w is looked at as well
  int few = 0;           // groups of up to this many rows are the first kernel's
};
constexpr int kMaxGroups = 2048;

__device__ __forceinline__ bool divides16(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % 16 == 0;
}
__device__ __forceinline__ bool few_of(const GroupedJob& job, int group, int rows) {
  return rows <= job.few && divides16(job.w[group]);
}

// first[g]: tiles of kRows rows in the groups before g, counting those of one kernel alone;
// returns all.
template <bool kFew, int kRows>
__device__ __forceinline__ int count_tiles(const GroupedJob& job, std::int32_t* first) {
  if (threadIdx.x < 32) {
    const int lane = static_cast<int>(threadIdx.x);
    int before = 0;
    for (int base = 0; base < job.groups; base += 32) {
      const int group = base + lane;
      int tiles = 0;
      if (group < job.groups) {
        const int rows = job.offsets[group + 1] - job.offsets[group];
        if (rows > 0 && few_of(job, group, rows) == kFew) tiles = (rows + kRows - 1) / kRows;
      }
      int sum = tiles;
#pragma unroll
      for (int step = 1; step < 32; step *= 2) {
        const int below = __shfl_up_sync(kFullMask, sum, static_cast<unsigned>(step));
        if (lane >= step) sum += below;
      }
      if (group < job.groups) first[group] = before + sum - tiles;
      before += __shfl_sync(kFullMask, sum, 31);
    }
    if (lane == 0) first[job.groups] = before;
  }
  __syncthreads();
  return first[job.groups];
}

// The group of tile `tile`: the last whose first tile is not beyond it.
__device__ __forceinline__ int group_of(const std::int32_t* first, int groups, int tile) {
  int low = 0, high = groups;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (first[middle] <= tile)
      low = middle;
    else
      high = middle;
  }
  return low;
}
__device__ __forceinline__ Product of_group(const GroupedJob& job, int group) {
  Product p = job.of_all;
  const std::int64_t begin = job.offsets[group];
  p.rows = job.offsets[group + 1] - static_cast<int>(begin);
  p.a += begin * p.lda * job.a_bytes;
  if (p.a_scale != nullptr) p.a_scale += begin * quant_blocks(p.inner);
  p.w = static_cast<const std::byte*>(job.w[group]);
  if (job.w_scale != nullptr) p.w_scale = job.w_scale[group];
  p.out += begin * p.ldo;
  return p;
}

// Calls body(product, first column, first row) for this block's share of all tiles.
template <bool kFew, int kCols, int kRows, class Body>
__device__ __forceinline__ void each_tile(const GroupedJob& job,
                                          std::int32_t* first,
                                          const Body& body) {
  const int row_tiles = count_tiles<kFew, kRows>(job, first);
  const int columns = (job.of_all.cols + kCols - 1) / kCols;
  const std::int64_t items = static_cast<std::int64_t>(row_tiles) * columns;
  for (std::int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    const int tile = static_cast<int>(item / columns);
    const int group = group_of(first, job.groups, tile);
    body(of_group(job, group), static_cast<int>(item % columns) * kCols,
         (tile - first[group]) * kRows);
  }
}

constexpr int kGroupM = 2, kGroupN = 4;  // 32 columns, up to 32 rows

template <Kind kind>
__global__ void __launch_bounds__(kGemmThreads, 1) few_groups_kernel(GroupedJob job) {
  KN_SHARED(float, part, [FewPart<kGroupM, kGroupN>::kFloats]);
  KN_DYN_SMEM(first);
  each_tile<true, 16 * kGroupM, 8 * kGroupN>(job, reinterpret_cast<std::int32_t*>(first),
                                             [&](const Product& p, int col, int row) {
                                               FewRows<kind, kGroupM, kGroupN> few(p, col, row);
                                               few.run(part);
                                             });
}

template <Kind kind>
__global__ void __launch_bounds__(kGemmThreads, 1) tile_groups_kernel(GroupedJob job) {
  KN_DYN_SMEM(smem);
  auto* first = reinterpret_cast<std::int32_t*>(smem + TileRows<kind, true>::kBytes);
  each_tile<false, kTileCols, kTileRows>(job, first, [&](const Product& p, int col, int row) {
    if (job.aligned && divides16(p.w)) {
      TileRows<kind, true> tile(p, col, row, smem);
      tile.run();
    } else {
      TileRows<kind, false> tile(p, col, row, smem);
      tile.run();
    }
  });
}

constexpr int kGroupF32Rows = 4;
__global__ void __launch_bounds__(kGemmThreads) few_groups_f32_kernel(GroupedJob job) {
  KN_SHARED(float, part, [kFewGroups][kGroupF32Rows][kFewCols]);
  KN_DYN_SMEM(first);
  each_tile<true, kFewCols, kGroupF32Rows>(job, reinterpret_cast<std::int32_t*>(first),
                                           [&](const Product& p, int col, int row) {
                                             few_rows_f32<kGroupF32Rows, true>(p, col, row, part);
                                           });
}
__global__ void __launch_bounds__(kGemmThreads) tile_groups_f32_kernel(GroupedJob job) {
  KN_SHARED(F32Stage, stage);
  KN_DYN_SMEM(first);
  each_tile<false, kF32Tile, kF32Tile>(job, reinterpret_cast<std::int32_t*>(first),
                                       [&](const Product& p, int col, int row) {
                                         if (job.aligned && divides16(p.w))
                                           tile_rows_f32<true>(p, col, row, stage);
                                         else
                                           tile_rows_f32<false>(p, col, row, stage);
                                       });
}

std::size_t list_bytes(const GroupedJob& job) {
  return sizeof(std::int32_t) * static_cast<std::size_t>(job.groups + 1);
}
template <Kind kind>
void launch_mma(const GroupedJob& job) {
  const dim3 grid(static_cast<unsigned>(here().sms)), block(kGemmThreads);
  if (job.few > 0)
    launch(few_groups_kernel<kind>, grid, block, list_bytes(job), here().stream, job);
  launch(tile_groups_kernel<kind>, grid, block, TileRows<kind, true>::kBytes + list_bytes(job),
         here().stream, job);
}

}  // namespace

void grouped_gemm(const GroupedGemmParams& p) {
  KERNEL_CHECK((p.a_dtype == DType::f32 && p.w_dtype != DType::f8) || p.a_dtype == p.w_dtype,
               p.a_dtype, p.w_dtype);
  KERNEL_CHECK(p.groups >= 0 && p.groups <= kMaxGroups, p.groups, kMaxGroups);
  if (p.groups == 0 || p.cols == 0) return;
  GroupedJob job;
  job.groups = p.groups;
  job.offsets = p.offsets;
  job.w = p.w;
  job.w_scale = p.w_dtype == DType::f8 ? p.w_scale : nullptr;
  job.a_bytes = bytes_of(p.a_dtype);
  job.of_all.cols = p.cols;
  job.of_all.inner = p.inner;
  job.of_all.a = static_cast<const std::byte*>(p.a);
  job.of_all.lda = p.inner;
  job.of_all.a_scale = p.a_dtype == DType::f8 ? p.a_scale : nullptr;
  job.of_all.out = p.out;
  job.of_all.ldo = p.cols;
  job.aligned = reinterpret_cast<std::uintptr_t>(p.a) % 16 == 0 &&
                p.inner * bytes_of(p.w_dtype) % 16 == 0 && p.inner * job.a_bytes % 16 == 0;
  if (p.w_dtype != DType::f32) {
    job.few = job.aligned ? 8 * kGroupN : 0;
    if (p.a_dtype == DType::f32)
      launch_mma<Kind::f32_bf16>(job);
    else if (p.a_dtype == DType::bf16)
      launch_mma<Kind::bf16>(job);
    else
      launch_mma<Kind::f8>(job);
    return;
  }
  job.few = job.aligned ? 4 * kGroupF32Rows : 0;
  const dim3 grid(static_cast<unsigned>(4 * here().sms)), block(kGemmThreads);
  if (job.few > 0) launch(few_groups_f32_kernel, grid, block, list_bytes(job), here().stream, job);
  launch(tile_groups_f32_kernel, grid, block, list_bytes(job), here().stream, job);
}

}  // namespace seedbed::kernels::KN_NS
