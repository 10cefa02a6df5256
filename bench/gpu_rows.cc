// The ops that move and rewrite rows, at 4096 tokens of the published model, and sampling.
#include <string>

#include "bench/gpu_run.h"
#include "kernels/cuda/fused.h"

namespace seedbed::bench {
namespace {

using namespace seedbed::kernels;

constexpr int kDim = 7168, kHeads = 128, kIndexHeads = 64, kIndexDim = 128;

void rms_norm(Bench& bench, int rows, bool with_residual) {
  const std::int64_t count = std::int64_t{rows} * kDim;
  const Array<float> x(count), residual(with_residual ? count : 0), weight(kDim), out(count);
  bench.fill(2).f32(x.get(), count);
  if (with_residual) bench.fill(3).f32(residual.get(), count);
  bench.fill(4).f32(weight.get(), kDim);
  RmsNormParams p;
  p.rows = rows;
  p.dim = kDim;
  p.x = x.get();
  p.residual = with_residual ? residual.get() : nullptr;
  p.weight = weight.get();
  p.out = out.get();
  p.ldx = p.ldo = kDim;
  bench.measure({{"rows", rows}, {"dim", kDim}, {"residual", with_residual ? 1 : 0}}, cost(p),
                [&] { cuda_ops()->rms_norm(p); });
}

void layer_norm(Bench& bench, int rows) {
  const std::int64_t count = std::int64_t{rows} * kIndexDim;
  const Array<float> x(count), weight(kIndexDim), bias(kIndexDim), out(count);
  bench.fill(2).f32(x.get(), count);
  bench.fill(3).f32(weight.get(), kIndexDim);
  bench.fill(4).f32(bias.get(), kIndexDim);
  LayerNormParams p;
  p.rows = rows;
  p.dim = kIndexDim;
  p.x = x.get();
  p.weight = weight.get();
  p.bias = bias.get();
  p.out = out.get();
  bench.measure({{"rows", rows}, {"dim", kIndexDim}}, cost(p), [&] { cuda_ops()->layer_norm(p); });
}

enum class Rounding { bf16, f8, hadamard };
void quantise(Bench& bench, Rounding kind, int rows, int dim) {
  const std::int64_t count = std::int64_t{rows} * dim;
  const Array<float> x(count), scale(std::int64_t{rows} * quant_blocks(dim));
  const Array<std::byte> out(2 * count);
  bench.fill(2).f32(x.get(), count);
  auto* codes = reinterpret_cast<std::uint8_t*>(out.get());
  const Shape shape = {{"rows", rows}, {"dim", dim}};
  if (kind == Rounding::bf16) {
    CastBf16Params p;
    p.rows = rows;
    p.dim = dim;
    p.x = x.get();
    p.out = reinterpret_cast<std::uint16_t*>(out.get());
    return bench.measure(shape, cost(p), [&] { cuda_ops()->cast_bf16(p); });
  }
  if (kind == Rounding::f8) {
    ActQuantParams p;
    p.rows = rows;
    p.dim = dim;
    p.x = x.get();
    p.out = codes;
    p.scale = scale.get();
    return bench.measure(shape, cost(p), [&] { cuda_ops()->act_quant(p); });
  }
  HadamardQuantParams p;
  p.rows = rows;
  p.dim = dim;
  p.x = x.get();
  p.out = codes;
  p.scale = scale.get();
  bench.measure(shape, cost(p), [&] { cuda_ops()->hadamard_quant(p); });
}

// Queries of attention: the last 64 of a head's 192 channels turn, in pairs.
void rope(Bench& bench, int tokens) {
  constexpr int kHead = 192, kTurned = 64;
  const Array<float> x(std::int64_t{tokens} * kHeads * kHead), turn(std::int64_t{tokens} * kTurned);
  bench.fill(2).f32(x.get(), x.count());
  // Done again and again in place: 0.8 and 0.6 leave lengths as they are.
  bench.fill().f32(turn.get(), turn.count() / 2, 0, 0.8F);
  bench.fill().f32(turn.get() + turn.count() / 2, turn.count() / 2, 0, 0.6F);
  RopeParams p;
  p.tokens = tokens;
  p.heads = kHeads;
  p.half = kTurned / 2;
  p.x = x.get() + kHead - kTurned;
  p.token_step = std::int64_t{kHeads} * kHead;
  p.head_step = kHead;
  p.cos = turn.get();
  p.sin = turn.get() + turn.count() / 2;
  bench.measure({{"tokens", tokens}, {"heads", kHeads}, {"half", p.half}}, cost(p),
                [&] { cuda_ops()->rope(p); });
}

void kv_write(Bench& bench, int tokens) {
  constexpr int kC = 512, kR = 64;
  const std::int64_t stride = std::int64_t{kPageTokens} * kv_record_bytes(DType::f8, kC, kR);
  const int pages = tokens / kPageTokens;
  const Array<std::byte> memory(stride * pages);
  const Array<float> latent(std::int64_t{tokens} * kC), key(std::int64_t{tokens} * kR);
  const Array<std::int32_t> slots(tokens);
  bench.fill(2).f32(latent.get(), latent.count());
  bench.fill(3).f32(key.get(), key.count());
  bench.fill().permutation(slots.get(), tokens);
  KvWriteParams p;
  p.tokens = tokens;
  p.c = kC;
  p.r = kR;
  p.latent = latent.get();
  p.latent_step = kC;
  p.key = key.get();
  p.key_step = kR;
  p.slots = slots.get();
  p.pages = {memory.get(), stride, pages, DType::f8};
  bench.measure({{"tokens", tokens}, {"c", kC}, {"r", kR}}, cost(p),
                [&] { cuda_ops()->kv_write(p); });
}

void index_write(Bench& bench, int tokens) {
  const std::int64_t stride = index_page_bytes(DType::f8, kIndexDim);
  const int pages = tokens / kPageTokens;
  const Array<std::byte> memory(stride * pages);
  const Array<std::uint8_t> k(std::int64_t{tokens} * kIndexDim);
  const Array<float> scale(tokens);
  const Array<std::int32_t> slots(tokens);
  bench.fill(2).e4m3(k.get(), k.count(), 60);
  bench.fill(3).scales(scale.get(), tokens);
  bench.fill().permutation(slots.get(), tokens);
  IndexWriteParams p;
  p.tokens = tokens;
  p.d = kIndexDim;
  p.k = k.get();
  p.scale = scale.get();
  p.slots = slots.get();
  p.pages = {memory.get(), stride, pages, DType::f8};
  bench.measure({{"tokens", tokens}, {"d", kIndexDim}}, cost(p),
                [&] { cuda_ops()->index_write(p); });
}

void embed(Bench& bench, int tokens) {
  constexpr int kVocab = 129280;
  const Array<std::uint16_t> table(std::int64_t{kVocab} * kDim);
  const Array<std::int32_t> ids(tokens);
  const Array<float> out(std::int64_t{tokens} * kDim);
  bench.fill(2).bf16(table.get(), table.count());
  bench.fill(3).below(ids.get(), tokens, kVocab);
  EmbedParams p;
  p.tokens = tokens;
  p.vocab = kVocab;
  p.dim = kDim;
  p.ids = ids.get();
  p.table = table.get();
  p.out = out.get();
  bench.measure({{"tokens", tokens}, {"dim", kDim}}, cost(p), [&] { cuda_ops()->embed(p); });
}

void copy_rows(Bench& bench, int rows, int dim, int gap) {
  const std::int64_t ldx = std::int64_t{dim} + gap;
  const Array<float> x(rows * ldx), out(std::int64_t{rows} * dim);
  bench.fill(2).f32(x.get(), x.count());
  CopyRowsParams p;
  p.rows = rows;
  p.dim = dim;
  p.x = x.get();
  p.ldx = ldx;
  p.out = out.get();
  p.ldo = dim;
  bench.measure({{"rows", rows}, {"dim", dim}, {"ldx", ldx}}, cost(p),
                [&] { cuda_ops()->copy_rows(p); });
}

void fold_weights(Bench& bench, int tokens) {
  const std::int64_t count = std::int64_t{tokens} * kIndexHeads;
  const Array<float> w(count), scale(count);
  bench.fill(2).f32(w.get(), count);
  bench.fill(3).f32(scale.get(), count, 0, 1);  // in place, again and again
  FoldWeightsParams p;
  p.count = count;
  p.w = w.get();
  p.scale = scale.get();
  bench.measure({{"count", count}}, cost(p), [&] { cuda_ops()->fold_weights(p); });
}

void silu_mul(Bench& bench, int tokens, int dim) {
  const std::int64_t count = std::int64_t{tokens} * dim;
  const Array<float> gate(count), up(count), out(count);
  bench.fill(2).f32(gate.get(), count);
  bench.fill(3).f32(up.get(), count);
  SiluMulParams p;
  p.count = count;
  p.gate = gate.get();
  p.up = up.get();
  p.out = out.get();
  bench.measure({{"tokens", tokens}, {"dim", dim}}, cost(p), [&] { cuda_ops()->silu_mul(p); });
}
// Its result is not written: only codes and scales count as bytes beside the two inputs.
void silu_mul_quant(Bench& bench, int tokens, int dim) {
  const std::int64_t count = std::int64_t{tokens} * dim, blocks = quant_blocks(dim);
  const Array<float> gate(count), up(count), between(count), scale(tokens * blocks);
  const Array<std::uint8_t> codes(count);
  bench.fill(2).f32(gate.get(), count);
  bench.fill(3).f32(up.get(), count);
  SiluMulParams p;
  p.count = count;
  p.gate = gate.get();
  p.up = up.get();
  p.out = between.get();
  ActQuantParams quant;
  quant.rows = tokens;
  quant.dim = dim;
  quant.x = between.get();
  quant.ldx = dim;
  quant.out = codes.get();
  quant.scale = scale.get();
  bench.measure({{"tokens", tokens}, {"dim", dim}}, {9 * count + 4 * tokens * blocks, 0},
                [&] { cuda::silu_mul_quant(p, quant); });
}

enum class Kept { all, top, masked };
void sample(Bench& bench, int rows, Kept kept) {
  constexpr int kVocab = 129280;
  const std::int64_t words = (kVocab + 31) / 32;
  const Array<float> logits(std::int64_t{rows} * kVocab), logprob(rows), raw(rows), entropy(rows);
  const Array<std::int32_t> id(rows), count(rows);
  const Array<std::uint32_t> allowed(kept == Kept::masked ? rows * words : 0);
  std::vector<SampleRow> how(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < how.size(); ++i) {
    how[i].sequence = i;
    if (kept == Kept::top) how[i].top_k = 64, how[i].top_p = 0.95;
  }
  const Array<SampleRow> row(how);
  bench.fill(2).f32(logits.get(), logits.count(), 3);
  if (kept == Kept::masked) bench.fill(3).bits(allowed.get(), allowed.count());
  SampleParams p;
  p.rows = rows;
  p.vocab = kVocab;
  p.logits = logits.get();
  p.row = row.get();
  p.allowed = kept == Kept::masked ? allowed.get() : nullptr;
  p.id = id.get();
  p.logprob = logprob.get();
  p.raw_logprob = raw.get();
  p.entropy = entropy.get();
  p.kept_count = count.get();
  bench.measure({{"rows", rows}, {"vocab", kVocab}}, cost(p), [&] { cuda_ops()->sample(p); });
}

}  // namespace

void add_row_cases(std::vector<Case>& cases) {
  constexpr int kTokens = 4096;
  const auto add = [&](const char* name, std::function<void(Bench&)> run) {
    cases.push_back({name, std::move(run)});
  };
  add("rms_norm/t4096", [](Bench& b) { rms_norm(b, kTokens, false); });
  add("rms_norm_residual/t4096", [](Bench& b) { rms_norm(b, kTokens, true); });
  add("rms_norm/t1", [](Bench& b) { rms_norm(b, 1, false); });
  add("layer_norm/t4096", [](Bench& b) { layer_norm(b, kTokens); });
  add("layer_norm/t262144", [](Bench& b) { layer_norm(b, 262144); });
  add("cast_bf16/t4096", [](Bench& b) { quantise(b, Rounding::bf16, kTokens, kDim); });
  add("act_quant/t4096", [](Bench& b) { quantise(b, Rounding::f8, kTokens, kDim); });
  add("hadamard_quant/t4096",
      [](Bench& b) { quantise(b, Rounding::hadamard, kTokens * kIndexHeads, kIndexDim); });
  add("rope/t4096", [](Bench& b) { rope(b, kTokens); });
  add("kv_write/t4096", [](Bench& b) { kv_write(b, kTokens); });
  add("kv_write/t131072", [](Bench& b) { kv_write(b, 131072); });
  add("index_write/t4096", [](Bench& b) { index_write(b, kTokens); });
  add("index_write/t524288", [](Bench& b) { index_write(b, 524288); });
  add("embed/t4096", [](Bench& b) { embed(b, kTokens); });
  add("copy_rows/t4096", [](Bench& b) { copy_rows(b, kTokens, 1536, 576); });
  add("fold_weights/t4096", [](Bench& b) { fold_weights(b, kTokens); });
  add("silu_mul/t4096", [](Bench& b) { silu_mul(b, kTokens, 18432); });
  add("silu_mul_quant/t4096", [](Bench& b) { silu_mul_quant(b, kTokens, 18432); });
  add("sample/r64", [](Bench& b) { sample(b, 64, Kept::all); });
  add("sample_top/r64", [](Bench& b) { sample(b, 64, Kept::top); });
  add("sample_masked/r64", [](Bench& b) { sample(b, 64, Kept::masked); });
  add("sample/r1", [](Bench& b) { sample(b, 1, Kept::all); });
}

}  // namespace seedbed::bench
