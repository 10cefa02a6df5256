#include <cstring>

#include "kernels/cpu/ops_here.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {

namespace {
// Where slot s begins in pages whose tokens are `bytes` apart; null: the slot is none.
std::byte* place(const Pages& pages, std::int64_t slot, std::int64_t bytes) {
  if (slot < 0 || slot >= std::int64_t{kPageTokens} * pages.count) return nullptr;
  return pages.base + slot / kPageTokens * pages.stride + slot % kPageTokens * bytes;
}

void store_bf16(std::byte* __restrict out, const float* __restrict x, int count) {
  for (int i = 0; i < count; ++i) {  // out has no alignment to rely on
    const std::uint16_t code = f32_to_bf16(x[i]);
    std::memcpy(out + 2 * i, &code, 2);
  }
}

void store(DType dtype, std::byte* out, const float* x, int count) {
  if (dtype == DType::f32)
    std::memcpy(out, x, static_cast<std::size_t>(count) * 4);
  else
    store_bf16(out, x, count);
}

float largest(const float* x, int count) {
  constexpr int kLanes = 16;
  float lane[kLanes] = {};
  int i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int l = 0; l < kLanes; ++l) {
      const float magnitude = __builtin_fabsf(x[i + l]);
      lane[l] = magnitude > lane[l] ? magnitude : lane[l];
    }
  for (int l = 0; i < count; ++i, ++l) {
    const float magnitude = __builtin_fabsf(x[i]);
    lane[l] = magnitude > lane[l] ? magnitude : lane[l];
  }
  float most = 0;
  for (const float magnitude : lane) most = magnitude > most ? magnitude : most;
  return most;
}

void store_f8_record(std::byte* record, const float* latent, const float* key, int c, int r) {
  std::byte* scales = record + c;
  for (int begin = 0, block = 0; begin < c; begin += kQuantBlock, ++block) {
    const int count = c - begin < kQuantBlock ? c - begin : kQuantBlock;
    const float* __restrict x = latent + begin;
    const float scale = latent_scale(largest(x, count));
    std::byte* __restrict codes = record + begin;
    for (int i = 0; i < count; ++i) codes[i] = static_cast<std::byte>(f32_to_e4m3(x[i] / scale));
    std::memcpy(scales + 4 * block, &scale, 4);
  }
  store_bf16(scales + 4 * quant_blocks(c), key, r);
}
}  // namespace

void kv_write(const KvWriteParams& p) {
  const DType dtype = p.pages.dtype;
  const int bytes = kv_record_bytes(dtype, p.c, p.r);
  parallel_for(p.pool, p.tokens, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      std::byte* record = place(p.pages, p.slots[t], bytes);
      if (record == nullptr) continue;
      const float *latent = p.latent + t * p.latent_step, *key = p.key + t * p.key_step;
      if (dtype == DType::f8) {
        store_f8_record(record, latent, key, p.c, p.r);
      } else {
        store(dtype, record, latent, p.c);
        store(dtype, record + static_cast<std::ptrdiff_t>(p.c) * bytes_of(dtype), key, p.r);
      }
    }
  });
}

void index_write(const IndexWriteParams& p) {
  const DType dtype = p.pages.dtype;
  const std::int64_t bytes = std::int64_t{p.d} * bytes_of(dtype);
  const std::int64_t scale_bytes = 4 * std::int64_t{quant_blocks(p.d)};
  parallel_for(p.pool, p.tokens, 32, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      std::byte* key = place(p.pages, p.slots[t], bytes);
      if (key == nullptr) continue;
      if (dtype != DType::f8) {
        store(dtype, key, static_cast<const float*>(p.k) + t * p.d, p.d);
        continue;
      }
      std::memcpy(key, static_cast<const std::byte*>(p.k) + t * p.d, static_cast<std::size_t>(p.d));
      const std::int64_t token = p.slots[t] % kPageTokens;
      std::byte* scales = key - token * bytes + kPageTokens * bytes + token * scale_bytes;
      std::memcpy(scales, p.scale + t * quant_blocks(p.d), static_cast<std::size_t>(scale_bytes));
    }
  });
}

}  // namespace seedbed::kernels::SEEDBED_ISA
