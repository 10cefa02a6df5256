// copy_rows and fold_weights.
#include "tests/kernels/support.h"

namespace seedbed::kernels::test {
namespace {

struct CopyRow : Named {
  std::int64_t rows;
  int dim;
  std::int64_t ldx, ldo;
};
const std::vector<CopyRow> kCopies = {
    {"a_part_of_a_query", 37, 64, 192, 576}, {"odd", 5, 7, 9, 13},          {"one", 1, 1, 1, 1},
    {"whole_rows", 300, 32, 32, 32},         {"wide", 3, 1021, 1024, 1030}, {"none", 0, 8, 8, 8},
};
class CopyRows : public OpTest<CopyRow> {};
SEEDBED_ROWS(CopyRows, CopyRow, kCopies);

TEST_P(CopyRows, MovesThePartAndNothingBesides) {
  const CopyRow& c = row();
  Rng rng = stream(c.name);
  const auto x = normal(rng, c.rows * c.ldx);
  const auto run = [&](const Ops& ops, Pool* pool) {
    Buffers out = {Buffer::of<float>(c.rows * c.ldo)};
    ops.copy_rows({.rows = c.rows,
                   .dim = c.dim,
                   .x = x.data(),
                   .ldx = c.ldx,
                   .out = out[0].as<float>(),
                   .ldo = c.ldo,
                   .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run);
  const auto numbers = got[0].view<float>();
  for (std::int64_t i = 0; i < c.rows; ++i)
    for (int j = 0; j < c.dim; ++j)
      ASSERT_EQ(numbers[at(i * c.ldo + j)], x[at(i * c.ldx + j)]) << i << ", " << j;
  EXPECT_TRUE(exact(got[0], run(ref_ops(), nullptr)[0]));  // what lies between is as it was
}

struct FoldRow : Named {
  std::int64_t count;
  bool scale;
};
const std::vector<FoldRow> kFolds = {
    {"with_scale", 1000, true}, {"without", 257, false}, {"one", 1, true}, {"none", 0, true}};
class FoldWeights : public OpTest<FoldRow> {};
SEEDBED_ROWS(FoldWeights, FoldRow, kFolds);

TEST_P(FoldWeights, RoundsEachProductOnce) {
  const FoldRow& c = row();
  Rng rng = stream(c.name);
  const auto weights = normal(rng, c.count), scale = normal(rng, c.count);
  constexpr float kFold = 0.0110485435F;
  const auto run = [&](const Ops& ops, Pool* pool) {
    Buffers out = {Buffer::of<float>(c.count)};
    std::copy(weights.begin(), weights.end(), out[0].as<float>());
    ops.fold_weights({.count = c.count,
                      .w = out[0].as<float>(),
                      .fold = kFold,
                      .scale = c.scale ? scale.data() : nullptr,
                      .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run);
  for (std::int64_t i = 0; i < c.count; ++i) {
    const volatile float folded = weights[at(i)] * kFold;
    const volatile float wanted = c.scale ? folded * scale[at(i)] : folded;
    ASSERT_EQ(got[0].view<float>()[at(i)], wanted) << i;
  }
}

}  // namespace
}  // namespace seedbed::kernels::test
