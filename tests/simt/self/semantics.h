// Kernels that show what each name of device.h means; semantics_test.cpp computes the same in plain
// loops.
#pragma once
#include <cstdint>

namespace seedbed::simt_self {

enum class Load : std::uint8_t { by_layout, by_ldmatrix, by_ldmatrix_trans };
// a [16, 16] and b bf16, c f32 [16, 8]: c += a * b. b is [8, 16] (its columns), for
// by_ldmatrix_trans [16, 8].
void multiply_bf16(Load load, const std::uint16_t* a, const std::uint16_t* b, float* c);
// a [16, 32], b [8, 32] (its columns) e4m3.
void multiply_e4m3(const std::uint8_t* a, const std::uint8_t* b, float* c);

// 64 threads; out[kind * 64 + thread], kinds in the order of semantics.cu.
constexpr int kShuffles = 9;
void shuffles(const int* in, int* out);
constexpr int kVotes = 10;
void votes(const int* in, unsigned* out);

void sums(const float* in, float* out);  // 256 threads: warp_sum, warp_max, block_sum, block_max
void pipeline(const float* in, float* out);   // 8 tiles of 64 through two buffers of cp.async
void hand_over(const float* in, float* out);  // 8 tiles of 32 from one warp to another
void histogram(const int* in, int count, int* out);  // 16 bins, atomics
void indices(int* out);  // blocks (2, 3, 1) of (5, 2, 3) threads: each writes its own linear number
void conversions(const float* in, int count, std::uint8_t* codes, std::uint16_t* halves);
void codes_to_floats(const std::uint32_t* in, int count, float* out);
void bits(const unsigned* in, int count, unsigned* out);  // 6 results each

bool launches(unsigned blocks, unsigned threads, std::size_t shared_bytes);  // false: refused

}  // namespace seedbed::simt_self
