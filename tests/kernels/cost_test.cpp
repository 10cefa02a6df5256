// bench/gpu_cost.h: what it counts equals what a plain walk over an op's contract touches and
// multiplies, and the floors that are published for the model's shapes.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/gpu_cost.h"

namespace seedbed::kernels::test {
namespace {

using bench::Cost;
using bench::cost;

// Every number of every array that was touched, once; reads and writes are arrays of their own.
class Walk {
 public:
  void touch(const std::string& array, std::int64_t index, int bytes) {
    seen_[{array, index}] = bytes;
  }
  void multiply_add() { flop_ += 2; }
  std::int64_t bytes() const {
    std::int64_t sum = 0;
    for (const auto& [number, size] : seen_) sum += size;
    return sum;
  }
  double flop() const { return flop_; }

 private:
  std::map<std::pair<std::string, std::int64_t>, int> seen_;
  double flop_ = 0;
};
void expect_equal(const Cost& counted, const Walk& walk) {
  EXPECT_EQ(counted.bytes, walk.bytes());
  EXPECT_EQ(counted.flop, walk.flop());
}
int present[1];  // what a pointer that is given points to
template <class T>
T* given() {
  return reinterpret_cast<T*>(present);
}

void walk_gemm(Walk& walk, const GemmParams& p, const std::string& of, int batch) {
  const std::string b = std::to_string(batch);
  const int blocks = (p.inner + 127) / 128;
  for (int i = 0; i < p.rows; ++i)
    for (int j = 0; j < p.cols; ++j) {
      for (int k = 0; k < p.inner; ++k) {
        walk.touch("a" + b, i * p.inner + k, bytes_of(p.a_dtype));
        walk.touch("w" + of + b, j * p.inner + k, bytes_of(p.w_dtype));
        if (p.a_dtype == DType::f8) {
          walk.touch("a_scale" + b, i * blocks + k / 128, 4);
          walk.touch("w_scale" + of + b, j / 128 * blocks + k / 128, 4);
        }
        walk.multiply_add();
      }
      walk.touch("out" + b, i * p.cols + j, 4);
      if (p.accumulate) walk.touch("out before" + b, i * p.cols + j, 4);
    }
}
GemmParams gemm_params(DType a, DType w) {
  GemmParams p;
  p.rows = 2;
  p.cols = 131;
  p.inner = 133;
  p.a_dtype = a;
  p.w_dtype = w;
  return p;
}

TEST(Cost, GemmTouchesItsOperandsOnce) {
  constexpr std::pair<DType, DType> kKinds[] = {{DType::f32, DType::f32},
                                                {DType::f32, DType::bf16},
                                                {DType::bf16, DType::bf16},
                                                {DType::f8, DType::f8}};
  for (const auto& [a, w] : kKinds)
    for (const bool accumulate : {false, true}) {
      GemmParams p = gemm_params(a, w);
      p.accumulate = accumulate;
      Walk walk;
      walk_gemm(walk, p, "", 0);
      expect_equal(cost(p), walk);
    }
  GemmParams p = gemm_params(DType::bf16, DType::bf16);
  p.batch = 3;
  Walk walk;
  for (int batch = 0; batch < 3; ++batch) walk_gemm(walk, p, "", batch);
  expect_equal(cost(p), walk);
}

TEST(Cost, GroupsWithoutRowsCostNoWeights) {
  for (const DType dtype : {DType::bf16, DType::f8}) {
    GroupedGemmParams p;
    p.groups = 4;
    p.cols = 130;
    p.inner = 200;
    p.a_dtype = p.w_dtype = dtype;
    const int sizes[] = {2, 0, 3, 0};
    Walk walk;
    int row = 0;
    for (int g = 0; g <= 4; ++g) walk.touch("offsets", g, 4);
    for (int g = 0; g < 4; ++g)
      for (int i = 0; i < sizes[g]; ++i, ++row) {
        GemmParams one = gemm_params(dtype, dtype);
        one.rows = 1;
        one.cols = p.cols;
        one.inner = p.inner;
        Walk of_row;
        walk_gemm(of_row, one, "", 0);
        for (int k = 0; k < p.inner; ++k) walk.touch("a", row * p.inner + k, bytes_of(dtype));
        for (int j = 0; j < p.cols; ++j) walk.touch("out", row * p.cols + j, 4);
        walk.touch("w of", g, 8);
        for (int x = 0; x < p.cols * p.inner; ++x)
          walk.touch("w" + std::to_string(g), x, bytes_of(dtype));
        if (dtype == DType::f8) {
          for (int k = 0; k < 2; ++k) walk.touch("a_scale", row * 2 + k, 4);
          for (int x = 0; x < 2 * 2; ++x) walk.touch("w_scale" + std::to_string(g), x, 4);
          walk.touch("w_scale of", g, 8);
        }
        for (double done = 0; done < of_row.flop(); done += 2) walk.multiply_add();
      }
    expect_equal(cost(p, row, 2), walk);
  }
}

TEST(Cost, IndexLogitsWriteEveryCellAndMultiplyWhatARowSees) {
  for (const DType dtype : {DType::f8, DType::bf16}) {
    IndexLogitsParams p;
    p.tokens = 3;
    p.heads = 4;
    p.dim = 160;
    p.columns = 70;
    p.dtype = dtype;
    const int begin[] = {0, 10, 69}, end[] = {70, 11, 69};
    p.key_begin = given<std::int32_t>();
    Walk walk;
    std::int64_t pairs = 0;
    for (int t = 0; t < p.tokens; ++t) {
      walk.touch("key_begin", t, 4);
      walk.touch("key_end", t, 4);
      for (int s = 0; s < p.columns; ++s) {
        walk.touch("out", t * p.columns + s, 4);
        if (s < begin[t] || s >= end[t]) continue;
        ++pairs;
        for (int h = 0; h < p.heads; ++h) {
          for (int c = 0; c < p.dim; ++c) {
            walk.touch("k", s * p.dim + c, bytes_of(dtype));
            walk.multiply_add();
          }
          for (int b = 0; dtype == DType::f8 && b < 2; ++b) walk.touch("k_scale", s * 2 + b, 4);
        }
      }
      for (int h = 0; h < p.heads; ++h) {
        walk.touch("w", t * p.heads + h, 4);
        for (int c = 0; c < p.dim; ++c)
          walk.touch("q", (t * p.heads + h) * p.dim + c, bytes_of(dtype));
      }
    }
    expect_equal(cost(p, pairs), walk);
  }
}

TEST(Cost, RowsOfOneSequenceShareItsKeys) {
  IndexLogitsPagedParams p;
  p.tokens = 4;  // two sequences of 128 positions, two rows each
  p.heads = 2;
  p.dim = 128;
  p.columns = 128;
  p.table.sequence = given<std::int32_t>();
  Walk walk;
  for (int t = 0; t < p.tokens; ++t) {
    const std::string of = std::to_string(t / 2);
    walk.touch("sequence", t, 4);
    walk.touch("key_end", t, 4);
    for (int s = 0; s < 128; ++s) {
      walk.touch("out", t * 128 + s, 4);
      walk.touch("table" + of, s / 64, 4);
      walk.touch("scale" + of, s, 4);
      for (int h = 0; h < p.heads; ++h)
        for (int c = 0; c < p.dim; ++c) {
          walk.touch("k" + of, s * 128 + c, 1);
          walk.multiply_add();
        }
    }
    for (int h = 0; h < p.heads; ++h) {
      walk.touch("w", t * p.heads + h, 4);
      for (int c = 0; c < p.dim; ++c) walk.touch("q", (t * p.heads + h) * p.dim + c, 1);
    }
  }
  expect_equal(cost(p, 4 * 128, 2 * 128), walk);
}

TEST(Cost, SparseMlaReadsEachNamedRecordOnce) {
  SparseMlaParams p;
  p.tokens = 3;
  p.heads = 2;
  p.c = 256;
  p.r = 64;
  p.k = 4;
  p.lse = given<float>();
  p.length = given<std::int32_t>();
  const std::vector<std::vector<int>> lists = {{1, 5, 7}, {5, 9, 70, 71}, {}};
  Walk walk;
  std::int64_t entries = 0;
  for (int t = 0; t < p.tokens; ++t) {
    walk.touch("length", t, 4);
    for (int j = 0; j < p.k; ++j) walk.touch("slots", t * p.k + j, 4);
    for (int h = 0; h < p.heads; ++h) {
      walk.touch("lse", t * p.heads + h, 4);
      for (int c = 0; c < p.c + p.r; ++c) walk.touch("q", (t * p.heads + h) * 320 + c, 4);
      for (int c = 0; c < p.c; ++c) walk.touch("out", (t * p.heads + h) * 256 + c, 4);
    }
    for (const int slot : lists[static_cast<std::size_t>(t)]) {
      ++entries;
      for (int c = 0; c < p.c; ++c) walk.touch("latent", slot * p.c + c, 1);
      for (int c = 0; c < p.r; ++c) walk.touch("key", slot * p.r + c, 2);
      for (int b = 0; b < 2; ++b) walk.touch("scale", slot * 2 + b, 4);
      for (int h = 0; h < p.heads; ++h) {
        for (int c = 0; c < p.c + p.r; ++c) walk.multiply_add();  // the score
        for (int c = 0; c < p.c; ++c) walk.multiply_add();        // the sum
      }
    }
  }
  expect_equal(cost(p, entries, 6), walk);
  DenseMlaParams dense;
  dense.tokens = 3;
  dense.heads = 2;
  dense.c = 256;
  dense.r = 64;
  dense.lse = given<float>();
  // As a sparse list of everything, but with a page table and ends instead of lists.
  SparseMlaParams all = p;
  all.k = 128;
  all.length = nullptr;
  EXPECT_EQ(cost(dense, 3 * 128, 128).flop, cost(all, 3 * 128, 128).flop);
  EXPECT_EQ(cost(dense, 3 * 128, 128).bytes,
            cost(all, 3 * 128, 128).bytes - 3 * 128 * 4 + 2 * 4 + 3 * 4);
}

TEST(Cost, DenseMhaMultipliesScoresAndSums) {
  DenseMhaParams p;
  p.tokens = 4;
  p.heads = 2;
  p.qk_dim = 12;
  p.v_dim = 8;
  p.keys = 4;
  Walk walk;
  std::int64_t pairs = 0;
  for (int t = 0; t < p.tokens; ++t) {
    walk.touch("key_end", t, 4);
    for (int h = 0; h < p.heads; ++h) {
      for (int c = 0; c < p.qk_dim; ++c) walk.touch("q", (t * p.heads + h) * p.qk_dim + c, 4);
      for (int c = 0; c < p.v_dim; ++c) walk.touch("out", (t * p.heads + h) * p.v_dim + c, 4);
      for (int s = 0; s <= t; ++s) {
        pairs += h == 0 ? 1 : 0;
        for (int c = 0; c < p.qk_dim; ++c) {
          walk.touch("k", (s * p.heads + h) * p.qk_dim + c, 4);
          walk.multiply_add();
        }
        for (int c = 0; c < p.v_dim; ++c) {
          walk.touch("v", (s * p.heads + h) * p.v_dim + c, 4);
          walk.multiply_add();
        }
      }
    }
  }
  expect_equal(cost(p, pairs), walk);
}

TEST(Cost, RowsThatAreRewritten) {
  constexpr std::int64_t kRows = 3, kDim = 300, kAll = kRows * kDim;
  RmsNormParams norm;
  norm.rows = kRows;
  norm.dim = kDim;
  norm.x = given<float>();
  EXPECT_EQ(cost(norm).bytes, 4 * (kAll + kDim + kAll));
  norm.residual = given<float>();
  EXPECT_EQ(cost(norm).bytes, 4 * (kAll + kDim + kAll + 2 * kAll))
      << "residual is read and written";
  norm.x = nullptr;
  EXPECT_EQ(cost(norm).bytes, 4 * (kDim + kAll + kAll)) << "it is read alone";
  EXPECT_EQ(cost(LayerNormParams{.rows = kRows, .dim = kDim}).bytes, 4 * (2 * kAll + 2 * kDim));
  EXPECT_EQ(cost(CastBf16Params{.rows = kRows, .dim = kDim}).bytes, kAll * (4 + 2));
  EXPECT_EQ(cost(ActQuantParams{.rows = kRows, .dim = kDim}).bytes, kAll * (4 + 1) + kRows * 3 * 4);
  EXPECT_EQ(cost(HadamardQuantParams{.rows = kRows, .dim = 128}).bytes, kRows * (128 * 5 + 4));
  EXPECT_EQ(cost(CopyRowsParams{.rows = kRows, .dim = kDim}).bytes, 2 * 4 * kAll);
  EXPECT_EQ(cost(SiluMulParams{.count = kAll}).bytes, 3 * 4 * kAll);
  EXPECT_EQ(cost(EmbedParams{.tokens = kRows, .dim = kDim, .dtype = DType::bf16}).bytes,
            kRows * 4 + kAll * (2 + 4));
  // cos and sin of each token once, 2 * half numbers of each head read and written.
  EXPECT_EQ(cost(RopeParams{.tokens = 5, .heads = 3, .half = 32}).bytes,
            5 * (2 * 32 * 4 + 3 * 64 * 4 * 2));
  FoldWeightsParams fold{.count = 100};
  EXPECT_EQ(cost(fold).bytes, 100 * 2 * 4);
  fold.scale = given<float>();
  EXPECT_EQ(cost(fold).bytes, 100 * 3 * 4);
}

TEST(Cost, CacheTopkRoutingAndSampling) {
  KvWriteParams kv;
  kv.tokens = 7;
  kv.c = 512;
  kv.r = 64;
  EXPECT_EQ(cost(kv).bytes, 7 * (576 * 4 + 4 + 656));
  kv.pages.dtype = DType::f32;
  EXPECT_EQ(cost(kv).bytes, 7 * (576 * 4 + 4 + 576 * 4));
  IndexWriteParams index;
  index.tokens = 7;
  index.d = 128;
  EXPECT_EQ(cost(index).bytes, 7 * (132 + 4 + 132));
  index.pages.dtype = DType::bf16;
  EXPECT_EQ(cost(index).bytes, 7 * (128 * 4 + 4 + 128 * 2));
  EXPECT_EQ(cost(TopkSelectParams{.rows = 2, .k = 8}, 100 + 50).bytes, 150 * 4 + 2 * 4 + 16 * 4);
  EXPECT_EQ(cost(MapSlotsParams{.rows = 2, .k = 8, .table = {}}).bytes, 16 * 8);
  MoeRouteParams route{.tokens = 3, .experts = 16, .topk = 2};
  EXPECT_EQ(cost(route).bytes, 3 * 16 * 4 + 16 * 4 + 3 * 2 * (4 + 4));
  route.forced = given<std::int32_t>();
  EXPECT_EQ(cost(route).bytes, 3 * 16 * 4 + 16 * 4 + 3 * 2 * (4 + 4 + 4));
  EXPECT_EQ(cost(MoePermuteParams{.tokens = 3, .topk = 2, .experts = 16, .dim = 10}).bytes,
            3 * 10 * 4 + 6 * 10 * 4 + 6 * (4 + 4) + 17 * 4);
  MoeUnpermuteParams back{.tokens = 3, .topk = 2, .dim = 10};
  EXPECT_EQ(cost(back).bytes, 6 * 10 * 4 + 6 * (4 + 4) + 3 * 10 * 4);
  back.shared = given<float>();
  EXPECT_EQ(cost(back).bytes, 6 * 10 * 4 + 6 * (4 + 4) + 2 * 3 * 10 * 4);
  LmHeadParams head{.rows = 2, .vocab = 50, .dim = 30, .dtype = DType::bf16};
  EXPECT_EQ(cost(head).bytes, 2 * 30 * 4 + 50 * 30 * 2 + 2 * 50 * 4);
  EXPECT_EQ(cost(head).flop, 2.0 * 2 * 50 * 30);
  head.row_index = given<std::int32_t>();
  EXPECT_EQ(cost(head).bytes, 2 * 30 * 4 + 50 * 30 * 2 + 2 * 50 * 4 + 2 * 4);
  SampleParams sample;
  sample.rows = 2;
  sample.vocab = 70;
  const std::int64_t row = static_cast<std::int64_t>(sizeof(SampleRow));
  EXPECT_EQ(cost(sample).bytes, 2 * (70 * 4 + row + 4 * 4));
  sample.allowed = given<std::uint32_t>();
  sample.entropy = given<float>();
  EXPECT_EQ(cost(sample).bytes, 2 * (70 * 4 + row + 5 * 4 + 3 * 4));
}

// Floors that others state for these shapes, from the datasheet's 4.8 TB/s and 989 and 1979 TF.
TEST(Cost, FloorsOfThePublishedShapes) {
  SparseMlaParams prefill;
  prefill.tokens = 4096;
  prefill.heads = 128;
  prefill.c = 512;
  prefill.r = 64;
  prefill.k = 2048;
  EXPECT_NEAR(cost(prefill, 4096 * 2048, 32768).flop / 989e12, 2.36e-3, 0.01e-3);
  IndexLogitsPagedParams paged;
  paged.tokens = 64;
  paged.heads = 64;
  paged.dim = 128;
  paged.columns = 65536;
  const Cost c = cost(paged, 64 * 65536, 64 * 65536);
  EXPECT_NEAR(static_cast<double>(c.bytes), 64.0 * 65536 * 136, 0.01 * 64 * 65536 * 136);
  EXPECT_EQ(c.flop, 16384.0 * 64 * 65536);
  TopkSelectParams topk;
  topk.rows = 8192;
  topk.k = 2048;
  EXPECT_NEAR(static_cast<double>(cost(topk, std::int64_t{8192} * 65536).bytes) / 4.8e12, 447e-6,
              20e-6);
  GemmParams one = gemm_params(DType::f8, DType::f8);
  one.rows = 1;
  one.cols = 7168;
  one.inner = 16384;
  EXPECT_NEAR(static_cast<double>(cost(one).bytes) / 4.8e12, 24.5e-6, 0.1e-6);
  one.cols = 24576;
  one.inner = 1536;
  EXPECT_NEAR(static_cast<double>(cost(one).bytes) / 4.8e12, 7.9e-6, 0.1e-6);
  GroupedGemmParams grouped;
  grouped.groups = 32;
  grouped.cols = 4096;
  grouped.inner = 7168;
  grouped.a_dtype = grouped.w_dtype = DType::f8;
  EXPECT_NEAR(static_cast<double>(cost(grouped, 32 * 20, 32).bytes) / 4.8e12, 198e-6, 4e-6);
  EXPECT_NEAR(cost(grouped, 32 * 20, 32).flop / 1979e12, 19e-6, 1e-6);
}

}  // namespace
}  // namespace seedbed::kernels::test
