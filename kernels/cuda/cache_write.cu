#include "kernels/cache_write.h"
#include "kernels/cuda/records.cuh"

namespace seedbed::kernels::KN_NS {

namespace {

constexpr int kWarps = 4;  // of a block, each with its own units of a token

// A unit is up to 128 numbers of a token, four a lane: first those of the latent, then those of
// the key. A block is a token; its warps take units in turn. Floor at c = 512, r = 64, f8: 2304
// bytes read and 656 written a token.
template <DType kType, bool kWide, bool kAligned>
__global__ void __launch_bounds__(32 * kWarps) kv_write_kernel(KvWriteParams p, int record_bytes) {
  const std::int64_t t = blockIdx.x, slot = p.slots[t];
  if (!slot_exists(p.pages, slot)) return;
  std::byte* record = page_holding(p.pages, slot) + slot % kPageTokens * record_bytes;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int blocks = quant_blocks(p.c), units = blocks + quant_blocks(p.r);
  const int key_at = kType == DType::f8 ? p.c + 4 * blocks : p.c * bytes_of(kType);
  for (int unit = static_cast<int>(threadIdx.x / 32); unit < units; unit += kWarps) {
    const bool latent = unit < blocks;
    const int n = latent ? p.c : p.r;
    const int i = (latent ? unit : unit - blocks) * kQuantBlock + 4 * lane;
    const float* row = latent ? p.latent + t * p.latent_step : p.key + t * p.key_step;
    const float4 v = i < n ? load4<kWide>(row, i, n) : make_float4(0, 0, 0, 0);
    if (kType == DType::f8 && latent) {
      store_latent_f8<kAligned>(record, i, n, v);
    } else if (i < n) {
      constexpr DType kStored = kType == DType::f8 ? DType::bf16 : kType;
      store_numbers<kStored, kAligned>(record + (latent ? 0 : key_at), i, n, v);
    }
  }
}

// A warp is a token. Floor at d = 128, f8: 132 bytes read and written a token.
template <DType kType, bool kWide, bool kAligned>
__global__ void __launch_bounds__(32 * kWarps) index_write_kernel(IndexWriteParams p) {
  const std::int64_t t = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (t >= p.tokens) return;
  const std::int64_t slot = p.slots[t];
  if (!slot_exists(p.pages, slot)) return;
  std::byte* page = page_holding(p.pages, slot);
  const int lane = static_cast<int>(threadIdx.x % 32), token = static_cast<int>(slot % kPageTokens);
  std::byte* key = page + std::int64_t{token} * p.d * bytes_of(kType);
  if constexpr (kType == DType::f8) {
    const auto* codes = static_cast<const std::byte*>(p.k) + t * p.d;
    if constexpr (kWide && kAligned) {
      for (int i = 4 * lane; i < p.d; i += 128)
        *reinterpret_cast<std::uint32_t*>(key + i) =
            *reinterpret_cast<const std::uint32_t*>(codes + i);
    } else {
      for (int i = lane; i < p.d; i += 32) key[i] = codes[i];
    }
    const int blocks = quant_blocks(p.d);
    std::byte* scales = page + kPageTokens * p.d + token * 4 * blocks;
    for (int b = lane; b < blocks; b += 32)
      store_bytes<kAligned, 4>(scales + 4 * b, p.scale[t * blocks + b], 4);
  } else {
    const float* row = static_cast<const float*>(p.k) + t * p.d;
    for (int i = 4 * lane; i < p.d; i += 128)
      store_numbers<kType, kAligned>(key, i, p.d, load4<kWide>(row, i, p.d));
  }
}

template <DType kType>
void kv_write_as(const KvWriteParams& p) {
  const bool wide = p.c % 4 == 0 && p.r % 4 == 0 && p.latent_step % 4 == 0 && p.key_step % 4 == 0 &&
                    aligned(p.latent, 16) && aligned(p.key, 16);
  const bool align = wide && records_aligned(p.pages, p.c, p.r);
  launch(align  ? kv_write_kernel<kType, true, true>
         : wide ? kv_write_kernel<kType, true, false>
                : kv_write_kernel<kType, false, false>,
         dim3(static_cast<unsigned>(p.tokens)), dim3(32 * kWarps), 0, here().stream, p,
         kv_record_bytes(kType, p.c, p.r));
}

template <DType kType>
void index_write_as(const IndexWriteParams& p) {
  const int unit = kType == DType::f32 ? 16 : kType == DType::bf16 ? 8 : 4;
  const bool wide = p.d % 4 == 0 && aligned(p.k, kType == DType::f8 ? 4 : 16);
  const bool align =
      wide && aligned(p.pages.base, static_cast<std::size_t>(unit)) && p.pages.stride % unit == 0;
  launch(align  ? index_write_kernel<kType, true, true>
         : wide ? index_write_kernel<kType, true, false>
                : index_write_kernel<kType, false, false>,
         dim3(static_cast<unsigned>(ceil_div(p.tokens, kWarps))), dim3(32 * kWarps), 0,
         here().stream, p);
}

}  // namespace

void kv_write(const KvWriteParams& p) {
  if (p.pages.dtype == DType::f8)
    kv_write_as<DType::f8>(p);
  else if (p.pages.dtype == DType::bf16)
    kv_write_as<DType::bf16>(p);
  else
    kv_write_as<DType::f32>(p);
}

void index_write(const IndexWriteParams& p) {
  if (p.pages.dtype == DType::f8)
    index_write_as<DType::f8>(p);
  else if (p.pages.dtype == DType::bf16)
    index_write_as<DType::bf16>(p);
  else
    index_write_as<DType::f32>(p);
}

}  // namespace seedbed::kernels::KN_NS
