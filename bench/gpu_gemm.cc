// The ceilings of the device, and gemm, grouped_gemm and lm_head at the published model's sizes.
// Names with _library let cuBLASLt take what it offers.
#include <stdexcept>
#include <string>

#include "bench/gpu_run.h"
#include "kernels/cuda/blas.h"

namespace seedbed::bench {
namespace {

using namespace seedbed::kernels;

struct Sizes {
  int rows, cols, inner;
};
std::string text(const Sizes& s) {
  return "m" + std::to_string(s.rows) + "_n" + std::to_string(s.cols) + "_k" +
         std::to_string(s.inner);
}

// Numbers of one dtype: f8 codes, bf16 or f32.
Array<std::byte> numbers(Bench& bench, DType dtype, std::int64_t count, std::uint64_t seed) {
  Array<std::byte> memory(count * bytes_of(dtype));
  if (dtype == DType::f8)
    bench.fill(seed).e4m3(reinterpret_cast<std::uint8_t*>(memory.get()), count, 60);
  else if (dtype == DType::bf16)
    bench.fill(seed).bf16(reinterpret_cast<std::uint16_t*>(memory.get()), count);
  else
    bench.fill(seed).f32(reinterpret_cast<float*>(memory.get()), count);
  return memory;
}
Array<float> scales(Bench& bench, std::int64_t rows, int channels, std::uint64_t seed) {
  Array<float> memory(rows * quant_blocks(channels));
  bench.fill(seed).scales(memory.get(), memory.count());
  return memory;
}

void gemm(Bench& bench, const Sizes& s, DType a_dtype, DType w_dtype, bool library) {
  const Array<std::byte> a = numbers(bench, a_dtype, std::int64_t{s.rows} * s.inner, 2),
                         w = numbers(bench, w_dtype, std::int64_t{s.cols} * s.inner, 3);
  const Array<float> a_scale = scales(bench, s.rows, s.inner, 4),
                     w_scale = scales(bench, quant_blocks(s.cols), s.inner, 5),
                     out(std::int64_t{s.rows} * s.cols);
  GemmParams p;
  p.rows = s.rows;
  p.cols = s.cols;
  p.inner = s.inner;
  p.a_dtype = a_dtype;
  p.w_dtype = w_dtype;
  p.a = a.get();
  p.a_scale = a_scale.get();
  p.w = w.get();
  p.w_scale = w_scale.get();
  p.out = out.get();
  (&cuda::here())->library_gemm = library;
  bench.measure({{"rows", s.rows}, {"cols", s.cols}, {"inner", s.inner}}, cost(p),
                [&] { cuda_ops()->gemm(p); });
}

// W_UK and W_UV: one small product a head, the heads side by side in a row of activations.
void heads(Bench& bench, const Sizes& s, bool library) {
  constexpr int kHeads = 128;
  const Array<std::byte> a = numbers(bench, DType::bf16, std::int64_t{kHeads} * s.rows * s.inner,
                                     2),
                         w = numbers(bench, DType::bf16, std::int64_t{kHeads} * s.cols * s.inner,
                                     3);
  const Array<float> out(std::int64_t{kHeads} * s.rows * s.cols);
  GemmParams p;
  p.rows = s.rows;
  p.cols = s.cols;
  p.inner = s.inner;
  p.a_dtype = p.w_dtype = DType::bf16;
  p.batch = kHeads;
  p.a = a.get();
  p.lda = std::int64_t{kHeads} * s.inner;
  p.a_step = s.inner;
  p.w = w.get();
  p.w_step = std::int64_t{s.cols} * s.inner;
  p.out = out.get();
  p.ldo = std::int64_t{kHeads} * s.cols;
  p.out_step = s.cols;
  (&cuda::here())->library_gemm = library;
  bench.measure({{"batch", kHeads}, {"rows", s.rows}, {"cols", s.cols}, {"inner", s.inner}},
                cost(p), [&] { cuda_ops()->gemm(p); });
}

void lm_head(Bench& bench, int rows) {
  constexpr int kVocab = 129280, kDim = 7168;
  const Array<std::byte> w = numbers(bench, DType::bf16, std::int64_t{kVocab} * kDim, 2);
  const Array<float> x(std::int64_t{rows} * kDim), out(std::int64_t{rows} * kVocab);
  bench.fill(3).f32(x.get(), x.count());
  LmHeadParams p;
  p.rows = rows;
  p.vocab = kVocab;
  p.dim = kDim;
  p.x = x.get();
  p.w = w.get();
  p.out = out.get();
  bench.measure({{"rows", rows}, {"vocab", kVocab}, {"dim", kDim}}, cost(p),
                [&] { cuda_ops()->lm_head(p); });
}

void grouped(Bench& bench, int groups, const Sizes& s) {  // s.rows in each group
  const std::int64_t rows = std::int64_t{groups} * s.rows, blocks = quant_blocks(s.inner);
  const std::int64_t w_count = std::int64_t{s.cols} * s.inner,
                     scale_count = quant_blocks(s.cols) * blocks;
  const Array<std::byte> a = numbers(bench, DType::f8, rows * s.inner, 2),
                         w = numbers(bench, DType::f8, groups * w_count, 3);
  const Array<float> a_scale = scales(bench, rows, s.inner, 4),
                     w_scale =
                         scales(bench, std::int64_t{groups} * quant_blocks(s.cols), s.inner, 5),
                     out(rows * s.cols);
  std::vector<const void*> w_at;
  std::vector<const float*> scale_at;
  for (int g = 0; g < groups; ++g) {
    w_at.push_back(w.get() + g * w_count);
    scale_at.push_back(w_scale.get() + g * scale_count);
  }
  const Array<const void*> w_list(w_at);
  const Array<const float*> scale_list(scale_at);
  const Array<std::int32_t> offsets(groups + 1);
  bench.fill().ramp(offsets.get(), groups + 1, 0, s.rows);
  GroupedGemmParams p;
  p.groups = groups;
  p.cols = s.cols;
  p.inner = s.inner;
  p.offsets = offsets.get();
  p.a_dtype = p.w_dtype = DType::f8;
  p.a = a.get();
  p.a_scale = a_scale.get();
  p.w = w_list.get();
  p.w_scale = scale_list.get();
  p.out = out.get();
  bench.measure({{"groups", groups}, {"rows", s.rows}, {"cols", s.cols}, {"inner", s.inner}},
                cost(p, rows, groups), [&] { cuda_ops()->grouped_gemm(p); });
}

void copy_ceiling(Bench& bench) {
  constexpr std::int64_t kBytes = std::int64_t{4} << 30;
  const Array<std::byte> from(kBytes), to(kBytes);
  bench.fill(2).f32(reinterpret_cast<float*>(from.get()), kBytes / 4);
  bench.measure({{"bytes", kBytes}}, {2 * kBytes, 0}, [&] {
    SEEDBED_BENCH_CUDA(cudaMemcpyAsync(to.get(), from.get(), static_cast<std::size_t>(kBytes),
                                       cudaMemcpyDeviceToDevice, bench.stream()));
  });
}
// What cuBLASLt gets out of a large product; f8 without scales, or with those of gemm.h.
void gemm_ceiling(Bench& bench, DType dtype, bool scaled) {
  constexpr int kSize = 8192;
  const Array<std::byte> a = numbers(bench, dtype, std::int64_t{kSize} * kSize, 2),
                         w = numbers(bench, dtype, std::int64_t{kSize} * kSize, 3);
  const Array<float> a_scale = scales(bench, kSize, kSize, 4),
                     w_scale = scales(bench, quant_blocks(kSize), kSize, 5),
                     out(std::int64_t{kSize} * kSize);
  LibraryProduct p;
  p.rows = p.cols = p.inner = kSize;
  p.lda = p.ldo = kSize;
  p.dtype = dtype;
  p.a = a.get();
  p.w = w.get();
  p.out = out.get();
  if (scaled) {
    p.a_scale = a_scale.get();  // as if [blocks, rows]
    p.w_scale = w_scale.get();
  }
  p.workspace = cuda::here().workspace;
  p.workspace_bytes = cuda::here().workspace_bytes;
  std::string why;
  if (cuda::library_name(why).empty()) return bench.skip(why);
  if (!cuda::library_offers(p)) return bench.skip("cuBLASLt refuses it on this device");
  GemmParams same;
  same.rows = same.cols = same.inner = kSize;
  same.a_dtype = same.w_dtype = dtype;
  bench.measure({{"rows", kSize}, {"cols", kSize}, {"inner", kSize}}, cost(same), [&] {
    if (!cuda::library_gemm(p)) throw std::runtime_error("cuBLASLt refused what it had offered");
  });
}

}  // namespace

void add_ceilings(std::vector<Case>& cases) {
  cases.push_back({"ceiling/copy", copy_ceiling});
  cases.push_back({"ceiling/bf16", [](Bench& b) { gemm_ceiling(b, DType::bf16, false); }});
  cases.push_back({"ceiling/fp8", [](Bench& b) { gemm_ceiling(b, DType::f8, false); }});
  cases.push_back({"ceiling/fp8_scaled", [](Bench& b) { gemm_ceiling(b, DType::f8, true); }});
}

void add_gemm_cases(std::vector<Case>& cases) {
  const auto add = [&](const std::string& what, const Sizes& s, DType a, DType w) {
    cases.push_back({what + "/" + text(s), [=](Bench& b) { gemm(b, s, a, w, false); }});
    if (s.rows >= kLibraryRows && a == w)
      cases.push_back({what + "_library/" + text(s), [=](Bench& b) { gemm(b, s, a, w, true); }});
  };
  struct Matrix {
    int cols, inner;
  };
  constexpr Matrix kMatrices[] = {{2112, 7168},  {576, 7168},  {24576, 1536}, {32768, 512},
                                  {7168, 16384}, {4096, 7168}, {7168, 2048}};
  for (const Matrix& of : kMatrices)
    for (const int rows : {1, 16, 128, 4096})
      add("gemm_f8", {rows, of.cols, of.inner}, DType::f8, DType::f8);
  add("gemm_bf16", {8192, 8192, 8192}, DType::bf16, DType::bf16);
  add("gemm_bf16", {1, 7168, 16384}, DType::bf16, DType::bf16);
  add("gemm_f32xbf16", {128, 256, 7168}, DType::f32, DType::bf16);  // the gate of experts
  for (const int rows : {1, 128, 4096})
    for (const Matrix& of : {Matrix{512, 128}, Matrix{128, 512}}) {
      const Sizes s{rows, of.cols, of.inner};
      cases.push_back({"gemm_heads/" + text(s), [=](Bench& b) { heads(b, s, false); }});
      if (rows >= kLibraryRows)
        cases.push_back({"gemm_heads_library/" + text(s), [=](Bench& b) { heads(b, s, true); }});
    }
  for (const int rows : {1, 64})
    cases.push_back({"lm_head/m" + std::to_string(rows), [=](Bench& b) { lm_head(b, rows); }});
  struct Grouped {
    int groups;
    Sizes sizes;
  };
  constexpr Grouped kGrouped[] = {
      {32, {20, 4096, 7168}},  {32, {20, 7168, 2048}},  {6, {20, 4096, 7168}},
      {6, {1024, 4096, 7168}}, {32, {192, 4096, 7168}}, {4, {8192, 4096, 4096}},
      {8, {4096, 6144, 7168}},
  };
  for (const Grouped& c : kGrouped)
    cases.push_back({"grouped_gemm/g" + std::to_string(c.groups) + "_" + text(c.sizes),
                     [=](Bench& b) { grouped(b, c.groups, c.sizes); }});
}

}  // namespace seedbed::bench
