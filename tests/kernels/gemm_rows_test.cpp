// Products of every number of rows that has a path of its own, and e4m3 scales that are powers of
// two, are not, or are beyond what the kernels multiply into the numbers: each row's bits are those
// of the row alone, and the values are the oracle's.
#include <cmath>
#include <cstring>

#include "tests/kernels/support.h"

namespace seedbed::kernels::test {
namespace {

enum class Scales { powers, mixed, extreme };

struct Products {
  DType a_dtype, w_dtype;
  int rows, cols, inner;
  std::vector<std::byte> a, w;
  std::vector<float> a_scale, w_scale;

  Products(DType a_kind, DType w_kind, int m, int n, int k, Scales scales)
      : a_dtype(a_kind), w_dtype(w_kind), rows(m), cols(n), inner(k) {
    Rng rng = stream("gemm_rows", static_cast<std::uint64_t>(m + n * 100 + k));
    a = encoded(a_dtype, normal(rng, std::int64_t{m} * k));
    w = encoded(w_dtype, normal(rng, std::int64_t{n} * k));
    if (a_dtype != DType::f8) return;
    const int blocks = quant_blocks(k);
    const auto power = [&] { return std::ldexp(1.0F, static_cast<int>(rng.between(-8, 3))); };
    for (int r = 0; r < m; ++r)
      for (int q = 0; q < blocks; ++q) {
        a_scale.push_back(power());
        if (scales == Scales::mixed && r % 3 == 1 && q == 0) a_scale.back() *= 1.25F;
        if (scales == Scales::extreme && r % 3 == 1) a_scale.back() *= 0x1p-50F;
      }
    for (int c = 0; c < quant_blocks(n); ++c)
      for (int q = 0; q < blocks; ++q) {
        w_scale.push_back(power());
        if (scales == Scales::mixed && c % 2 == 1 && q == blocks - 1) w_scale.back() *= -1.0F;
        if (scales == Scales::extreme && c % 2 == 1) w_scale.back() *= 0x1p45F;
      }
  }
  [[nodiscard]] std::vector<float> run(const Ops& table, int first, int count, Pool* pool) const {
    std::vector<float> out(at(count) * at(cols), 7.0F);
    table.gemm({.rows = count,
                .cols = cols,
                .inner = inner,
                .a_dtype = a_dtype,
                .w_dtype = w_dtype,
                .a = a.data() + std::int64_t{first} * inner * bytes_of(a_dtype),
                .a_scale = a_scale.data() + std::ptrdiff_t{first} * quant_blocks(inner),
                .w = w.data(),
                .w_scale = w_scale.data(),
                .out = out.data(),
                .pool = pool});
    return out;
  }
};

std::vector<Products> products() {
  std::vector<Products> all;
  constexpr int kRows = 50;
  for (const auto& [n, k] : std::vector<std::pair<int, int>>{{13, 40}, {150, 300}, {140, 1100}}) {
    all.emplace_back(DType::f32, DType::f32, kRows, n, k, Scales::powers);
    all.emplace_back(DType::f32, DType::bf16, kRows, n, k, Scales::powers);
    all.emplace_back(DType::bf16, DType::bf16, kRows, n, k, Scales::powers);
    for (const Scales scales : {Scales::powers, Scales::mixed, Scales::extreme})
      all.emplace_back(DType::f8, DType::f8, kRows, n, k, scales);
  }
  return all;
}

class GemmRows : public EachBackend {};
SEEDBED_BACKENDS(GemmRows);

TEST_P(GemmRows, AnyNumberOfRowsHasTheBitsOfEachRowAlone) {
  for (const Products& p : products()) {
    std::vector<float> alone;
    for (int r = 0; r < p.rows; ++r) {
      const auto one = p.run(ops(), r, 1, nullptr);
      alone.insert(alone.end(), one.begin(), one.end());
    }
    for (int count = 2; count <= p.rows; ++count) {
      if (count > 37 && count < 42) continue;
      const int first = count % 2 == 0 ? 0 : p.rows - count;
      const auto together = p.run(ops(), first, count, pool_of(count % 3 == 0 ? 3 : 1));
      ASSERT_EQ(std::memcmp(together.data(), alone.data() + std::ptrdiff_t{first} * p.cols,
                            together.size() * sizeof(float)),
                0)
          << name_of(p.a_dtype) << " " << name_of(p.w_dtype) << " " << count << " rows from "
          << first << ", " << p.cols << " columns of " << p.inner;
    }
  }
}

TEST_P(GemmRows, ValuesAreTheOracles) {
  for (const Products& p : products())
    for (const int count : {1, 4, 5, 17, 33, 50}) {
      const auto got = p.run(ops(), 0, count, nullptr), want = p.run(ref_ops(), 0, count, nullptr);
      // Rows and blocks of columns have scales far apart: each is held to its own size.
      for (int r = 0; r < count; ++r)
        for (int begin = 0; begin < p.cols; begin += kQuantBlock) {
          double worst = 0, largest = 0;
          for (int c = begin; c < std::min(p.cols, begin + kQuantBlock); ++c) {
            const double x = got[at(r * p.cols + c)], y = want[at(r * p.cols + c)];
            worst = std::max(worst, std::isnan(x - y) ? 1e30 : std::abs(x - y));
            largest = std::max(largest, std::abs(y));
          }
          ASSERT_LE(worst, (p.w_dtype == DType::f32 ? 1e-5 : 1e-4) * largest)
              << name_of(p.a_dtype) << " " << name_of(p.w_dtype) << " row " << r << " of " << count
              << ", columns from " << begin << " of " << p.cols << ", inner " << p.inner;
        }
    }
}

TEST_P(GemmRows, AGroupHasTheBitsOfItsOwnProduct) {
  const std::vector<int> sizes = {1, 5, 0, 18, 2, 19, 4, 1};
  const Products p(DType::f8, DType::f8, 50, 150, 300, Scales::mixed);
  std::vector<std::int32_t> offsets = {0};
  for (const int size : sizes) offsets.push_back(offsets.back() + size);
  ASSERT_EQ(offsets.back(), p.rows);
  const std::vector<const void*> w(sizes.size(), p.w.data());
  const std::vector<const float*> w_scale(sizes.size(), p.w_scale.data());
  std::vector<float> out(at(p.rows * p.cols));
  for (const int threads : {1, 3}) {
    ops().grouped_gemm({.groups = static_cast<int>(sizes.size()),
                        .cols = p.cols,
                        .inner = p.inner,
                        .offsets = offsets.data(),
                        .a_dtype = p.a_dtype,
                        .w_dtype = p.w_dtype,
                        .a = p.a.data(),
                        .a_scale = p.a_scale.data(),
                        .w = w.data(),
                        .w_scale = w_scale.data(),
                        .out = out.data(),
                        .pool = pool_of(threads)});
    EXPECT_EQ(out, p.run(ops(), 0, p.rows, nullptr)) << threads << " threads";
  }
}

}  // namespace
}  // namespace seedbed::kernels::test
