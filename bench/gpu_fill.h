// Numbers made on the device, for benchmarks: every value follows from a seed and its index, looks
// like what a model has there, and is valid for the op that reads it.
#pragma once
#include <cstdint>

#include "kernels/paged.h"

struct CUstream_st;

namespace seedbed::bench {

struct Fill {
  CUstream_st* stream = nullptr;
  std::uint64_t seed = 1;

  // About normal, mean 0, deviation `scale`; below `floor`: floor.
  void f32(float* to, std::int64_t count, float scale = 1, float floor = -1e30F) const;
  void bf16(std::uint16_t* to, std::int64_t count, float scale = 1) const;
  void e4m3(std::uint8_t* to, std::int64_t count, float scale = 1) const;
  void scales(float* to, std::int64_t count) const;  // 2^-8 to 2^-5
  // base + i / run * step; run consecutive numbers are equal.
  void ramp(std::int32_t* to,
            std::int64_t count,
            std::int32_t base,
            std::int32_t step,
            std::int64_t run = 1) const;
  void below(std::int32_t* to, std::int64_t count, std::int32_t limit) const;  // [0, limit)
  void bits(std::uint32_t* to, std::int64_t count) const;
  void permutation(std::int32_t* to, std::int32_t count) const;  // of [0, count)
  void index_pages(const kernels::Pages& pages, int d) const;    // f8
  void latent_pages(const kernels::Pages& pages, int c, int r) const;
  // Row t is of sequence t / rows_a_sequence, whose positions [0, context) lie in the pages
  // table[sequence * context / 64 ...]; its list has k different positions, ascending, spread over
  // the context, as slots; -1 beyond the context.
  void slot_lists(std::int32_t* to,
                  std::int64_t rows,
                  int k,
                  std::int32_t context,
                  const std::int32_t* table,
                  std::int64_t rows_a_sequence) const;
  // Reads so much memory that nothing of the operands is left in a cache; `sink` is one number.
  void read_all(const void* memory, std::int64_t bytes, float* sink) const;
};

}  // namespace seedbed::bench
