// kv_write and index_write: the same bytes everywhere, in the published layouts.
#include <cmath>

#include "tests/kernels/paged.h"

namespace seedbed::kernels::test {
namespace {

enum class Slots : std::uint8_t { spread, invalid_between, all_invalid };

struct WriteRow : Named {
  DType dtype;
  int tokens, c, r;
  int gap = 0;  // numbers between rows of the inputs
  Slots slots = Slots::spread;
};
std::vector<WriteRow> write_rows() {
  std::vector<WriteRow> rows;
  for (const DType dtype : {DType::f8, DType::bf16, DType::f32}) {
    const std::string d = name_of(dtype);
    rows.push_back({d + "_published", dtype, 9, 512, 64});
    rows.push_back({d + "_small", dtype, 40, 64, 16, 5});
    rows.push_back({d + "_ragged", dtype, 7, 95, 3, 1});
    rows.push_back({d + "_block_and_one", dtype, 5, 129, 2});
    rows.push_back({d + "_576", dtype, 3, 576, 64, 64});
    rows.push_back({d + "_no_key", dtype, 3, 32, 0});
    rows.push_back({d + "_invalid_between", dtype, 20, 64, 16, 0, Slots::invalid_between});
    rows.push_back({d + "_all_invalid", dtype, 6, 64, 16, 0, Slots::all_invalid});
    rows.push_back({d + "_no_token", dtype, 0, 64, 16});
  }
  return rows;
}
constexpr std::int32_t kPageCount = 5;
std::vector<std::int32_t> slots_of(const WriteRow& c) {
  const std::int32_t wrong[] = {-1, kHuge, kPageCount * kPageTokens, -kHuge - 1, 1 << 30, -64};
  Rng rng = stream(c.name, 7);
  std::vector<std::int32_t> slots = permutation(rng, kPageCount * kPageTokens);
  slots.resize(at(c.tokens));
  for (std::size_t i = 0; i < slots.size(); ++i)
    if (c.slots == Slots::all_invalid || (c.slots == Slots::invalid_between && i % 3 == 1))
      slots[i] = wrong[i % std::size(wrong)];
  return slots;
}

class CacheWrite : public OpTest<WriteRow> {};
SEEDBED_ROWS(CacheWrite, WriteRow, write_rows());

TEST_P(CacheWrite, KvWriteGivesTheOraclesBytesAndTouchesNothingElse) {
  const WriteRow& c = row();
  Rng rng = stream(c.name);
  const std::int64_t latent_step = c.c + c.gap, key_step = c.r + c.gap;
  std::vector<float> latent = normal(rng, c.tokens * latent_step + 1, 3);
  const std::vector<float> key = normal(rng, c.tokens * key_step + 1);
  for (std::size_t i = 0; i < latent.size(); i += 97) latent[i] *= 1e4F;
  const std::vector<std::int32_t> slots = slots_of(c);
  const auto run = [&](const Ops& table, Pool* pool) {
    PageMemory memory(c.dtype, kPageCount,
                      std::int64_t{kPageTokens} * kv_record_bytes(c.dtype, c.c, c.r), 36);
    table.kv_write({.tokens = c.tokens,
                    .c = c.c,
                    .r = c.r,
                    .latent = latent.data(),
                    .latent_step = latent_step,
                    .key = key.data(),
                    .key_step = key_step,
                    .slots = slots.data(),
                    .pages = memory.pages(),
                    .pool = pool});
    return Buffers{memory.memory};
  };
  const Buffers got = same_on_any_pool(ops(), run);
  EXPECT_TRUE(exact(got[0], run(ref_ops(), nullptr)[0]));
}

TEST_P(CacheWrite, IndexWriteGivesTheOraclesBytesAndTouchesNothingElse) {
  const WriteRow& c = row();
  Rng rng = stream(c.name, 1);
  const DType in = c.dtype == DType::f8 ? DType::f8 : DType::f32;
  const auto k = encoded(in, normal(rng, std::int64_t{c.tokens} * c.c, 3));
  const std::vector<float> scale = normal(rng, std::int64_t{c.tokens} * quant_blocks(c.c));
  const std::vector<std::int32_t> slots = slots_of(c);
  const auto run = [&](const Ops& table, Pool* pool) {
    PageMemory memory(c.dtype, kPageCount, index_page_bytes(c.dtype, c.c), 20);
    table.index_write({.tokens = c.tokens,
                       .d = c.c,
                       .k = k.data(),
                       .scale = scale.data(),
                       .slots = slots.data(),
                       .pages = memory.pages(),
                       .pool = pool});
    return Buffers{memory.memory};
  };
  const Buffers got = same_on_any_pool(ops(), run);
  EXPECT_TRUE(exact(got[0], run(ref_ops(), nullptr)[0]));
}

TEST(Layout, HasThePublishedSizes) {
  EXPECT_EQ(kv_record_bytes(DType::f8, 512, 64), 656);
  EXPECT_EQ(kv_record_bytes(DType::bf16, 512, 64), 1152);
  EXPECT_EQ(index_page_bytes(DType::f8, 128), 64 * 132);
}

class EveryCache : public EachBackend {};
SEEDBED_BACKENDS(EveryCache);

// The published layouts, read at offsets written out by hand.
TEST_P(EveryCache, KvRecordIsLatentThenScalesThenKey) {
  Rng rng = stream("record");
  const std::vector<float> latent = normal(rng, 512, 5), key = normal(rng, 64);
  PageMemory memory(DType::f8, 3, 64 * 656, 0);
  const std::int32_t slot = 2 * 64 + 17;
  ops().kv_write({.tokens = 1,
                  .c = 512,
                  .r = 64,
                  .latent = latent.data(),
                  .latent_step = 512,
                  .key = key.data(),
                  .key_step = 64,
                  .slots = &slot,
                  .pages = memory.pages()});
  const std::byte* record = memory.memory.data() + 2 * (64 * 656) + 17 * 656;
  float scales[4];
  std::memcpy(scales, record + 512, 16);
  for (int i = 0; i < 512; ++i) {
    const double value =
        double{e4m3_to_f32(static_cast<std::uint8_t>(record[i]))} * double{scales[i / 128]};
    EXPECT_NEAR(value, double{latent[at(i)]},
                std::fabs(double{latent[at(i)]}) / 16 + 0x1p-10 * double{scales[i / 128]});
  }
  for (int i = 0; i < 64; ++i) {
    std::uint16_t code = 0;
    std::memcpy(&code, record + 528 + 2 * i, 2);
    EXPECT_EQ(code, f32_to_bf16(key[at(i)]));
  }
  int exponent = 0;
  for (const float scale : scales)
    EXPECT_EQ(std::frexp(scale, &exponent), 0.5F) << "a power of two";
}

TEST_P(EveryCache, IndexPageIsKeysThenScales) {
  std::vector<std::uint8_t> k(2 * 128);
  for (std::size_t i = 0; i < k.size(); ++i) k[i] = static_cast<std::uint8_t>(i % 120);
  const float scale[] = {0.5F, 4.0F};
  const std::int32_t slots[] = {64 + 63, 0};
  PageMemory memory(DType::f8, 2, 64 * 132, 0);
  ops().index_write({.tokens = 2,
                     .d = 128,
                     .k = k.data(),
                     .scale = scale,
                     .slots = slots,
                     .pages = memory.pages()});
  const std::byte* page = memory.memory.data() + 64 * 132;
  EXPECT_EQ(std::memcmp(page + 63 * 128, k.data(), 128), 0);
  EXPECT_EQ(std::memcmp(page + 64 * 128 + 63 * 4, &scale[0], 4), 0);
  EXPECT_EQ(std::memcmp(memory.memory.data(), k.data() + 128, 128), 0);
  EXPECT_EQ(std::memcmp(memory.memory.data() + 64 * 128, &scale[1], 4), 0);
}

}  // namespace
}  // namespace seedbed::kernels::test
