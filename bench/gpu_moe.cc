// Routing to 8 of 256 experts, and the way there and back.
#include <string>

#include "bench/gpu_run.h"

namespace seedbed::bench {
namespace {

using namespace seedbed::kernels;

constexpr int kExperts = 256, kTopk = 8, kDim = 7168;

struct Routed {
  Array<float> logits, bias, weights;
  Array<std::int32_t> ids;
  MoeRouteParams params;
  Routed(Bench& bench, int tokens)
      : logits(std::int64_t{tokens} * kExperts),
        bias(kExperts),
        weights(std::int64_t{tokens} * kTopk),
        ids(std::int64_t{tokens} * kTopk) {
    bench.fill(2).f32(logits.get(), logits.count());
    bench.fill(3).f32(bias.get(), kExperts, 0.01F);
    params.tokens = tokens;
    params.experts = kExperts;
    params.groups = 8;
    params.topk_groups = 4;
    params.topk = kTopk;
    params.logits = logits.get();
    params.bias = bias.get();
    params.scale = 2.5F;
    params.ids = ids.get();
    params.weights = weights.get();
  }
};

void route(Bench& bench, int tokens) {
  const Routed routed(bench, tokens);
  bench.measure({{"tokens", tokens}, {"experts", kExperts}, {"topk", kTopk}}, cost(routed.params),
                [&] { cuda_ops()->moe_route(routed.params); });
}

void there_or_back(Bench& bench, int tokens, bool back) {
  const Routed routed(bench, tokens);
  cuda_ops()->moe_route(routed.params);
  const std::int64_t choices = std::int64_t{tokens} * kTopk;
  const Array<float> x(std::int64_t{tokens} * kDim), sorted(choices * kDim);
  const Array<std::int32_t> offsets(kExperts + 1), row_of(choices);
  bench.fill(4).f32(x.get(), x.count());
  MoePermuteParams there;
  there.tokens = tokens;
  there.topk = kTopk;
  there.experts = kExperts;
  there.dim = kDim;
  there.ids = routed.ids.get();
  there.x = x.get();
  there.offsets = offsets.get();
  there.row_of = row_of.get();
  there.out = sorted.get();
  const Shape shape = {{"tokens", tokens}, {"topk", kTopk}, {"dim", kDim}};
  if (!back) return bench.measure(shape, cost(there), [&] { cuda_ops()->moe_permute(there); });
  cuda_ops()->moe_permute(there);
  const Array<float> out(std::int64_t{tokens} * kDim);
  MoeUnpermuteParams p;
  p.tokens = tokens;
  p.topk = kTopk;
  p.dim = kDim;
  p.y = sorted.get();
  p.row_of = row_of.get();
  p.weights = routed.weights.get();
  p.shared = x.get();
  p.out = out.get();
  bench.measure(shape, cost(p), [&] { cuda_ops()->moe_unpermute(p); });
}

}  // namespace

void add_moe_cases(std::vector<Case>& cases) {
  for (const int tokens : {4096, 64}) {
    const std::string t = "/t" + std::to_string(tokens);
    cases.push_back({"moe_route" + t, [=](Bench& b) { route(b, tokens); }});
    cases.push_back({"moe_permute" + t, [=](Bench& b) { there_or_back(b, tokens, false); }});
    cases.push_back({"moe_unpermute" + t, [=](Bench& b) { there_or_back(b, tokens, true); }});
  }
}

}  // namespace seedbed::bench
