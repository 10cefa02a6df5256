// index_logits, index_logits_paged, topk_select, map_slots: 64 heads of 128 channels, 2048 of up to
// 131,072 positions.
#include <algorithm>
#include <stdexcept>

#include "bench/gpu_run.h"

namespace seedbed::bench {
namespace {

using namespace seedbed::kernels;

constexpr int kHeads = 64, kDim = 128, kTopk = 2048;

// next_n rows look at each of `batch` sequences; their pages are mixed up.
void paged(Bench& bench, int batch, int context, int next_n) {
  const int pages = context / kPageTokens, count = batch * pages, tokens = batch * next_n;
  const std::int64_t stride = index_page_bytes(DType::f8, kDim);
  const Array<std::byte> memory(stride * count);
  const Array<std::int32_t> table(count), sequence(tokens), key_end(tokens);
  const Array<std::uint8_t> q(std::int64_t{tokens} * kHeads * kDim);
  const Array<float> w(std::int64_t{tokens} * kHeads), out(std::int64_t{tokens} * context);
  IndexLogitsPagedParams p;
  p.tokens = tokens;
  p.heads = kHeads;
  p.dim = kDim;
  p.columns = context;
  p.q = q.get();
  p.w = w.get();
  p.pages = {memory.get(), stride, count, DType::f8};
  p.table = {table.get(), pages, sequence.get()};
  p.key_end = key_end.get();
  p.out = out.get();
  p.ldo = context;
  bench.fill().index_pages(p.pages, kDim);
  bench.fill().permutation(table.get(), count);
  bench.fill().ramp(sequence.get(), tokens, 0, 1, next_n);
  bench.fill().ramp(key_end.get(), tokens, context, 0);
  bench.fill(2).e4m3(q.get(), q.count(), 60);
  bench.fill(3).f32(w.get(), w.count(), 0.01F);
  bench.measure({{"batch", batch},
                 {"context", context},
                 {"next_n", next_n},
                 {"heads", kHeads},
                 {"dim", kDim}},
                cost(p, std::int64_t{tokens} * context, std::int64_t{batch} * context),
                [&] { cuda_ops()->index_logits_paged(p); });
}

// The last `tokens` positions of a prompt: row t sees all before it.
void ragged(Bench& bench, int tokens, int keys) {
  const Array<std::uint8_t> q(std::int64_t{tokens} * kHeads * kDim), k(std::int64_t{keys} * kDim);
  const Array<float> w(std::int64_t{tokens} * kHeads), k_scale(keys),
      out(std::int64_t{tokens} * keys);
  const Array<std::int32_t> key_end(tokens);
  IndexLogitsParams p;
  p.tokens = tokens;
  p.heads = kHeads;
  p.dim = kDim;
  p.columns = keys;
  p.q = q.get();
  p.w = w.get();
  p.k = k.get();
  p.k_scale = k_scale.get();
  p.key_end = key_end.get();
  p.out = out.get();
  p.ldo = keys;
  bench.fill(2).e4m3(q.get(), q.count(), 60);
  bench.fill(3).e4m3(k.get(), k.count(), 60);
  bench.fill(4).f32(w.get(), w.count(), 0.01F);
  bench.fill(5).scales(k_scale.get(), k_scale.count());
  bench.fill().ramp(key_end.get(), tokens, keys - tokens + 1, 1);
  const std::int64_t pairs =
      std::int64_t{tokens} * (keys - tokens) + std::int64_t{tokens} * (tokens + 1) / 2;
  bench.measure({{"tokens", tokens}, {"keys", keys}, {"heads", kHeads}, {"dim", kDim}},
                cost(p, pairs), [&] { cuda_ops()->index_logits(p); });
}

enum class Scores { random, plateau };

// plateau: most scores are exactly 0, as sums of relu leave them, so that the last places go by
// index.
void topk(Bench& bench, int rows, int length, Scores kind, bool cold) {
  const Array<float> scores(std::int64_t{rows} * length);
  const Array<std::int32_t> lengths(rows), out(std::int64_t{rows} * kTopk),
      again(std::int64_t{rows} * kTopk);
  bench.fill(6).f32(scores.get(), scores.count());
  if (kind == Scores::plateau) bench.fill(6).f32(scores.get(), scores.count(), 1, 2.2F);
  bench.fill().ramp(lengths.get(), rows, length, 0);
  TopkSelectParams p;
  p.rows = rows;
  p.k = kTopk;
  p.scores = scores.get();
  p.lds = length;
  p.length = lengths.get();
  p.out = out.get();
  const Shape shape = {{"rows", rows},
                       {"length", length},
                       {"k", kTopk},
                       {"plateau", kind == Scores::plateau ? 1 : 0}};
  bench.measure(
      shape, cost(p, std::int64_t{rows} * length), [&] { cuda_ops()->topk_select(p); }, cold);
  p.out = again.get();
  cuda_ops()->topk_select(p);
  bench.wait();
  if (out.values() != again.values()) throw std::runtime_error("two runs chose other indices");
}

void map_slots(Bench& bench, int rows, int context) {
  const int pages = context / kPageTokens;
  const Array<std::int32_t> table(pages), positions(std::int64_t{rows} * kTopk),
      slots(std::int64_t{rows} * kTopk);
  bench.fill().permutation(table.get(), pages);
  bench.fill().below(positions.get(), positions.count(), context);
  MapSlotsParams p;
  p.rows = rows;
  p.k = kTopk;
  p.positions = positions.get();
  p.table = {table.get(), pages, nullptr};
  p.slots = slots.get();
  bench.measure({{"rows", rows}, {"k", kTopk}, {"context", context}}, cost(p),
                [&] { cuda_ops()->map_slots(p); });
}

}  // namespace

void add_index_cases(std::vector<Case>& cases) {
  const auto name = [](const char* what, int a, int b) {
    return std::string(what) + std::to_string(a) + "_l" + std::to_string(b / 1024) + "k";
  };
  struct Paged {
    int batch, context, next_n;
  };
  for (const Paged c : {Paged{64, 65536, 1}, Paged{64, 65536, 2}, Paged{8, 65536, 1},
                        Paged{1, 65536, 1}, Paged{64, 8192, 1}})
    cases.push_back({name("index_logits_paged/b", c.batch, c.context) +
                         (c.next_n > 1 ? "_n" + std::to_string(c.next_n) : ""),
                     [=](Bench& b) { paged(b, c.batch, c.context, c.next_n); }});
  for (const int keys : {65536, 8192})
    cases.push_back({name("index_logits/t", 8192, keys), [=](Bench& b) { ragged(b, 8192, keys); }});
  cases.push_back({name("index_logits/t", 2048, 65536), [](Bench& b) { ragged(b, 2048, 65536); }});
  for (const int rows : {64, 8192, 1})
    for (const Scores kind : {Scores::random, Scores::plateau})
      cases.push_back(
          {name("topk_select/r", rows, 65536) + (kind == Scores::plateau ? "_plateau" : ""),
           [=](Bench& b) { topk(b, rows, 65536, kind, true); }});
  cases.push_back({name("topk_select/r", 64, 65536) + "_warm",
                   [](Bench& b) { topk(b, 64, 65536, Scores::random, false); }});
  cases.push_back({name("topk_select/r", 32, 131072),
                   [](Bench& b) { topk(b, 32, 131072, Scores::random, true); }});
  cases.push_back({name("topk_select/r", 8192, 8192),
                   [](Bench& b) { topk(b, 8192, 8192, Scores::random, true); }});
  cases.push_back({name("map_slots/r", 4096, 65536), [](Bench& b) { map_slots(b, 4096, 65536); }});
}

}  // namespace seedbed::bench
