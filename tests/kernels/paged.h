// Pages full of NaN in which a test places what is to be read, and page tables over them.
#pragma once
#include <limits>

#include "kernels/paged.h"
#include "tests/kernels/support.h"

namespace seedbed::kernels::test {

constexpr std::int32_t kHuge = std::numeric_limits<std::int32_t>::max();

// `count` pages of `page_bytes`, `gap` bytes between them, every byte 0xFF: NaN in each dtype.
struct PageMemory {
  Buffer memory;
  std::int64_t stride;
  std::int32_t count;
  DType dtype;
  PageMemory(DType type, std::int32_t pages, std::int64_t page_bytes, std::int64_t gap)
      : memory(at(pages * (page_bytes + gap))),
        stride(page_bytes + gap),
        count(pages),
        dtype(type) {}
  Pages pages() { return {memory.data(), stride, count, dtype}; }
};

// A table of `sequences` x `per_sequence` pages, all different, drawn from `pages`.
struct Table {
  std::vector<std::int32_t> ids;
  std::int64_t stride;
  Table(Rng& rng, int sequences, int per_sequence, std::int32_t pages) : stride(per_sequence) {
    ids = permutation(rng, pages);
    ids.resize(at(sequences * per_sequence));
  }
  PageTable of(const std::vector<std::int32_t>& sequence) const {
    return {ids.data(), stride, sequence.empty() ? nullptr : sequence.data()};
  }
  std::int32_t slot(std::int64_t sequence, std::int32_t position) const {
    return ids[at(sequence * stride + position / kPageTokens)] * kPageTokens +
           position % kPageTokens;
  }
};

}  // namespace seedbed::kernels::test
