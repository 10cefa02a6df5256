#include "kernels/cuda/fused.h"
#include "kernels/cuda/topk_row.cuh"
#include "kernels/topk_select.h"

namespace seedbed::kernels::KN_NS {

namespace {

constexpr int kMaxTopkRow = 1 << 19;  // longest row: its bits must fit in shared memory

// A block a row. Floor: 4 bytes a score, once. Rows are not split over blocks: a row of 65,536 is
// read by one multiprocessor in about 3 us and the steps around it take as long again; joining
// parts that each hold k candidates would need a second launch of the same length.
template <int kThreads, int kBlocks>
__global__ void __launch_bounds__(kThreads, kBlocks)
    topk_kernel(TopkSelectParams p, PageTable pages, std::int32_t* slots) {
  KN_DYN_SMEM(memory);
  const std::int64_t t = blockIdx.x;
  const std::int32_t length = p.length[t];
  KN_CHECK(length >= 0 && length <= p.lds, length, p.lds);
  RowOut out{p.out == nullptr ? nullptr : p.out + t * p.k, nullptr, nullptr};
  if (slots != nullptr) {
    out.slots = slots + t * p.k;
    out.table = table_of(pages, t);
  }
  topk_row<kThreads>(p.scores + t * p.lds, length, p.k, out, memory);
}

void run(const TopkSelectParams& p, const PageTable& pages, std::int32_t* slots) {
  if (p.k <= 0) return;
  KERNEL_CHECK(p.lds <= kMaxTopkRow, p.lds, kMaxTopkRow);
  const std::size_t bytes = topk_memory(static_cast<int>(p.lds));
  const dim3 grid(static_cast<unsigned>(p.rows));
  // Few rows: all of a multiprocessor for each. Many: several rows at once, so that one is read
  // while another is sorted out. The result is the same.
  if (p.rows <= here().sms)
    launch(topk_kernel<1024, 1>, grid, dim3(1024), bytes, here().stream, p, pages, slots);
  else
    launch(topk_kernel<512, 2>, grid, dim3(512), bytes, here().stream, p, pages, slots);
}

}  // namespace

void topk_select(const TopkSelectParams& p) {
  run(p, {}, nullptr);
}

void topk_select_slots(const TopkSelectParams& p, const PageTable& table, std::int32_t* slots) {
  run(p, table, slots);
}

}  // namespace seedbed::kernels::KN_NS
