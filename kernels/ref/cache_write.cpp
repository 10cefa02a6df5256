#include <cmath>

#include "kernels/ref/load.h"
#include "kernels/ref/ops_here.h"

namespace seedbed::kernels::ref {

namespace {
void store_f32(std::byte* at, float value) {
  std::memcpy(at, &value, 4);
}
void store_bf16(std::byte* at, float value) {
  const std::uint16_t code = f32_to_bf16(value);
  std::memcpy(at, &code, 2);
}
void store(DType dtype, std::byte* at, std::int64_t i, float value) {
  if (dtype == DType::f32)
    store_f32(at + 4 * i, value);
  else
    store_bf16(at + 2 * i, value);
}

void write_f8_record(const KvWriteParams& p, std::int64_t t, std::byte* record) {
  const float* latent = p.latent + t * p.latent_step;
  for (int begin = 0, block = 0; begin < p.c; begin += kQuantBlock, ++block) {
    const int end = begin + kQuantBlock < p.c ? begin + kQuantBlock : p.c;
    float amax = 0;
    for (int i = begin; i < end; ++i)
      if (std::fabs(latent[i]) > amax) amax = std::fabs(latent[i]);
    const float scale = latent_scale(amax);
    for (int i = begin; i < end; ++i)
      record[i] = static_cast<std::byte>(f32_to_e4m3(latent[i] / scale));
    store_f32(record + p.c + 4 * block, scale);
  }
  std::byte* key = record + p.c + 4 * quant_blocks(p.c);
  for (int i = 0; i < p.r; ++i) store_bf16(key + 2 * i, p.key[t * p.key_step + i]);
}
}  // namespace

void kv_write(const KvWriteParams& p) {
  for (std::int64_t t = 0; t < p.tokens; ++t) {
    const std::int64_t slot = p.slots[t];
    if (!valid_slot(p.pages, slot)) continue;
    std::byte* record =
        page_of(p.pages, slot) + slot % kPageTokens * kv_record_bytes(p.pages.dtype, p.c, p.r);
    if (p.pages.dtype == DType::f8) {
      write_f8_record(p, t, record);
      continue;
    }
    for (int i = 0; i < p.c; ++i) store(p.pages.dtype, record, i, p.latent[t * p.latent_step + i]);
    for (int i = 0; i < p.r; ++i) store(p.pages.dtype, record, p.c + i, p.key[t * p.key_step + i]);
  }
}

void index_write(const IndexWriteParams& p) {
  for (std::int64_t t = 0; t < p.tokens; ++t) {
    const std::int64_t slot = p.slots[t];
    if (!valid_slot(p.pages, slot)) continue;
    std::byte* page = page_of(p.pages, slot);
    std::byte* key = page + slot % kPageTokens * p.d * bytes_of(p.pages.dtype);
    if (p.pages.dtype != DType::f8) {
      for (int i = 0; i < p.d; ++i)
        store(p.pages.dtype, key, i, static_cast<const float*>(p.k)[t * p.d + i]);
      continue;
    }
    for (int i = 0; i < p.d; ++i) key[i] = static_cast<const std::byte*>(p.k)[t * p.d + i];
    const int blocks = quant_blocks(p.d);
    std::byte* scales = page + kPageTokens * p.d + slot % kPageTokens * 4 * blocks;
    for (int b = 0; b < blocks; ++b) store_f32(scales + 4 * b, p.scale[t * blocks + b]);
  }
}

}  // namespace seedbed::kernels::ref
