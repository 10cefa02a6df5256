// Matrix products and activation rounding beside what the machine can do at most, both measured in
// this run: `bench gemm rows=1 cols=.. inner=.. dtype=f8 threads=2 us=.. gbs=.. roof=..%`. Few rows
// are held against the read bandwidth (weights come from memory: copies of them, several times the
// caches, take turns), many rows against the multiply rate. An argument keeps the cases whose line
// contains it; SEEDBED_CPU chooses the instruction set.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "bench/ceiling.h"

namespace {

using namespace seedbed::kernels;
using seedbed::bench::measure;
using seedbed::bench::Multiply;
using seedbed::bench::Times;

constexpr std::int64_t kMemoryBytes = 512 << 20, kPartBytes = 64 << 20;
constexpr int kFewRows = 16;  // up to here the time goes into reading the weights

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Memory = std::unique_ptr<std::byte, Free>;
Memory allocate(std::int64_t bytes) {
  return Memory(static_cast<std::byte*>(
      std::aligned_alloc(2 << 20, static_cast<std::size_t>((bytes + (2 << 20) - 1) >> 21 << 21))));
}

struct Ceilings {
  double read_gbs = 0, f32_gflops = 0, bf16_gflops = 0;
};
struct Bench {
  std::string filter;
  Memory weights;  // kMemoryBytes: read as e4m3, bf16 or f32, all of them ordinary numbers
  std::unique_ptr<Pool> pools[2];
  Ceilings ceilings[2];
};

struct Case {
  const char* op;  // gemm or lm_head
  int rows, cols, inner;
  DType a, w;
};

// Bytes 0x38..0x3f everywhere: 1 to 1.875 as e4m3, small positive numbers as bf16 and f32.
void fill(std::byte* p, std::int64_t bytes, std::uint32_t seed) {
  for (std::int64_t i = 0; i < bytes; ++i) {
    seed = seed * 1664525U + 1013904223U;
    p[i] = static_cast<std::byte>(0x38U + (seed >> 29));
  }
}

const char* dtype_name(DType a, DType w) {
  if (w == DType::f8) return "f8";
  if (w == DType::bf16) return a == DType::f32 ? "f32xbf16" : "bf16";
  return "f32";
}

double rate_of(const Bench& b, DType a, int threads) {
  const Ceilings& most = b.ceilings[threads - 1];
  return a == DType::f32 ? most.f32_gflops : most.bf16_gflops;
}

void run_gemm(const Bench& b, const Case& c, int threads) {
  char name[160];
  std::snprintf(name, sizeof name, "bench %s rows=%d cols=%d inner=%d dtype=%s threads=%d", c.op,
                c.rows, c.cols, c.inner, dtype_name(c.a, c.w), threads);
  if (std::string(name).find(b.filter) == std::string::npos) return;
  const std::int64_t w_bytes = std::int64_t{c.cols} * c.inner * bytes_of(c.w);
  const std::int64_t copies = c.rows <= kFewRows ? kMemoryBytes / w_bytes : 1;
  const std::int64_t a_bytes = std::int64_t{c.rows} * c.inner * bytes_of(c.a);
  const Memory a = allocate(a_bytes), out = allocate(std::int64_t{c.rows} * c.cols * 4);
  fill(a.get(), a_bytes, 7);
  const std::vector<float> a_scale(static_cast<std::size_t>(c.rows * quant_blocks(c.inner)), 0.5F);
  const std::vector<float> w_scale(
      static_cast<std::size_t>(quant_blocks(c.cols) * quant_blocks(c.inner)), 0.25F);
  GemmParams p{.rows = c.rows, .cols = c.cols, .inner = c.inner, .a_dtype = c.a, .w_dtype = c.w};
  p.a = a.get();
  p.a_scale = a_scale.data();
  p.w_scale = w_scale.data();
  p.out = reinterpret_cast<float*>(out.get());
  p.pool = b.pools[threads - 1].get();
  LmHeadParams head{.rows = c.rows, .vocab = c.cols, .dim = c.inner, .dtype = c.w};
  head.x = reinterpret_cast<const float*>(a.get());
  head.out = p.out;
  head.pool = p.pool;
  std::int64_t turn = 0;
  const bool is_head = std::string(c.op) == "lm_head";
  const auto call = [&] {
    p.w = head.w = b.weights.get() + turn++ % copies * w_bytes;
    is_head ? cpu_ops().lm_head(head) : cpu_ops().gemm(p);
  };
  const double flops = 2.0 * c.rows * c.cols * c.inner;
  if (c.rows <= kFewRows) {
    // Reads and products in turn: what else the machine does meanwhile slows both down alike.
    double read = 0;
    std::int64_t part = 0;
    const Times t = measure(12, 600e3, call, [&] {
      if (turn * w_bytes < kPartBytes * part) return;
      const std::int64_t streams = 1 << part % 3;
      // Half the memory away from the weights in turn: nothing of it is in a cache.
      const std::byte* at = b.weights.get() + (part++ + 4) * kPartBytes % kMemoryBytes;
      read = std::max(read, seedbed::bench::read_once_gbs(*p.pool, at, kPartBytes, streams));
    });
    const double gbs = static_cast<double>(w_bytes) / t.best_us / 1e3;
    std::printf("%s us=%.1f us_p50=%.1f gbs=%.2f read_gbs=%.2f roof=%.0f%%\n", name, t.best_us,
                t.p50_us, gbs, read, 100 * gbs / read);
    return;
  }
  const Times t = measure(12, 600e3, call);
  const double rate = rate_of(b, c.a, threads), gflops = flops / t.best_us / 1e3;
  std::printf("%s us=%.1f us_p50=%.1f gflops=%.1f rate_gflops=%.1f roof=%.0f%%\n", name, t.best_us,
              t.p50_us, gflops, rate, rate > 0 ? 100 * gflops / rate : 0);
}

// W_UK and W_UV: one small product a head.
void run_batched(const Bench& b, int rows, int cols, int inner, DType dtype, int threads) {
  constexpr int kHeads = 128;
  char name[160];
  std::snprintf(name, sizeof name,
                "bench gemm_batched batch=%d rows=%d cols=%d inner=%d dtype=%s threads=%d", kHeads,
                rows, cols, inner, dtype_name(dtype, dtype), threads);
  if (std::string(name).find(b.filter) == std::string::npos) return;
  const std::int64_t a_bytes = std::int64_t{rows} * kHeads * inner * bytes_of(dtype);
  const Memory a = allocate(a_bytes), out = allocate(std::int64_t{rows} * kHeads * cols * 4);
  fill(a.get(), a_bytes, 9);
  GemmParams p{.rows = rows, .cols = cols, .inner = inner, .a_dtype = dtype, .w_dtype = dtype};
  p.a = a.get();
  p.lda = std::int64_t{kHeads} * inner;
  p.a_step = inner;
  p.w = b.weights.get();
  p.w_step = std::int64_t{cols} * inner;
  p.out = reinterpret_cast<float*>(out.get());
  p.ldo = std::int64_t{kHeads} * cols;
  p.out_step = cols;
  p.batch = kHeads;
  p.pool = b.pools[threads - 1].get();
  const Times t = measure(6, 400e3, [&] { cpu_ops().gemm(p); });
  const double gflops = 2.0 * kHeads * rows * cols * inner / t.best_us / 1e3;
  const double rate = rate_of(b, dtype, threads);
  std::printf("%s us=%.1f us_p50=%.1f gflops=%.1f rate_gflops=%.1f roof=%.0f%%\n", name, t.best_us,
              t.p50_us, gflops, rate, rate > 0 ? 100 * gflops / rate : 0);
}

void run_quant(const Bench& b, int threads) {
  constexpr int kRows = 2048, kDim = 2560;
  const std::int64_t count = std::int64_t{kRows} * kDim;
  std::vector<float> x(static_cast<std::size_t>(count));
  std::uint32_t seed = 3;
  for (float& v : x) {
    seed = seed * 1664525U + 1013904223U;
    v = static_cast<float>(static_cast<std::int32_t>(seed)) * 0x1p-30F;
  }
  std::vector<std::uint16_t> half(static_cast<std::size_t>(count));
  std::vector<float> scale(static_cast<std::size_t>(count / kQuantBlock));
  auto* codes = reinterpret_cast<std::uint8_t*>(half.data());
  Pool* pool = b.pools[threads - 1].get();
  const auto line = [&](const char* op, int rows, int dim, const std::function<void()>& run) {
    char name[160];
    std::snprintf(name, sizeof name, "bench %s rows=%d dim=%d threads=%d", op, rows, dim, threads);
    if (std::string(name).find(b.filter) == std::string::npos) return;
    const Times t = measure(12, 200e3, run);
    const double gbs = 4.0 * rows * dim / t.best_us / 1e3;
    std::printf("%s us=%.1f us_p50=%.1f gbs=%.2f roof=%.0f%%\n", name, t.best_us, t.p50_us, gbs,
                100 * gbs / b.ceilings[threads - 1].read_gbs);
  };
  for (const int rows : {256, kRows}) {
    line("cast_bf16", rows, kDim, [&] {
      cpu_ops().cast_bf16(
          {.rows = rows, .dim = kDim, .x = x.data(), .out = half.data(), .pool = pool});
    });
    line("act_quant", rows, kDim, [&] {
      cpu_ops().act_quant({.rows = rows,
                           .dim = kDim,
                           .x = x.data(),
                           .out = codes,
                           .scale = scale.data(),
                           .pool = pool});
    });
    line("hadamard_quant", rows * 16, 128, [&] {
      cpu_ops().hadamard_quant({.rows = rows * 16,
                                .dim = 128,
                                .x = x.data(),
                                .out = codes,
                                .scale = scale.data(),
                                .pool = pool});
    });
  }
}

void find_ceilings(Bench& b) {
  for (int threads = 1; threads <= 2; ++threads) {
    Pool& pool = *b.pools[threads - 1];
    Ceilings& most = b.ceilings[threads - 1];
    most.read_gbs = seedbed::bench::read_gbs(pool, b.weights.get(), kMemoryBytes);
    most.f32_gflops = seedbed::bench::multiply_gflops(pool, Multiply::f32);
    most.bf16_gflops = seedbed::bench::multiply_gflops(pool, Multiply::bf16);
    std::printf("bench ceiling threads=%d read_gbs=%.2f f32_gflops=%.1f bf16_gflops=%.1f isa=%s\n",
                threads, most.read_gbs, most.f32_gflops, most.bf16_gflops,
                std::string(isa_name(chosen_isa())).c_str());
  }
}

constexpr DType kF32 = DType::f32, kBf16 = DType::bf16, kF8 = DType::f8;
constexpr Case kCases[] = {
    {"gemm", 1, 10240, 2560, kF8, kF8},       {"gemm", 1, 2560, 10240, kF8, kF8},
    {"gemm", 1, 4096, 512, kF8, kF8},         {"gemm", 1, 576, 2560, kF8, kF8},
    {"gemm", 4, 10240, 2560, kF8, kF8},       {"gemm", 8, 10240, 2560, kF8, kF8},
    {"gemm", 1, 10240, 2560, kBf16, kBf16},   {"gemm", 1, 2560, 10240, kBf16, kBf16},
    {"gemm", 1, 576, 2560, kBf16, kBf16},     {"gemm", 4, 10240, 2560, kBf16, kBf16},
    {"gemm", 8, 10240, 2560, kBf16, kBf16},   {"gemm", 1, 10240, 2560, kF32, kF32},
    {"gemm", 1, 10240, 2560, kF32, kBf16},    {"lm_head", 1, 32768, 2560, kF32, kBf16},
    {"lm_head", 4, 32768, 2560, kF32, kBf16}, {"gemm", 128, 10240, 2560, kF8, kF8},
    {"gemm", 512, 10240, 2560, kF8, kF8},     {"gemm", 128, 2560, 10240, kF8, kF8},
    {"gemm", 512, 2560, 10240, kF8, kF8},     {"gemm", 128, 4096, 512, kF8, kF8},
    {"gemm", 512, 4096, 512, kF8, kF8},       {"gemm", 128, 576, 2560, kF8, kF8},
    {"gemm", 512, 576, 2560, kF8, kF8},       {"gemm", 128, 10240, 2560, kBf16, kBf16},
    {"gemm", 512, 10240, 2560, kBf16, kBf16}, {"gemm", 128, 2560, 10240, kBf16, kBf16},
    {"gemm", 512, 2560, 10240, kBf16, kBf16}, {"gemm", 128, 4096, 512, kBf16, kBf16},
    {"gemm", 512, 4096, 512, kBf16, kBf16},   {"gemm", 128, 576, 2560, kBf16, kBf16},
    {"gemm", 512, 576, 2560, kBf16, kBf16},   {"gemm", 128, 2560, 2560, kF32, kF32},
    {"gemm", 512, 2560, 2560, kF32, kF32},    {"gemm", 512, 4096, 512, kF32, kF32},
    {"gemm", 512, 2560, 2560, kF32, kBf16},
};

}  // namespace

int main(int argc, char** argv) {
  Bench b;
  if (argc > 1) b.filter = argv[1];
  b.weights = allocate(kMemoryBytes);
  fill(b.weights.get(), kMemoryBytes, 1);
  for (int threads = 1; threads <= 2; ++threads)
    b.pools[threads - 1] = std::make_unique<Pool>(threads);
  find_ceilings(b);
  for (int threads = 1; threads <= 2; ++threads) {
    for (const Case& c : kCases) run_gemm(b, c, threads);
    for (const int rows : {1, 128, 512}) {
      run_batched(b, rows, 512, 128, kBf16, threads);
      run_batched(b, rows, 128, 512, kBf16, threads);
    }
    run_batched(b, 128, 512, 128, kF32, threads);
    run_quant(b, threads);
  }
  return 0;
}
