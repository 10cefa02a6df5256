// The fused ops of kernels/cuda give what their ops give one after another, the same bits, with
// sizes that suit them and with sizes that do not.
#if defined(SEEDBED_WITH_SIMT)
#define SEEDBED_SIMT  // the declarations of the host's build of them
#include "kernels/cuda/fused.h"

#include "kernels/cuda/table.h"
#include "tests/kernels/paged.h"

namespace seedbed::kernels::test {
namespace {

constexpr int kTokens = 6;
const std::int32_t kSlots[kTokens] = {130, 0, 63, -1, 64, 191};

const Ops& ops() {
  return simt::table();
}

TEST(Fused, TopkSelectSlotsIsTopkSelectThenMapSlots) {
  Rng rng = stream("fused_topk");
  const int rows = 5, k = 64, length = 600;
  const Table pages(rng, 2, 10, 30);
  const std::vector<std::int32_t> sequence = {0, 1, 1, 0, 1}, lengths = {600, 40, 64, 65, 0};
  const std::vector<float> scores = normal(rng, rows * length);
  std::vector<std::int32_t> positions(at(rows * k)), slots(at(rows * k)), fused(at(rows * k));
  TopkSelectParams select{.rows = rows,
                          .k = k,
                          .scores = scores.data(),
                          .lds = length,
                          .length = lengths.data(),
                          .out = positions.data()};
  ops().topk_select(select);
  ops().map_slots({.rows = rows,
                   .k = k,
                   .positions = positions.data(),
                   .table = pages.of(sequence),
                   .slots = slots.data()});
  std::vector<std::int32_t> again(at(rows * k));
  for (std::int32_t* out : {again.data(), static_cast<std::int32_t*>(nullptr)}) {
    fused.assign(fused.size(), -7);
    select.out = out;
    simt::topk_select_slots(select, pages.of(sequence), fused.data());
    EXPECT_EQ(fused, slots);
  }
  EXPECT_EQ(again, positions);
}

TEST(Fused, SiluMulQuantIsSiluMulThenActQuant) {
  for (const int dim : {64, 128, 300, 95, 576})
    for (const bool ue8m0 : {true, false}) {
      Rng rng = stream("fused_silu", static_cast<std::uint64_t>(dim));
      const std::int64_t count = 5 * std::int64_t{dim};
      const std::vector<float> gate = normal(rng, count, 4), up = normal(rng, count);
      const auto run = [&](bool fused) {
        Buffers out = {Buffer::of<float>(count), Buffer::of<std::uint8_t>(count),
                       Buffer::of<float>(5 * quant_blocks(dim))};
        const SiluMulParams silu{
            .count = count, .gate = gate.data(), .up = up.data(), .out = out[0].as<float>()};
        const ActQuantParams quant{.rows = 5,
                                   .dim = dim,
                                   .x = out[0].as<float>(),
                                   .ue8m0 = ue8m0,
                                   .out = out[1].as<std::uint8_t>(),
                                   .scale = out[2].as<float>()};
        if (fused) {
          simt::silu_mul_quant(silu, quant);
        } else {
          ops().silu_mul(silu);
          ops().act_quant(quant);
        }
        out.erase(out.begin());
        return out;
      };
      EXPECT_EQ(run(true), run(false)) << dim;
    }
}

struct TurnRow {
  int dim, half;
  bool interleaved;
};
const TurnRow kTurns[] = {{128, 32, false}, {128, 64, false}, {128, 32, true}, {128, 4, true},
                          {128, 3, false},  {64, 16, false},  {256, 32, true}};

TEST(Fused, IndexQueryIsRopeThenHadamardQuant) {
  for (const TurnRow& c : kTurns) {
    Rng rng = stream("fused_query", static_cast<std::uint64_t>(c.dim + c.half));
    const int heads = 3, rows = kTokens * heads;
    const std::vector<float> x = normal(rng, rows * c.dim), cos = normal(rng, kTokens * c.half),
                             sin = normal(rng, kTokens * c.half), weight = normal(rng, rows);
    const float fold = 0.0123F;
    const auto run = [&](bool fused) {
      std::vector<float> q = x, w = weight;
      Buffers out = {Buffer::of<std::uint8_t>(rows * c.dim),
                     Buffer::of<float>(rows * quant_blocks(c.dim))};
      const RopeParams rope{.tokens = kTokens,
                            .heads = heads,
                            .half = c.half,
                            .interleaved = c.interleaved,
                            .x = q.data(),
                            .token_step = heads * c.dim,
                            .head_step = c.dim,
                            .cos = cos.data(),
                            .sin = sin.data()};
      const HadamardQuantParams quant{.rows = rows,
                                      .dim = c.dim,
                                      .x = q.data(),
                                      .out = out[0].as<std::uint8_t>(),
                                      .scale = out[1].as<float>()};
      const bool one_scale = c.dim <= 128;
      if (fused) {
        simt::index_query(rope, quant, one_scale ? w.data() : nullptr, fold);
      } else {
        ops().rope(rope);
        ops().hadamard_quant(quant);
        for (int i = 0; one_scale && i < rows; ++i)
          w[at(i)] = w[at(i)] * fold * out[1].as<float>()[i];
      }
      out.push_back(Buffer::holding(w));
      return out;
    };
    EXPECT_EQ(run(true), run(false)) << c.dim << " " << c.half;
  }
}

TEST(Fused, IndexKeyIsNormRopeHadamardWrite) {
  for (const TurnRow& c : kTurns)
    for (const int gap : {4, 1}) {
      Rng rng = stream("fused_key", static_cast<std::uint64_t>(c.dim + c.half));
      const std::vector<float> x = normal(rng, kTokens * c.dim, 3), weight = normal(rng, c.dim),
                               bias = normal(rng, c.dim), cos = normal(rng, kTokens * c.half),
                               sin = normal(rng, kTokens * c.half);
      const auto run = [&](bool fused) {
        PageMemory memory(DType::f8, 3, index_page_bytes(DType::f8, c.dim), gap);
        std::vector<float> key = x, scale(at(kTokens * quant_blocks(c.dim)));
        std::vector<std::uint8_t> codes(key.size());
        const LayerNormParams norm{.rows = kTokens,
                                   .dim = c.dim,
                                   .x = key.data(),
                                   .weight = weight.data(),
                                   .bias = bias.data(),
                                   .out = key.data()};
        const RopeParams rope{.tokens = kTokens,
                              .heads = 1,
                              .half = c.half,
                              .interleaved = c.interleaved,
                              .x = key.data(),
                              .token_step = c.dim,
                              .head_step = c.dim,
                              .cos = cos.data(),
                              .sin = sin.data()};
        const HadamardQuantParams quant{.rows = kTokens,
                                        .dim = c.dim,
                                        .x = key.data(),
                                        .out = codes.data(),
                                        .scale = scale.data()};
        const IndexWriteParams write{.tokens = kTokens,
                                     .d = c.dim,
                                     .k = codes.data(),
                                     .scale = scale.data(),
                                     .slots = kSlots,
                                     .pages = memory.pages()};
        if (fused) {
          simt::index_key(norm, rope, quant, write);
        } else {
          ops().layer_norm(norm);
          ops().rope(rope);
          ops().hadamard_quant(quant);
          ops().index_write(write);
        }
        return memory.memory;
      };
      EXPECT_TRUE(exact(run(true), run(false))) << c.dim << " " << c.half << " gap " << gap;
    }
}

TEST(Fused, LatentKeyIsNormRopeWrite) {
  struct Size {
    int c, r;
  };
  // Pages begin at a multiple of 4 bytes only; 12 bytes on they suit records of four numbers.
  for (const DType dtype : {DType::f8, DType::bf16, DType::f32})
    for (const Size s : {Size{512, 64}, Size{128, 16}, Size{192, 8}, Size{320, 128}, Size{95, 6}})
      for (const int shift : {12, 0}) {
        Rng rng = stream("fused_latent", static_cast<std::uint64_t>(s.c));
        const int step = s.c + s.r, half = s.r / 2;
        const std::vector<float> kv = normal(rng, kTokens * step, 3), weight = normal(rng, s.c),
                                 cos = normal(rng, kTokens * half),
                                 sin = normal(rng, kTokens * half);
        const std::int64_t page =
            (std::int64_t{kPageTokens} * kv_record_bytes(dtype, s.c, s.r) + 31) / 16 * 16;
        const auto run = [&](bool fused) {
          Buffer memory(at(3 * page + 16));
          std::vector<float> x = kv, latent(at(kTokens * s.c));
          const RmsNormParams norm{.rows = kTokens,
                                   .dim = s.c,
                                   .x = x.data(),
                                   .ldx = step,
                                   .weight = weight.data(),
                                   .out = latent.data(),
                                   .ldo = s.c};
          const RopeParams rope{.tokens = kTokens,
                                .heads = 1,
                                .half = half,
                                .interleaved = true,
                                .x = x.data() + s.c,
                                .token_step = step,
                                .head_step = step,
                                .cos = cos.data(),
                                .sin = sin.data()};
          const KvWriteParams write{.tokens = kTokens,
                                    .c = s.c,
                                    .r = s.r,
                                    .latent = latent.data(),
                                    .latent_step = s.c,
                                    .key = x.data() + s.c,
                                    .key_step = step,
                                    .slots = kSlots,
                                    .pages = {memory.data() + shift, page, 3, dtype}};
          if (fused) {
            simt::latent_key(norm, rope, write);
          } else {
            ops().rms_norm(norm);
            ops().rope(rope);
            ops().kv_write(write);
          }
          return memory;
        };
        EXPECT_TRUE(exact(run(true), run(false)))
            << name_of(dtype) << " " << s.c << " shift " << shift;
      }
}

}  // namespace
}  // namespace seedbed::kernels::test
#endif
