// Products by cuBLASLt, where Here::library_gemm allows them: what may go there, what it is given,
// and on a device that the results keep gemm's tolerance (not its promise about a row alone).
#include <cmath>
#include <string>
#include <vector>

#include "kernels/cuda/blas.h"
#include "tests/kernels/device.h"
#include "tests/kernels/support.h"

namespace seedbed::kernels::test {
namespace {

LibraryProduct suitable(DType dtype) {
  LibraryProduct p;
  p.rows = 131;
  p.cols = 256;
  p.inner = 640;
  p.dtype = dtype;
  p.lda = 640;
  p.ldo = 256;
  return p;  // null pointers are aligned
}

TEST(LibraryGemm, TakesManyRowsWhoseSizesSuitIt) {
  EXPECT_EQ(library_rows(suitable(DType::bf16)), 131);
  EXPECT_EQ(library_rows(suitable(DType::f8)), 128) << "whole fours; the rest is ours";
  EXPECT_EQ(library_rows(suitable(DType::f32)), 0);
  for (const DType dtype : {DType::bf16, DType::f8}) {
    const auto rows_with = [&](auto change) {
      LibraryProduct p = suitable(dtype);
      change(p);
      return library_rows(p);
    };
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.rows = kLibraryRows - 1; }), 0);
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.rows = kLibraryRows; }), kLibraryRows);
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.inner = 0; }), 0);
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.inner = 644; }), 0);
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.lda = 644; }), 0);
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.cols = 254; }), 0);
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.ldo = 258; }), 0);
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.a = reinterpret_cast<void*>(8); }), 0);
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.w = reinterpret_cast<void*>(24); }), 0);
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.out = reinterpret_cast<float*>(4); }), 0);
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.batch = 2, p.a_step = 4; }), 0);
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.batch = 2, p.w_step = 12; }), 0);
    EXPECT_EQ(rows_with([](LibraryProduct& p) { p.batch = 2, p.out_step = 2; }), 0);
  }
  EXPECT_EQ(library_scale_step(1), 4);
  EXPECT_EQ(library_scale_step(512), 4);
  EXPECT_EQ(library_scale_step(513), 8);
  EXPECT_EQ(library_scale_step(7168), 56);
}

#if defined(SEEDBED_WITH_SIMT)
TEST(LibraryGemm, ScalesAreLaidAsTheLibraryWantsThem) {
  constexpr int kRows = 68, kCols = 260, kInner = 600, kBlocks = 5, kStep = 8;
  std::vector<float> a(std::size_t{kRows} * kBlocks), w(std::size_t{3} * kBlocks);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i) + 1;
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = -static_cast<float>(i) - 1;
  Buffer a_out = Buffer::of<float>(kRows * kBlocks), w_out = Buffer::of<float>(3 * kStep);
  LibraryScales p{kRows, kCols, kInner, a.data(), w.data(), a_out.as<float>(), nullptr};
  const Buffer untouched = w_out;
  simt::lay_scales(p);
  EXPECT_TRUE(w_out == untouched);
  p.w_out = w_out.as<float>();
  simt::lay_scales(p);
  for (int row = 0; row < kRows; ++row)
    for (int block = 0; block < kBlocks; ++block)
      EXPECT_EQ(a_out.as<float>()[block * kRows + row],
                static_cast<float>(row * kBlocks + block + 1));
  for (int of = 0; of < 3; ++of)
    for (int block = 0; block < kStep; ++block)
      EXPECT_EQ(w_out.as<float>()[of * kStep + block],
                block < kBlocks ? -static_cast<float>(of * kBlocks + block + 1) : 0.0F);
}
#endif

#if defined(SEEDBED_WITH_CUDA)
struct LibraryRow : Named {
  DType dtype;
  int rows, cols, inner;
  int batch = 1;
  bool accumulate = false;
};
const LibraryRow kLibraryCases[] = {
    {{"bf16"}, DType::bf16, 128, 256, 512},
    {{"bf16_odd_rows"}, DType::bf16, 131, 264, 200},
    {{"bf16_accumulate"}, DType::bf16, 96, 128, 256, 1, true},
    {{"bf16_batch"}, DType::bf16, 80, 64, 128, 6},
    {{"f8"}, DType::f8, 128, 256, 512},
    {{"f8_rest_of_rows_and_blocks"}, DType::f8, 131, 260, 640},
    {{"f8_ragged_k"}, DType::f8, 64, 384, 720},
    {{"f8_accumulate"}, DType::f8, 68, 576, 1024, 1, true},
    {{"f8_one_block"}, DType::f8, 72, 2112, 128},
};
class LibraryProducts : public testing::TestWithParam<LibraryRow> {};
INSTANTIATE_TEST_SUITE_P(Table,
                         LibraryProducts,
                         testing::ValuesIn(kLibraryCases),
                         [](const testing::TestParamInfo<LibraryRow>& row) {
                           return row.param.name + "_cuda";
                         });

template <class T>
T* aligned(Buffer& buffer) {
  const auto address = reinterpret_cast<std::uintptr_t>(buffer.data());
  return reinterpret_cast<T*>(buffer.data() + (16 - address % 16) % 16);
}
template <class T>
Buffer holding_aligned(const std::vector<T>& values) {
  Buffer buffer(values.size() * sizeof(T) + 16);
  std::memcpy(aligned<T>(buffer), values.data(), values.size() * sizeof(T));
  return buffer;
}

TEST_P(LibraryProducts, KeepsTheToleranceOfTheOp) {
  const LibraryRow& c = GetParam();
  if (const std::string why = why_no_device(); !why.empty()) GTEST_SKIP() << why;
  if (std::string why; cuda::library_name(why).empty()) GTEST_SKIP() << why;
  Rng rng = stream("library_" + c.name);
  Buffer a = holding_aligned(
             encoded(c.dtype, normal(rng, std::int64_t{c.batch} * c.rows * c.inner))),
         w = holding_aligned(
             encoded(c.dtype, normal(rng, std::int64_t{c.batch} * c.cols * c.inner)));
  const int blocks = quant_blocks(c.inner);
  std::vector<float> a_scale, w_scale;
  for (int i = 0; i < c.rows * blocks; ++i)
    a_scale.push_back(std::ldexp(1.0F, static_cast<int>(rng.between(-6, 2))));
  for (int i = 0; i < quant_blocks(c.cols) * blocks; ++i)
    w_scale.push_back(std::ldexp(1.0F, static_cast<int>(rng.between(-4, 4))));
  const std::vector<float> before = normal(rng, std::int64_t{c.batch} * c.rows * c.cols, 10);
  const auto run = [&](const Ops& ops) {
    Buffer out = holding_aligned(before);
    ops.gemm({.rows = c.rows,
              .cols = c.cols,
              .inner = c.inner,
              .a_dtype = c.dtype,
              .w_dtype = c.dtype,
              .a = aligned<std::byte>(a),
              .a_scale = a_scale.data(),
              .w = aligned<std::byte>(w),
              .w_scale = w_scale.data(),
              .out = aligned<float>(out),
              .accumulate = c.accumulate,
              .batch = c.batch,
              .a_step = std::int64_t{c.rows} * c.inner,
              .w_step = std::int64_t{c.cols} * c.inner,
              .out_step = std::int64_t{c.rows} * c.cols});
    std::vector<float> values(before.size());
    std::memcpy(values.data(), aligned<float>(out), values.size() * sizeof(float));
    return values;
  };
  const Ops& ops = device_ops();
  Here* here = &cuda::here();
  const std::int64_t queued = cuda::library_products();
  const std::vector<float> ours = run(ops);
  EXPECT_EQ(cuda::library_products(), queued) << "it was not allowed";
  here->library_gemm = true;
  const std::vector<float> got = run(ops), again = run(ops);
  here->library_gemm = false;
  const bool asked = cuda::library_products() > queued;
  const std::vector<float> want = run(ref_ops());
  const Tolerance tolerance{.of_largest = 1e-4, .cos = 1e-6};
  EXPECT_TRUE(close(ours, want, tolerance));
  EXPECT_TRUE(close(got, want, tolerance));
  EXPECT_TRUE(got == again) << "two runs differ";
  EXPECT_TRUE(run(ops) == ours) << "the flag left something behind";
  if (c.dtype == DType::bf16) {
    EXPECT_TRUE(asked) << "the library refused bf16";
  } else if (!asked) {
    GTEST_SKIP() << "the library refused f8 with scales of blocks: our kernel ran";
  }
}

// Where the file lies on this machine it opens and has every function; a device is not needed.
TEST(LibraryGemm, OpensOrSaysWhyNot) {
  std::string why;
  const std::string name = cuda::library_name(why);
  EXPECT_EQ(name.empty(), !why.empty());
  EXPECT_TRUE(name.empty() || name.starts_with("cuBLASLt 1")) << name;
}
#endif

}  // namespace
}  // namespace seedbed::kernels::test
