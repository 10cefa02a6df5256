// The same ops on memory aligned to 16 bytes, with the sizes that models have: backends take other
// paths there than on the suite's buffers, which are aligned to 4 bytes only. Outputs are compared
// whole, with what lies around them.
#include <cmath>

#include "tests/kernels/paged.h"

namespace seedbed::kernels::test {
namespace {

class Aligned : public EachBackend {};
INSTANTIATE_TEST_SUITE_P(All, Aligned, testing::ValuesIn(tested_backends()), backend_name);

// Room for `count` numbers from the first multiple of 16 bytes on.
template <class T>
Buffer room(std::int64_t count) {
  return Buffer(at(count) * sizeof(T) + 16);
}
template <class T>
T* begin(Buffer& buffer) {
  const auto address = reinterpret_cast<std::uintptr_t>(buffer.data());
  return reinterpret_cast<T*>(buffer.data() + (16 - address % 16) % 16);
}
template <class T>
Buffer holding(const std::vector<T>& values) {
  Buffer buffer = room<T>(static_cast<std::int64_t>(values.size()));
  if (!values.empty()) std::memcpy(begin<T>(buffer), values.data(), values.size() * sizeof(T));
  return buffer;
}
Rng stream_of(const char* name, int size) {
  return stream(std::string("aligned_") + name, static_cast<std::uint64_t>(size));
}

TEST_P(Aligned, Embed) {
  for (const DType dtype : {DType::bf16, DType::f32})
    for (const int dim : {8, 64, 448, 7168}) {
      Rng rng = stream_of("embed", dim);
      const auto table = encoded(dtype, normal(rng, std::int64_t{7} * dim));
      const std::int32_t ids[] = {6, 0, 3, 3, 5};
      const auto run = [&](const Ops& ops) {
        Buffer out = room<float>(5 * dim);
        ops.embed({.tokens = 5,
                   .vocab = 7,
                   .dim = dim,
                   .ids = ids,
                   .dtype = dtype,
                   .table = table.data(),
                   .out = begin<float>(out)});
        return out;
      };
      EXPECT_TRUE(exact(run(ops()), run(ref_ops()))) << dim;
    }
}

TEST_P(Aligned, Norms) {
  for (const int dim : {4, 128, 132, 512, 1024, 1536, 2048, 4096, 7168, 8192, 9216}) {
    Rng rng = stream_of("norm", dim);
    const std::vector<float> x = normal(rng, 3 * dim), residual = normal(rng, 3 * dim),
                             weight = normal(rng, dim), bias = normal(rng, dim);
    const auto run = [&](const Ops& ops) {
      Buffers out = {room<float>(3 * dim), holding(residual), holding(x), room<float>(3 * dim)};
      RmsNormParams p{.rows = 3, .dim = dim, .x = x.data(), .weight = weight.data()};
      p.residual = begin<float>(out[1]);
      p.out = begin<float>(out[0]);
      ops.rms_norm(p);
      p.residual = nullptr;
      p.x = p.out = begin<float>(out[2]);  // in place
      ops.rms_norm(p);
      ops.layer_norm({.rows = 3,
                      .dim = dim,
                      .x = x.data(),
                      .weight = weight.data(),
                      .bias = bias.data(),
                      .out = begin<float>(out[3])});
      return out;
    };
    const Buffers got = run(ops()), want = run(ref_ops());
    for (const int i : {0, 2, 3})
      EXPECT_TRUE(close(got[at(i)], want[at(i)], Tolerance{.of_largest = 1e-6, .cos = 1e-11}))
          << dim << " output " << i;
    EXPECT_TRUE(exact(got[1], want[1])) << dim << " residual";
  }
}

TEST_P(Aligned, Rope) {
  for (const bool interleaved : {true, false})
    for (const int half : {4, 8, 32}) {
      Rng rng = stream_of("rope", half);
      const int heads = 5, head_step = 2 * half + 128;
      const std::vector<float> x = normal(rng, 3 * heads * head_step), cos = normal(rng, 3 * half),
                               sin = normal(rng, 3 * half);
      const auto run = [&](const Ops& ops) {
        Buffer out = holding(x);
        ops.rope({.tokens = 3,
                  .heads = heads,
                  .half = half,
                  .interleaved = interleaved,
                  .x = begin<float>(out) + 128,
                  .token_step = heads * head_step,
                  .head_step = head_step,
                  .cos = cos.data(),
                  .sin = sin.data()});
        return out;
      };
      EXPECT_TRUE(exact(run(ops()), run(ref_ops()))) << half;
    }
}

TEST_P(Aligned, Quant) {
  for (const bool ue8m0 : {true, false})
    for (const int dim : {4, 64, 128, 256, 512, 576, 1024, 1536, 7168}) {
      Rng rng = stream_of("quant", dim);
      std::vector<float> x = normal(rng, 5 * dim);
      for (std::size_t i = 0; i < x.size(); i += 61) x[i] *= 1e3F;
      const auto run = [&](const Ops& ops) {
        Buffers out = {room<std::uint8_t>(5 * dim), room<float>(5 * quant_blocks(dim)),
                       room<std::uint16_t>(5 * dim), room<std::uint8_t>(5 * dim),
                       room<float>(5 * quant_blocks(dim))};
        ops.act_quant({.rows = 5,
                       .dim = dim,
                       .x = x.data(),
                       .ue8m0 = ue8m0,
                       .out = begin<std::uint8_t>(out[0]),
                       .scale = begin<float>(out[1])});
        ops.cast_bf16({.rows = 5, .dim = dim, .x = x.data(), .out = begin<std::uint16_t>(out[2])});
        if (dim <= 1024 && (dim & (dim - 1)) == 0)
          ops.hadamard_quant({.rows = 5,
                              .dim = dim,
                              .x = x.data(),
                              .ue8m0 = ue8m0,
                              .out = begin<std::uint8_t>(out[3]),
                              .scale = begin<float>(out[4])});
        return out;
      };
      const Buffers got = run(ops()), want = run(ref_ops());
      for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_TRUE(exact(got[i], want[i])) << dim << " output " << i;
    }
}

TEST_P(Aligned, CacheWrites) {
  constexpr int kTokens = 6;
  const std::int32_t slots[kTokens] = {130, 0, 63, -1, 64, 191};
  for (const DType dtype : {DType::f8, DType::bf16, DType::f32})
    for (const int c : {64, 128, 512}) {
      const int r = c / 8;
      Rng rng = stream_of("cache", c);
      const std::vector<float> latent = normal(rng, kTokens * c), key = normal(rng, kTokens * r),
                               scale = normal(rng, kTokens * quant_blocks(c));
      const auto k = encoded(dtype == DType::f8 ? DType::f8 : DType::f32, latent);
      const std::int64_t page = std::int64_t{kPageTokens} * kv_record_bytes(dtype, c, r) + 64;
      const std::int64_t index_page = index_page_bytes(dtype, c) + 64;
      const auto run = [&](const Ops& ops) {
        Buffers out = {room<std::byte>(3 * page), room<std::byte>(3 * index_page)};
        ops.kv_write({.tokens = kTokens,
                      .c = c,
                      .r = r,
                      .latent = latent.data(),
                      .latent_step = c,
                      .key = key.data(),
                      .key_step = r,
                      .slots = slots,
                      .pages = {begin<std::byte>(out[0]), page, 3, dtype}});
        ops.index_write({.tokens = kTokens,
                         .d = c,
                         .k = k.data(),
                         .scale = scale.data(),
                         .slots = slots,
                         .pages = {begin<std::byte>(out[1]), index_page, 3, dtype}});
        return out;
      };
      const Buffers got = run(ops()), want = run(ref_ops());
      EXPECT_TRUE(exact(got[0], want[0])) << name_of(dtype) << c;
      EXPECT_TRUE(exact(got[1], want[1])) << name_of(dtype) << c;
    }
}

TEST_P(Aligned, MapSlots) {
  Rng rng = stream_of("map", 0);
  const Table pages(rng, 2, 40, 80);
  std::vector<std::int32_t> positions;
  for (int i = 0; i < 3 * 512; ++i)
    positions.push_back(static_cast<std::int32_t>(rng.between(-500, 40 * 64 - 1)));
  const std::vector<std::int32_t> sequence = {1, 0, 1};
  const auto run = [&](const Ops& ops) {
    Buffer out = room<std::int32_t>(3 * 512);
    ops.map_slots({.rows = 3,
                   .k = 512,
                   .positions = positions.data(),
                   .table = pages.of(sequence),
                   .slots = begin<std::int32_t>(out)});
    return out;
  };
  EXPECT_TRUE(exact(run(ops()), run(ref_ops())));
}

TEST_P(Aligned, TopkOnRowsThatBeginAnywhere) {
  constexpr int kLength = 7003, kK = 300;
  Rng rng = stream_of("topk", 0);
  std::vector<float> scores = normal(rng, 16 + kLength);
  for (float& x : scores) x = std::round(x * 512) / 512;  // ties at the k-th
  for (int offset = 0; offset < 5; ++offset) {
    const std::int32_t length = kLength - offset;
    const auto run = [&](const Ops& ops) {
      Buffer out = room<std::int32_t>(kK);
      ops.topk_select({.rows = 1,
                       .k = kK,
                       .scores = scores.data() + offset,
                       .lds = kLength,
                       .length = &length,
                       .out = begin<std::int32_t>(out)});
      return out;
    };
    EXPECT_TRUE(exact(run(ops()), run(ref_ops()))) << offset;
  }
}

TEST_P(Aligned, MoeMoves) {
  constexpr int kTokens = 40, kTopk = 8, kExperts = 256, kChoices = kTokens * kTopk;
  for (const int dim : {4, 64, 1028}) {
    Rng rng = stream_of("moe", dim);
    std::vector<std::int32_t> ids;
    for (int i = 0; i < kChoices; ++i)
      ids.push_back(static_cast<std::int32_t>(rng.below(rng.chance(1, 2) ? 256 : 3)));
    const std::vector<float> x = normal(rng, kTokens * dim), shared = normal(rng, kTokens * dim),
                             weights = normal(rng, kChoices);
    const auto run = [&](const Ops& ops) {
      Buffers out = {room<std::int32_t>(kExperts + 1), room<std::int32_t>(kChoices),
                     room<float>(std::int64_t{kChoices} * dim), room<float>(kTokens * dim)};
      ops.moe_permute({.tokens = kTokens,
                       .topk = kTopk,
                       .experts = kExperts,
                       .dim = dim,
                       .ids = ids.data(),
                       .x = x.data(),
                       .offsets = begin<std::int32_t>(out[0]),
                       .row_of = begin<std::int32_t>(out[1]),
                       .out = begin<float>(out[2])});
      ops.moe_unpermute({.tokens = kTokens,
                         .topk = kTopk,
                         .dim = dim,
                         .y = begin<float>(out[2]),
                         .row_of = begin<std::int32_t>(out[1]),
                         .weights = weights.data(),
                         .shared = shared.data(),
                         .out = begin<float>(out[3])});
      return out;
    };
    const Buffers got = run(ops()), want = run(ref_ops());
    for (std::size_t i = 0; i < got.size(); ++i)
      EXPECT_TRUE(exact(got[i], want[i])) << dim << " output " << i;
  }
}

// Every rounding of the product: gates over the whole range, results that are subnormal, infinite
// or lie at the middle between two floats.
TEST_P(Aligned, SiluMul) {
  Rng rng = stream_of("silu", 0);
  std::vector<float> gate, up;
  for (int i = 0; i < 40'003; ++i) {
    gate.push_back(static_cast<float>(rng.between(-900'000, 900'000)) *
                   (i % 3 == 0 ? 1e-3F : 1e-5F));
    up.push_back(
        std::ldexp(normal(rng, 1)[0], i % 16 == 0 ? static_cast<int>(rng.between(-145, 120)) : 0));
  }
  const float inf = std::numeric_limits<float>::infinity();
  for (const float odd : {0.0F, -0.0F, inf, 3e38F, -3e38F, 1e-40F, -1e-40F, 88.0F, -88.0F, -104.0F})
    for (const float by : {1.0F, -1.0F, 1e-30F, 1e30F}) gate.push_back(odd), up.push_back(by);
  const auto run = [&](const Ops& ops) {
    Buffer out = room<float>(static_cast<std::int64_t>(gate.size()));
    ops.silu_mul({.count = static_cast<std::int64_t>(gate.size()),
                  .gate = gate.data(),
                  .up = up.data(),
                  .out = begin<float>(out)});
    return out;
  };
  EXPECT_TRUE(exact(run(ops()), run(ref_ops())));
}

}  // namespace
}  // namespace seedbed::kernels::test
