// Products of many rows by NVIDIA's cuBLASLt, which is opened at run time where the machine has it
// and never linked: one program starts with and without. Which algorithm it takes depends on the
// number of rows, so a row's bits do too; it is asked only where Here::library_gemm allows it.
//
// out[rows][cols], row after row, is to the library the column-major D of m = cols, n = rows; its A
// is w (transposed), its B is a. For f8 it wants one scale for 128 x 128 of w, a row of them filled
// up to a multiple of four, and one for 128 k of a, those of one k block side by side (VEC128_32F,
// BLK128x128_32F: sm_90 alone, from cuBLAS 12.9 on; rows and cols multiples of 4). Without scales
// f8 is a plain product.
#pragma once
#include <cstdint>
#include <string>

#include "kernels/cuda/stream.h"
#include "kernels/dtype.h"

namespace seedbed::kernels {

struct LibraryProduct {
  int rows = 0, cols = 0, inner = 0, batch = 1;
  DType dtype = DType::bf16;  // of a and w: bf16 or f8
  const void *a = nullptr, *w = nullptr;
  const float* a_scale = nullptr;  // f8: f32 [ceil(inner/128), rows], or null
  const float* w_scale = nullptr;  // f8: f32 [ceil(cols/128), library_scale_step(inner)], or null
  float* out = nullptr;
  std::int64_t lda = 0, ldo = 0, a_step = 0, w_step = 0, out_step = 0;  // elements
  bool accumulate = false;
  std::byte* workspace = nullptr;  // 256-byte aligned
  std::size_t workspace_bytes = 0;
};

constexpr int kLibraryRows = 64;  // fewer are ours: w is streamed once, whoever does it
constexpr std::int64_t kLibraryWorkspace = std::int64_t{32} << 20;  // what it is said to like

KERNEL_HD static inline std::int64_t library_scale_step(int inner) {
  return (quant_blocks(inner) + 3) / 4 * 4;
}
// How many rows, from row 0 on, the library may be asked for; the rest is the caller's. Pointers
// and steps are looked at as well, w_scale and a_scale are not.
inline int library_rows(const LibraryProduct& p) {
  const auto divides16 = [](const void* at) {
    return reinterpret_cast<std::uintptr_t>(at) % 16 == 0;
  };
  const int bytes = bytes_of(p.dtype);
  if (p.dtype == DType::f32 || p.rows < kLibraryRows || p.inner <= 0 || p.cols % 4 != 0) return 0;
  if (!divides16(p.a) || !divides16(p.w) || !divides16(p.out)) return 0;
  if (std::int64_t{p.inner} * bytes % 16 != 0 || p.lda * bytes % 16 != 0 || p.ldo % 4 != 0)
    return 0;
  if (p.batch > 1 &&
      (p.a_step * bytes % 16 != 0 || p.w_step * bytes % 16 != 0 || p.out_step % 4 != 0))
    return 0;
  return p.dtype == DType::f8 ? p.rows / 4 * 4 : p.rows;
}

// The scales of f8 as gemm.h has them, rewritten as the library wants them, on here().stream:
// a_scale [*, blocks] -> a_out [blocks, rows]; w_scale [ceil(cols/128), blocks] -> w_out, or
// w_out null.
struct LibraryScales {
  int rows = 0, cols = 0, inner = 0;
  const float *a_scale = nullptr, *w_scale = nullptr;
  float *a_out = nullptr, *w_out = nullptr;
};
namespace simt {
void lay_scales(const LibraryScales& p);
}

namespace cuda {
void lay_scales(const LibraryScales& p);

// Whether the library is there and takes such a product on this device; asked once a shape. Not
// while a recording is made, unless such a product was queued before: its kernels are loaded then.
bool library_offers(const LibraryProduct& p);
// Queues it on here().stream; false: refused after all, nothing was queued. Throws DeviceError.
bool library_gemm(const LibraryProduct& p);
// How many products library_gemm has queued on this thread.
std::int64_t library_products();

// "cuBLASLt 13.0.2", or empty: `why` says why there is none.
std::string library_name(std::string& why);
}  // namespace cuda

}  // namespace seedbed::kernels
