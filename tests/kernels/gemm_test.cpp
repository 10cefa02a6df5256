// gemm, grouped_gemm and lm_head: exact dtype rules, tolerance 1 - 2xy/(xx+yy) <= 1e-9 (f32) or
// 1e-6 (bf16, f8), and bits that do not depend on the company a row is in.
#include <cmath>
#include <limits>

#include "tests/kernels/support.h"

namespace seedbed::kernels::test {
namespace {

struct Kinds {
  DType a, w;
};
constexpr Kinds kKinds[] = {{DType::f32, DType::f32},
                            {DType::f32, DType::bf16},
                            {DType::bf16, DType::bf16},
                            {DType::f8, DType::f8}};

struct Shape {
  int rows, cols, inner;
};
// Small and ragged ones; then the published model's products, a sixteenth of them (m 1 and many).
constexpr Shape kShapes[] = {
    {1, 1, 1},      {1, 1, 129},   {3, 5, 7},      {2, 33, 95},    {1, 576, 64},   {5, 129, 129},
    {17, 95, 256},  {4, 16, 576},  {33, 130, 257}, {1, 132, 448},  {37, 132, 448}, {1, 36, 448},
    {37, 36, 448},  {1, 1536, 96}, {37, 256, 96},  {1, 2048, 32},  {37, 384, 32},  {1, 448, 1024},
    {37, 64, 1024}, {1, 448, 128}, {64, 64, 128},  {37, 448, 128},
};

struct GemmRow : Named {
  Shape shape;
  Kinds kinds;
  int a_gap = 0, out_gap = 0;  // columns between rows
  bool accumulate = false;
  int batch = 1;
  float scale = 1;
};

std::vector<GemmRow> gemm_rows() {
  std::vector<GemmRow> rows;
  for (const Kinds kinds : kKinds) {
    const std::string dtypes = std::string(name_of(kinds.a)) + "_" + name_of(kinds.w);
    for (const Shape s : kShapes)
      rows.push_back({dtypes + "_" + std::to_string(s.rows) + "x" + std::to_string(s.cols) + "x" +
                          std::to_string(s.inner),
                      s, kinds});
    rows.push_back({dtypes + "_strided", {5, 33, 130}, kinds, 3, 7});
    rows.push_back({dtypes + "_accumulate", {9, 40, 200}, kinds, 0, 0, true});
    rows.push_back({dtypes + "_accumulate_strided", {3, 17, 129}, kinds, 5, 1, true});
    rows.push_back({dtypes + "_empty", {0, 5, 7}, kinds});
    if (kinds.a == DType::f8) continue;
    rows.push_back({dtypes + "_batch", {3, 20, 64}, kinds, 0, 0, false, 5});
    rows.push_back({dtypes + "_batch_strided", {4, 33, 95}, kinds, 9, 2, false, 3});
    rows.push_back({dtypes + "_large", {4, 33, 95}, kinds, 0, 0, false, 1, 1e15F});
  }
  return rows;
}

// The operands of one case, in memory that knows what is written beside it.
struct Operands {
  Buffer a, w;
  std::vector<float> a_scale, w_scale;
  Operands(const std::string& name,
           std::int64_t a_count,
           std::int64_t w_count,
           Kinds kinds,
           float scale = 1)
      : Operands(stream(name), a_count, w_count, kinds, scale) {}
  Operands(Rng rng, std::int64_t a_count, std::int64_t w_count, Kinds kinds, float scale)
      : a(Buffer::holding(encoded(kinds.a, normal(rng, a_count, scale)))),
        w(Buffer::holding(encoded(kinds.w, normal(rng, w_count)))) {}
  void add_scales(Rng rng, std::int64_t a_blocks, std::int64_t w_blocks) {
    for (std::int64_t i = 0; i < a_blocks; ++i)
      a_scale.push_back(std::ldexp(1.0F, static_cast<int>(rng.between(-6, 2))));
    w_scale = normal(rng, w_blocks);
  }
};

Tolerance tolerance(DType w) {
  return w == DType::f32 ? Tolerance{.of_largest = 1e-5, .cos = 1e-9}
                         : Tolerance{.of_largest = 1e-4, .cos = 1e-6};
}

class Gemm : public OpTest<GemmRow> {};
SEEDBED_ROWS(Gemm, GemmRow, gemm_rows());

TEST_P(Gemm, MatchesTheOracle) {
  const GemmRow& c = row();
  const Shape s = c.shape;
  const std::int64_t lda = s.inner + c.a_gap, ldo = s.cols + c.out_gap;
  const std::int64_t a_step = s.rows * lda + 11, w_step = std::int64_t{s.cols} * s.inner + 5,
                     out_step = s.rows * ldo + 3;
  Operands in(c.name, c.batch * a_step, c.batch * w_step, c.kinds, c.scale);
  if (c.kinds.a == DType::f8)
    in.add_scales(stream(c.name, 1), std::int64_t{s.rows} * quant_blocks(s.inner),
                  std::int64_t{quant_blocks(s.cols)} * quant_blocks(s.inner));
  Rng rng = stream(c.name, 2);
  const std::vector<float> before = normal(rng, c.batch * out_step, 10);
  const auto run = [&](const Ops& table, Pool* pool) {
    Buffers out = {c.accumulate ? Buffer::holding(before) : Buffer::of<float>(c.batch * out_step)};
    table.gemm({.rows = s.rows,
                .cols = s.cols,
                .inner = s.inner,
                .a_dtype = c.kinds.a,
                .w_dtype = c.kinds.w,
                .a = in.a.data(),
                .lda = c.a_gap == 0 ? 0 : lda,
                .a_scale = in.a_scale.data(),
                .w = in.w.data(),
                .w_scale = in.w_scale.data(),
                .out = out[0].as<float>(),
                .ldo = c.out_gap == 0 ? 0 : ldo,
                .accumulate = c.accumulate,
                .batch = c.batch,
                .a_step = a_step,
                .w_step = w_step,
                .out_step = out_step,
                .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run);
  EXPECT_TRUE(close(got[0], run(ref_ops(), nullptr)[0], tolerance(c.kinds.w)));
}

struct GroupedRow : Named {
  Kinds kinds;
  std::vector<int> sizes;
  int cols, inner;
};
std::vector<GroupedRow> grouped_rows() {
  std::vector<GroupedRow> rows;
  for (const Kinds kinds : kKinds) {
    const std::string dtypes = std::string(name_of(kinds.a)) + "_" + name_of(kinds.w);
    rows.push_back({dtypes + "_some_empty", kinds, {3, 0, 1, 17, 0}, 95, 129});
    rows.push_back({dtypes + "_all_empty", kinds, {0, 0, 0}, 16, 64});
    rows.push_back({dtypes + "_one_group", kinds, {21}, 64, 128});
    rows.push_back({dtypes + "_decode", kinds, {1, 1, 1, 1, 1, 1, 1, 1}, 256, 448});
    rows.push_back({dtypes + "_prefill", kinds, {20, 33, 2, 40}, 128, 256});
  }
  return rows;
}
class GroupedGemm : public OpTest<GroupedRow> {};
SEEDBED_ROWS(GroupedGemm, GroupedRow, grouped_rows());

TEST_P(GroupedGemm, MatchesTheOracleAndOneGemmAGroupBitForBit) {
  const GroupedRow& c = row();
  std::vector<std::int32_t> offsets = {0};
  for (const int size : c.sizes) offsets.push_back(offsets.back() + size);
  const int rows = offsets.back(), groups = static_cast<int>(c.sizes.size());
  const std::int64_t w_count = std::int64_t{c.cols} * c.inner, blocks = quant_blocks(c.inner),
                     w_blocks = quant_blocks(c.cols) * blocks;
  Operands in(c.name, std::int64_t{rows} * c.inner, groups * w_count, c.kinds);
  in.add_scales(stream(c.name, 1), rows * blocks, groups * w_blocks);
  std::vector<const void*> w;
  std::vector<const float*> w_scale;
  for (int g = 0; g < groups; ++g) {
    const bool empty = c.sizes[at(g)] == 0;
    w.push_back(empty ? nullptr : in.w.data() + g * w_count * bytes_of(c.kinds.w));
    w_scale.push_back(empty ? nullptr : in.w_scale.data() + g * w_blocks);
  }
  const auto run = [&](const Ops& table, Pool* pool) {
    Buffers out = {Buffer::of<float>(std::int64_t{rows} * c.cols)};
    table.grouped_gemm({.groups = groups,
                        .cols = c.cols,
                        .inner = c.inner,
                        .offsets = offsets.data(),
                        .a_dtype = c.kinds.a,
                        .w_dtype = c.kinds.w,
                        .a = in.a.data(),
                        .a_scale = in.a_scale.data(),
                        .w = w.data(),
                        .w_scale = w_scale.data(),
                        .out = out[0].as<float>(),
                        .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run);
  Buffer single = Buffer::of<float>(std::int64_t{rows} * c.cols);
  for (int g = 0; g < groups; ++g) {
    const std::int64_t begin = offsets[at(g)];
    if (c.sizes[at(g)] == 0) continue;
    ops().gemm({.rows = c.sizes[at(g)],
                .cols = c.cols,
                .inner = c.inner,
                .a_dtype = c.kinds.a,
                .w_dtype = c.kinds.w,
                .a = in.a.data() + begin * c.inner * bytes_of(c.kinds.a),
                .a_scale = in.a_scale.data() + begin * blocks,
                .w = w[at(g)],
                .w_scale = w_scale[at(g)],
                .out = single.as<float>() + begin * c.cols});
  }
  EXPECT_TRUE(exact(got[0], single)) << "against one gemm a group";
  EXPECT_TRUE(close(got[0], run(ref_ops(), nullptr)[0], tolerance(c.kinds.w)));
}

struct HeadRow : Named {
  DType dtype;
  int vocab, dim;
  std::vector<std::int32_t> index;
  bool listed;
};
class LmHead : public OpTest<HeadRow> {};
const std::vector<HeadRow> kHeads = {
    {"bf16_one", DType::bf16, 1000, 96, {4}, true},
    {"bf16_some", DType::bf16, 333, 129, {6, 0, 6, 3}, true},
    {"bf16_all", DType::bf16, 95, 448, {0, 1, 2, 3, 4, 5, 6}, false},
    {"f32_some", DType::f32, 333, 129, {5, 1}, true},
    {"f32_all", DType::f32, 64, 64, {0, 1, 2, 3, 4, 5, 6}, false},
    {"bf16_none", DType::bf16, 64, 64, {}, true},
};
SEEDBED_ROWS(LmHead, HeadRow, kHeads);

TEST_P(LmHead, MatchesTheOracleOnTheRowsNamed) {
  const HeadRow& c = row();
  Operands in(c.name, std::int64_t{7} * c.dim, std::int64_t{c.vocab} * c.dim,
              {DType::f32, c.dtype});
  const auto run = [&](const Ops& table, Pool* pool) {
    Buffers out = {Buffer::of<float>(static_cast<std::int64_t>(c.index.size()) * c.vocab)};
    table.lm_head({.rows = static_cast<int>(c.index.size()),
                   .vocab = c.vocab,
                   .dim = c.dim,
                   .x = in.a.as<float>(),
                   .row_index = c.listed ? c.index.data() : nullptr,
                   .dtype = c.dtype,
                   .w = in.w.data(),
                   .out = out[0].as<float>(),
                   .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run);
  EXPECT_TRUE(close(got[0], run(ref_ops(), nullptr)[0], tolerance(c.dtype)));
}

class EveryGemm : public EachBackend {};
SEEDBED_BACKENDS(EveryGemm);

TEST_P(EveryGemm, ARowAloneHasTheBitsOfARowAmongMany) {
  for (const Kinds kinds : kKinds)
    for (const Shape s : {Shape{39, 95, 129}, Shape{64, 130, 576}, Shape{9, 7, 64}}) {
      Operands in("alone", std::int64_t{s.rows} * s.inner, std::int64_t{s.cols} * s.inner, kinds);
      const std::int64_t blocks = quant_blocks(s.inner);
      in.add_scales(stream("alone", 1), s.rows * blocks, quant_blocks(s.cols) * blocks);
      const auto run = [&](int begin, int count) {
        Buffer out = Buffer::of<float>(std::int64_t{count} * s.cols);
        ops().gemm({.rows = count,
                    .cols = s.cols,
                    .inner = s.inner,
                    .a_dtype = kinds.a,
                    .w_dtype = kinds.w,
                    .a = in.a.data() + std::int64_t{begin} * s.inner * bytes_of(kinds.a),
                    .a_scale = in.a_scale.data() + begin * blocks,
                    .w = in.w.data(),
                    .w_scale = in.w_scale.data(),
                    .out = out.as<float>()});
        return out;
      };
      const Buffer all = run(0, s.rows);
      for (const auto& [begin, count] :
           std::vector<std::pair<int, int>>{{0, 1}, {s.rows - 1, 1}, {3, 2}, {1, 5}, {2, 7}})
        ASSERT_EQ(std::memcmp(run(begin, count).as<float>(),
                              all.view<float>().data() + std::int64_t{begin} * s.cols,
                              at(count) * at(s.cols) * 4),
                  0)
            << name_of(kinds.a) << " " << name_of(kinds.w) << " rows " << begin << "+" << count
            << " of " << s.rows;
    }
}

// The same column alone: a product's bits depend on its two rows, wherever they stand.
TEST_P(EveryGemm, AColumnAloneHasTheBitsOfAColumnAmongMany) {
  for (const Kinds kinds : kKinds) {
    const Shape s{5, 150, 200};
    Operands in("column", std::int64_t{s.rows} * s.inner, std::int64_t{s.cols} * s.inner, kinds);
    const std::int64_t blocks = quant_blocks(s.inner);
    in.add_scales(stream("column", 1), s.rows * blocks, 2 * blocks);
    const auto run = [&](int begin, int cols, float* out) {
      ops().gemm({.rows = s.rows,
                  .cols = cols,
                  .inner = s.inner,
                  .a_dtype = kinds.a,
                  .w_dtype = kinds.w,
                  .a = in.a.data(),
                  .a_scale = in.a_scale.data(),
                  .w = in.w.data() + std::int64_t{begin} * s.inner * bytes_of(kinds.w),
                  .w_scale = in.w_scale.data() + begin / kQuantBlock * blocks,
                  .out = out});
    };
    std::vector<float> all(at(s.rows * s.cols)), one(at(s.rows));
    run(0, s.cols, all.data());
    for (const int j : {0, 1, 17, 127, 128, 149}) {
      run(j, 1, one.data());
      for (int i = 0; i < s.rows; ++i)
        ASSERT_EQ(one[at(i)], all[at(i * s.cols + j)])
            << name_of(kinds.a) << " " << name_of(kinds.w) << " column " << j;
    }
  }
}

// Small integers leave nothing to round: every dtype gives the integer product.
TEST_P(EveryGemm, IntegersComeOutExactly) {
  for (const Kinds kinds : kKinds) {
    const Shape s{7, 33, 300};
    Rng rng = stream("integers");
    std::vector<float> a, w;
    for (int i = 0; i < s.rows * s.inner; ++i) a.push_back(static_cast<float>(rng.between(-8, 8)));
    for (int i = 0; i < s.cols * s.inner; ++i) w.push_back(static_cast<float>(rng.between(-8, 8)));
    const auto a_bytes = encoded(kinds.a, a), w_bytes = encoded(kinds.w, w);
    const std::vector<float> a_scale(at(s.rows * 3), 2.0F), w_scale(3, 0.25F);
    std::vector<float> out(at(s.rows * s.cols));
    ops().gemm({.rows = s.rows,
                .cols = s.cols,
                .inner = s.inner,
                .a_dtype = kinds.a,
                .w_dtype = kinds.w,
                .a = a_bytes.data(),
                .a_scale = a_scale.data(),
                .w = w_bytes.data(),
                .w_scale = w_scale.data(),
                .out = out.data()});
    for (int i = 0; i < s.rows; ++i)
      for (int j = 0; j < s.cols; ++j) {
        std::int64_t sum = 0;
        for (int k = 0; k < s.inner; ++k)
          sum += static_cast<std::int64_t>(a[at(i * s.inner + k)]) *
                 static_cast<std::int64_t>(w[at(j * s.inner + k)]);
        ASSERT_EQ(double{out[at(i * s.cols + j)]},
                  static_cast<double>(sum) * (kinds.a == DType::f8 ? 0.5 : 1.0));
      }
  }
}

// lm_head and the f32 x bf16 product do not round activations.
TEST_P(EveryGemm, ActivationsInF32AreNotRounded) {
  std::vector<float> a(64, 0.0F);
  a[5] = 1.0F + 0x1p-20F;
  const std::vector<std::uint16_t> w(64, 0x3f80);
  float out = 0;
  ops().gemm({.rows = 1,
              .cols = 1,
              .inner = 64,
              .w_dtype = DType::bf16,
              .a = a.data(),
              .w = w.data(),
              .out = &out});
  EXPECT_EQ(out, a[5]);
  out = 0;
  ops().lm_head({.rows = 1, .vocab = 1, .dim = 64, .x = a.data(), .w = w.data(), .out = &out});
  EXPECT_EQ(out, a[5]);
}

}  // namespace
}  // namespace seedbed::kernels::test
