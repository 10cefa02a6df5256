// The attention ops of one model layer beside what this machine can do, measured in the same run:
// read bandwidth, bf16 dot products and f32 multiply-adds of one thread and of all. Every time is
// the best of many, each op's ceilings are taken again right beside it.
//   bench index_logits tokens=1 keys=65536 heads=16 dim=128 f8 threads=2 us=.. gflops=.. gbs=..
//   roof=..%
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/ops.h"
#include "kernels/pool.h"

namespace {

using namespace seedbed::kernels;

constexpr int kRounds = 40;

double now_us() {
  return std::chrono::duration<double, std::micro>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}
double best_us(int rounds, const std::function<void()>& work) {
  double best = 1e30;
  work();
  for (int i = 0; i < rounds; ++i) {
    const double begin = now_us();
    work();
    best = std::min(best, now_us() - begin);
  }
  return best;
}

// ---- what the machine can do -------------------------------------------------------------------

volatile float g_sink;

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bf16"))) float bf16_chain(int rounds) {
  __m512 sum[16];
  for (auto& x : sum) x = _mm512_setzero_ps();
  const auto a = reinterpret_cast<__m512bh>(_mm512_set1_epi32(rounds));
  for (int i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (auto& x : sum) x = _mm512_dpbf16_ps(x, a, a);
  }
  __m512 all = _mm512_setzero_ps();
  for (const auto& x : sum) all = all + x;
  return all[0];
}
__attribute__((target("avx2,fma"))) float fma_chain(int rounds) {
  __m256 sum[12];
  for (auto& x : sum) x = _mm256_setzero_ps();
  const __m256 a = _mm256_set1_ps(static_cast<float>(rounds));
  for (int i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (auto& x : sum) x = _mm256_fmadd_ps(a, a, x);
  }
  __m256 all = _mm256_setzero_ps();
  for (const auto& x : sum) all = all + x;
  return all[0];
}
__attribute__((target("avx2"))) float read_all(const std::byte* from, std::int64_t bytes) {
  __m256i sum[4] = {};
  for (std::int64_t i = 0; i < bytes; i += 128)
    for (int v = 0; v < 4; ++v)
      sum[v] ^= _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i + 32 * v));
  return static_cast<float>((sum[0] ^ sum[1] ^ sum[2] ^ sum[3])[0]);
}
#else
float read_all(const std::byte* from, std::int64_t bytes) {
  std::uint64_t sum = 0, x;
  for (std::int64_t i = 0; i < bytes; i += 8) {
    std::memcpy(&x, from + i, 8);
    sum ^= x;
  }
  return static_cast<float>(sum);
}
#endif

struct Roof {
  double bf16_gflops = 0, f32_gflops = 0, read_gbs = 0;
};

// All threads at once, each with the whole work.
double all_threads_us(Pool& pool, int rounds, const std::function<void()>& work) {
  return best_us(rounds, [&] {
    parallel_for(&pool, pool.threads(), 1, [&](std::int64_t begin, std::int64_t end) {
      for (; begin < end; ++begin) work();
    });
  });
}

Roof measure(Pool& pool, const std::vector<std::byte>& memory) {
  Roof roof;
#if defined(__x86_64__)
  constexpr int kChain = 20'000;
  if (isa_supported(Isa::avx512)) {
    const double us = all_threads_us(pool, kRounds, [] { g_sink = bf16_chain(kChain); });
    roof.bf16_gflops = pool.threads() * 64.0 * 16 * kChain / us / 1e3;
  }
  if (isa_supported(Isa::avx2)) {
    const double us = all_threads_us(pool, kRounds, [] { g_sink = fma_chain(kChain); });
    roof.f32_gflops = pool.threads() * 16.0 * 12 * kChain / us / 1e3;
  }
#endif
  const auto bytes = static_cast<std::int64_t>(memory.size());
  const std::int64_t piece = 1 << 20;
  const double us = best_us(8, [&] {
    parallel_for(&pool, bytes / piece, 1, [&](std::int64_t begin, std::int64_t end) {
      for (; begin < end; ++begin) g_sink = read_all(memory.data() + begin * piece, piece);
    });
  });
  roof.read_gbs = static_cast<double>(bytes / piece * piece) / us / 1e3;
  return roof;
}

// ---- inputs ------------------------------------------------------------------------------------

struct Random {
  std::mt19937_64 engine{1};
  std::normal_distribution<float> normal;
  float operator()() { return normal(engine); }
  int below(int n) { return static_cast<int>(engine() % static_cast<std::uint64_t>(n)); }
};

std::vector<std::int32_t> permutation(Random& random, int n) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = i;
  for (int i = n - 1; i > 0; --i)
    std::swap(order[static_cast<std::size_t>(i)],
              order[static_cast<std::size_t>(random.below(i + 1))]);
  return order;
}

// Finite e4m3 numbers with scales of 1/64 (index pages and latent records alike).
void fill_index_page(Random& random, std::byte* page, int dim) {
  for (int i = 0; i < kPageTokens * dim; ++i) page[i] = std::byte{f32_to_e4m3(random() * 60)};
  const float scale = 1.0F / 64;
  for (int i = 0; i < kPageTokens; ++i) std::memcpy(page + kPageTokens * dim + 4 * i, &scale, 4);
}

struct Run {
  const Ops& ops;
  Pool& pool;
  std::vector<std::byte> memory;  // for the read bandwidth
  std::string filter;
};

// ---- index_logits ------------------------------------------------------------------------------

void bench_index(Run& run, int tokens, int keys, int heads, int dim) {
  Random random;
  const int count = (keys + kPageTokens - 1) / kPageTokens;
  const std::int64_t stride = index_page_bytes(DType::f8, dim);
  std::vector<std::byte> pages(static_cast<std::size_t>(stride * count));
  fill_index_page(random, pages.data(), dim);
  for (int i = 1; i < count; ++i)
    std::memcpy(pages.data() + i * stride, pages.data(), static_cast<std::size_t>(stride));
  const auto table = permutation(random, count);
  std::vector<std::uint8_t> q(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(heads) *
                              static_cast<std::size_t>(dim));
  for (auto& x : q) x = f32_to_e4m3(random());
  std::vector<float> w(static_cast<std::size_t>(tokens * heads));
  for (auto& x : w) x = random();
  const std::vector<std::int32_t> end(static_cast<std::size_t>(tokens), keys);
  std::vector<float> out(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(keys));
  IndexLogitsPagedParams p;
  p.tokens = tokens;
  p.heads = heads;
  p.dim = dim;
  p.columns = keys;
  p.q = q.data();
  p.w = w.data();
  p.pages = {pages.data(), stride, count, DType::f8};
  p.table = {table.data(), count, nullptr};
  p.key_end = end.data();
  p.out = out.data();
  p.ldo = keys;
  p.pool = &run.pool;
  const Roof before = measure(run.pool, run.memory);
  const double us = best_us(kRounds, [&] { run.ops.index_logits_paged(p); });
  const Roof after = measure(run.pool, run.memory);
  const double peak = std::max(before.bf16_gflops, after.bf16_gflops);
  const double read = std::max(before.read_gbs, after.read_gbs);
  const double gflops = 2.0 * tokens * keys * heads * dim / us / 1e3;
  const double bytes = static_cast<double>(stride) * count;
  const double floor_us = bytes / read / 1e3 + 2.0 * tokens * keys * heads * dim / peak / 1e3;
  std::printf(
      "bench index_logits tokens=%d keys=%d heads=%d dim=%d f8 threads=%d us=%.1f gflops=%.0f "
      "gbs=%.2f bf16_peak=%.0f read_peak=%.1f roof=%.0f%% over_floor=%.2f\n",
      tokens, keys, heads, dim, run.pool.threads(), us, gflops, bytes / us / 1e3, peak, read,
      100 * gflops / peak, us / floor_us);
}

// ---- topk_select -------------------------------------------------------------------------------

void bench_topk(Run& run, int rows, int length, int k, const char* pattern) {
  Random random;
  std::vector<float> scores(static_cast<std::size_t>(rows) * static_cast<std::size_t>(length));
  const std::string kind = pattern;
  for (auto& x : scores) {
    x = random();
    if (kind == "relu") x = std::max(0.0F, x - 1.9F);
    if (kind == "quantised") x = std::round(x * 32) / 32;
    if (kind == "narrow") x = 1 + x * 1e-6F;
    if (kind == "zeros") x = 0;
  }
  const std::vector<std::int32_t> lengths(static_cast<std::size_t>(rows), length);
  std::vector<std::int32_t> out(static_cast<std::size_t>(rows) * static_cast<std::size_t>(k));
  TopkSelectParams p;
  p.rows = rows;
  p.k = k;
  p.scores = scores.data();
  p.lds = length;
  p.length = lengths.data();
  p.out = out.data();
  p.pool = &run.pool;
  const double us = best_us(kRounds * 5, [&] { run.ops.topk_select(p); });
  std::printf("bench topk_select rows=%d keys=%d k=%d %s threads=%d us=%.1f us_a_row=%.1f\n", rows,
              length, k, pattern, run.pool.threads(), us, us / rows);
}

// ---- sparse_mla --------------------------------------------------------------------------------

// Memory in huge pages, as a pool of pages should take it: scattered rows of a long context would
// otherwise cost a walk of the page tables each.
struct Huge {
  explicit Huge(std::size_t bytes) : size((bytes + kHuge - 1) / kHuge * kHuge) {
    data = static_cast<std::byte*>(std::aligned_alloc(kHuge, size));
    if (data == nullptr) std::abort();
    madvise(data, size, MADV_HUGEPAGE);
  }
  ~Huge() { std::free(data); }
  Huge(const Huge&) = delete;
  Huge& operator=(const Huge&) = delete;
  static constexpr std::size_t kHuge = std::size_t{2} << 20;
  std::size_t size;
  std::byte* data;
};

struct MlaInput {
  int heads = 16, c = 512, r = 64, k = 2048;
  std::int64_t stride = 0;
  int count = 0;
  std::unique_ptr<Huge> pages;
};

MlaInput mla_pages(Random& random, int context, int heads) {
  MlaInput x;
  x.heads = heads;
  const int bytes = kv_record_bytes(DType::f8, x.c, x.r);
  x.stride = std::int64_t{kPageTokens} * bytes;
  x.count = context / kPageTokens;
  std::vector<std::byte> record(static_cast<std::size_t>(bytes));
  for (int i = 0; i < x.c; ++i)
    record[static_cast<std::size_t>(i)] = std::byte{f32_to_e4m3(random() * 60)};
  for (int b = 0; b < quant_blocks(x.c); ++b) {
    const float scale = 1.0F / 64;
    std::memcpy(record.data() + x.c + 4 * b, &scale, 4);
  }
  for (int i = 0; i < x.r; ++i) {
    const std::uint16_t y = f32_to_bf16(random());
    std::memcpy(record.data() + x.c + 4 * quant_blocks(x.c) + 2 * i, &y, 2);
  }
  const auto size = static_cast<std::size_t>(x.stride * x.count);
  x.pages = std::make_unique<Huge>(size);
  for (std::size_t at = 0; at + record.size() <= size; at += record.size())
    std::memcpy(x.pages->data + at, record.data(), record.size());
  return x;
}

void bench_mla(Run& run, int tokens, int context, int heads) {
  Random random;
  const MlaInput x = mla_pages(random, context, heads);
  const auto wide = static_cast<std::size_t>(x.c + x.r);
  std::vector<float> q(static_cast<std::size_t>(tokens * heads) * wide);
  for (auto& y : q) y = random();
  // Another list each round, so that long contexts are met cold, as in a model.
  constexpr int kLists = 16;
  std::vector<std::int32_t> slots;
  for (int t = 0; t < tokens * kLists; ++t) {
    std::vector<std::int32_t> all = permutation(random, context);
    std::sort(all.begin(), all.begin() + x.k);
    slots.insert(slots.end(), all.begin(), all.begin() + x.k);
    if (context > (1 << 17) && t + 1 >= kLists) break;
  }
  std::vector<float> out(static_cast<std::size_t>(tokens * heads * x.c));
  SparseMlaParams p;
  p.tokens = tokens;
  p.heads = heads;
  p.c = x.c;
  p.r = x.r;
  p.k = x.k;
  p.q = q.data();
  p.scale = 0.05F;
  p.pages = {x.pages->data, x.stride, x.count, DType::f8};
  p.out = out.data();
  p.pool = &run.pool;
  const std::int64_t lists = static_cast<std::int64_t>(slots.size()) / (std::int64_t{tokens} * x.k);
  std::int64_t round = 0;
  const Roof before = measure(run.pool, run.memory);
  const double us = best_us(tokens > 1 ? kRounds / 2 : kRounds * 4, [&] {
    p.slots = slots.data() + round++ % lists * tokens * x.k;
    run.ops.sparse_mla(p);
  });
  const Roof after = measure(run.pool, run.memory);
  const double peak = std::max(before.f32_gflops, after.f32_gflops);
  const double gflops = 2.0 * tokens * heads * x.k * (2 * x.c + x.r) / us / 1e3;
  std::printf(
      "bench sparse_mla tokens=%d context=%d k=%d heads=%d c=%d r=%d f8 threads=%d us=%.1f "
      "gflops=%.0f f32_peak=%.0f roof=%.0f%%\n",
      tokens, context, x.k, heads, x.c, x.r, run.pool.threads(), us, gflops, peak,
      100 * gflops / peak);
}

bool wanted(const Run& run, const char* name) {
  return run.filter.empty() || run.filter == name;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 2
                          ? std::max(1, std::atoi(argv[2]))
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  Pool pool(threads), one(1);
  Run run{cpu_ops(), pool, std::vector<std::byte>(std::size_t{256} << 20), argc > 1 ? argv[1] : ""};
  if (run.filter == "all") run.filter.clear();
  for (std::size_t i = 0; i < run.memory.size(); i += 4096) run.memory[i] = std::byte{1};
  const Roof alone = measure(one, run.memory);
  const Roof all = measure(pool, run.memory);
  std::printf(
      "bench ceilings ops=%s threads=1 bf16_gflops=%.0f f32_gflops=%.0f read_gbs=%.1f\n"
      "bench ceilings ops=%s threads=%d bf16_gflops=%.0f f32_gflops=%.0f read_gbs=%.1f\n",
      run.ops.name, alone.bf16_gflops, alone.f32_gflops, alone.read_gbs, run.ops.name, threads,
      all.bf16_gflops, all.f32_gflops, all.read_gbs);
  if (wanted(run, "index_logits"))
    for (const int heads : {16, 32, 64})
      for (const int tokens : {1, 16}) bench_index(run, tokens, 65536, heads, 128);
  if (wanted(run, "topk_select"))
    for (const char* pattern : {"random", "relu", "quantised", "narrow", "zeros"}) {
      bench_topk(run, 1, 65536, 2048, pattern);
      bench_topk(run, 16, 65536, 2048, pattern);
    }
  if (wanted(run, "sparse_mla")) {
    for (const int context : {4096, 16384, 65536, 262144, 1048576}) bench_mla(run, 1, context, 16);
    bench_mla(run, 1, 65536, 128);
    bench_mla(run, 64, 65536, 16);
  }
  return 0;
}
