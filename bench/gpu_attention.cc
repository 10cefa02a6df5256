// sparse_mla, dense_mla and dense_mha: latents of 512 and rotated keys of 64 channels, 2048 of the
// context.
#include <algorithm>
#include <string>

#include "bench/gpu_run.h"

namespace seedbed::bench {
namespace {

using namespace seedbed::kernels;

constexpr int kC = 512, kR = 64, kTopk = 2048;

struct Latents {  // of `sequences` sequences, their pages mixed up
  int sequences, context, pages;
  Array<std::byte> memory;
  Array<std::int32_t> table;
  Pages all;
  Latents(Bench& bench, int count, int length, DType dtype)
      : sequences(count),
        context(length),
        pages(length / kPageTokens),
        memory(std::int64_t{kPageTokens} * kv_record_bytes(dtype, kC, kR) * count * pages),
        table(std::int64_t{count} * pages) {
    all = {memory.get(), std::int64_t{kPageTokens} * kv_record_bytes(dtype, kC, kR), count * pages,
           dtype};
    bench.fill().latent_pages(all, kC, kR);
    bench.fill().permutation(table.get(), count * pages);
  }
};

struct Sparse {
  int sequences = 1, rows = 1;  // rows a sequence
  int context = 32768, heads = 128;
  DType dtype = DType::f8;
};

void sparse(Bench& bench, const Sparse& c) {
  const Latents latents(bench, c.sequences, c.context, c.dtype);
  const int tokens = c.sequences * c.rows;
  const Array<float> q(std::int64_t{tokens} * c.heads * (kC + kR)),
      out(std::int64_t{tokens} * c.heads * kC), lse(std::int64_t{tokens} * c.heads);
  const Array<std::int32_t> slots(std::int64_t{tokens} * kTopk);
  bench.fill(2).f32(q.get(), q.count());
  bench.fill(3).slot_lists(slots.get(), tokens, kTopk, c.context, latents.table.get(), c.rows);
  SparseMlaParams p;
  p.tokens = tokens;
  p.heads = c.heads;
  p.c = kC;
  p.r = kR;
  p.k = kTopk;
  p.q = q.get();
  p.scale = 0.0721687836F;  // (128 + 64)^-0.5
  p.pages = latents.all;
  p.slots = slots.get();
  p.out = out.get();
  p.lse = lse.get();
  const std::int64_t entries = std::int64_t{tokens} * std::min(kTopk, c.context);
  // One row names each record once. Several rows of a sequence leave hardly one of its records out.
  const std::int64_t records =
      c.rows == 1 ? entries : std::min(entries, std::int64_t{c.sequences} * c.context);
  bench.measure({{"sequences", c.sequences},
                 {"rows", c.rows},
                 {"context", c.context},
                 {"heads", c.heads},
                 {"k", kTopk},
                 {"record_bytes", kv_record_bytes(c.dtype, kC, kR)}},
                cost(p, entries, records), [&] { cuda_ops()->sparse_mla(p); });
}

void dense(Bench& bench, int sequences, int context, int heads) {
  const Latents latents(bench, sequences, context, DType::f8);
  const Array<float> q(std::int64_t{sequences} * heads * (kC + kR)),
      out(std::int64_t{sequences} * heads * kC), lse(std::int64_t{sequences} * heads);
  const Array<std::int32_t> sequence(sequences), key_end(sequences);
  bench.fill(2).f32(q.get(), q.count());
  bench.fill().ramp(sequence.get(), sequences, 0, 1);
  bench.fill().ramp(key_end.get(), sequences, context, 0);
  DenseMlaParams p;
  p.tokens = sequences;
  p.heads = heads;
  p.c = kC;
  p.r = kR;
  p.q = q.get();
  p.scale = 0.0721687836F;
  p.pages = latents.all;
  p.table = {latents.table.get(), latents.pages, sequence.get()};
  p.key_end = key_end.get();
  p.out = out.get();
  p.lse = lse.get();
  const std::int64_t entries = std::int64_t{sequences} * context;
  bench.measure({{"sequences", sequences}, {"context", context}, {"heads", heads}},
                cost(p, entries, entries), [&] { cuda_ops()->dense_mla(p); });
}

void mha(Bench& bench, int tokens, int heads) {
  constexpr int kQk = 192, kV = 128;
  const Array<float> q(std::int64_t{tokens} * heads * kQk), k(std::int64_t{tokens} * heads * kQk),
      v(std::int64_t{tokens} * heads * kV), out(std::int64_t{tokens} * heads * kV);
  const Array<std::int32_t> key_end(tokens);
  bench.fill(2).f32(q.get(), q.count());
  bench.fill(3).f32(k.get(), k.count());
  bench.fill(4).f32(v.get(), v.count());
  bench.fill().ramp(key_end.get(), tokens, 1, 1);
  DenseMhaParams p;
  p.tokens = tokens;
  p.heads = heads;
  p.qk_dim = kQk;
  p.v_dim = kV;
  p.keys = tokens;
  p.q = q.get();
  p.scale = 0.0721687836F;
  p.k = k.get();
  p.v = v.get();
  p.key_end = key_end.get();
  p.out = out.get();
  bench.measure({{"tokens", tokens}, {"heads", heads}, {"qk_dim", kQk}, {"v_dim", kV}},
                cost(p, std::int64_t{tokens} * (tokens + 1) / 2),
                [&] { cuda_ops()->dense_mha(p); });
}

std::string in_k(int n) {
  return std::to_string(n / 1024) + "k";
}
void add_decode(std::vector<Case>& cases, const Sparse& c) {
  cases.push_back({"sparse_mla/b" + std::to_string(c.sequences) + "_n" + std::to_string(c.rows) +
                       "_h" + std::to_string(c.heads) + "_l" + in_k(c.context) +
                       (c.dtype == DType::f8 ? "" : "_bf16"),
                   [=](Bench& b) { sparse(b, c); }});
}
// The longer context over the shorter, the same number of entries chosen.
void add_ratio(std::vector<Case>& cases, const std::string& longer, const std::string& shorter) {
  cases.push_back({"context_ratio/" + longer.substr(longer.find('/') + 1), [=](Bench& b) {
                     const double a = b.seconds(longer), c = b.seconds(shorter);
                     if (a > 0 && c > 0)
                       b.value("context_ratio/" + longer.substr(longer.find('/') + 1), a / c);
                     else
                       b.skip("needs " + longer + " and " + shorter);
                   }});
}

}  // namespace

void add_attention_cases(std::vector<Case>& cases) {
  add_decode(cases, {.sequences = 128, .rows = 1, .heads = 16});
  add_decode(cases, {.sequences = 128, .rows = 2, .heads = 128});
  add_decode(cases, {.sequences = 128, .rows = 1, .heads = 128});
  add_decode(cases, {.sequences = 1, .rows = 1, .heads = 128});
  add_decode(cases, {.sequences = 1, .rows = 4096, .heads = 128});
  add_decode(cases, {.sequences = 1, .rows = 4096, .heads = 128, .dtype = DType::bf16});
  add_decode(cases, {.sequences = 1, .rows = 4096, .context = 131072, .heads = 128});
  for (const int heads : {16, 128}) {
    add_decode(cases, {.sequences = 64, .rows = 1, .context = 4096, .heads = heads});
    add_decode(cases, {.sequences = 64, .rows = 1, .context = 65536, .heads = heads});
    const std::string h = "_h" + std::to_string(heads);
    add_ratio(cases, "sparse_mla/b64_n1" + h + "_l64k", "sparse_mla/b64_n1" + h + "_l4k");
  }
  add_decode(cases, {.sequences = 1, .rows = 4096, .context = 4096, .heads = 128});
  add_decode(cases, {.sequences = 1, .rows = 4096, .context = 65536, .heads = 128});
  add_ratio(cases, "sparse_mla/b1_n4096_h128_l64k", "sparse_mla/b1_n4096_h128_l4k");
  for (const int context : {2048, 131072})
    for (const int sequences : {1, 16})
      cases.push_back({"dense_mla/b" + std::to_string(sequences) + "_h128_l" + in_k(context),
                       [=](Bench& b) { dense(b, sequences, context, 128); }});
  cases.push_back({"dense_mha/t512_h128", [](Bench& b) { mha(b, 512, 128); }});
}

}  // namespace seedbed::bench
