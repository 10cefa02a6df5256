#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/math.h"
#include "kernels/pool.h"
#include "kernels/ref/ops_here.h"

namespace seedbed::kernels::ref {

namespace {
constexpr float kNone = -std::numeric_limits<float>::infinity();

// The `count` best of values among those allowed, best first; ties: the lower index. NaN was made
// -inf.
std::vector<int> best(const std::vector<float>& values,
                      const std::vector<bool>& allowed,
                      int count) {
  std::vector<int> order;
  for (int i = 0; i < static_cast<int>(values.size()); ++i)
    if (allowed[static_cast<std::size_t>(i)]) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return values[static_cast<std::size_t>(a)] > values[static_cast<std::size_t>(b)];
  });
  KERNEL_CHECK(order.size() >= static_cast<std::size_t>(count), order.size(), count);
  order.resize(static_cast<std::size_t>(count));
  return order;
}

std::vector<int> choose(const MoeRouteParams& p, const std::vector<float>& score) {
  const int size = p.experts / p.groups;
  std::vector<float> choice, group_score;
  for (int e = 0; e < p.experts; ++e) {
    const float value = score[static_cast<std::size_t>(e)] + p.bias[e];
    choice.push_back(value == value ? value : kNone);
  }
  for (int g = 0; g < p.groups; ++g) {
    std::vector<float> members(choice.begin() + g * size, choice.begin() + (g + 1) * size);
    std::sort(members.begin(), members.end(), std::greater<>());
    group_score.push_back(size == 1 ? members[0] : members[0] + members[1]);
  }
  std::vector<bool> allowed(choice.size(), false);
  for (const int g : best(group_score, std::vector<bool>(group_score.size(), true), p.topk_groups))
    std::fill_n(allowed.begin() + g * size, size, true);
  return best(choice, allowed, p.topk);
}
}  // namespace

void moe_route(const MoeRouteParams& p) {
  KERNEL_CHECK(p.groups >= 1 && p.experts % p.groups == 0, p.experts, p.groups);
  for (std::int64_t t = 0; t < p.tokens; ++t) {
    std::vector<float> score;
    for (int e = 0; e < p.experts; ++e) score.push_back(sigmoid_exact(p.logits[t * p.experts + e]));
    const std::vector<int> ids =
        p.forced != nullptr ? std::vector<int>(p.forced + t * p.topk, p.forced + (t + 1) * p.topk)
                            : choose(p, score);
    float sum = 0;
    for (const int id : ids) {
      KERNEL_CHECK(id >= 0 && id < p.experts, id, p.experts);
      sum += score[static_cast<std::size_t>(id)];
    }
    for (std::int64_t j = 0; j < p.topk; ++j) {
      const int id = ids[static_cast<std::size_t>(j)];
      float weight = score[static_cast<std::size_t>(id)];
      if (p.normalise) weight /= sum + 1e-20F;
      p.ids[t * p.topk + j] = id;
      p.weights[t * p.topk + j] = weight * p.scale;
    }
  }
}

void moe_permute(const MoePermuteParams& p) {
  const std::int64_t choices = std::int64_t{p.tokens} * p.topk;
  std::int32_t row = 0;
  for (int e = 0; e < p.experts; ++e) {
    p.offsets[e] = row;
    for (std::int64_t i = 0; i < choices; ++i) {
      if (p.ids[i] != e) continue;
      for (std::int64_t d = 0; d < p.dim; ++d)
        p.out[std::int64_t{row} * p.dim + d] = p.x[i / p.topk * p.dim + d];
      p.row_of[i] = row++;
    }
  }
  p.offsets[p.experts] = row;
  KERNEL_CHECK(row == choices, row, choices);
}

void moe_unpermute(const MoeUnpermuteParams& p) {
  for (std::int64_t t = 0; t < p.tokens; ++t)
    for (std::int64_t d = 0; d < p.dim; ++d) {
      float sum = p.shared == nullptr ? 0.0F : p.shared[t * p.dim + d];
      for (std::int64_t j = t * p.topk; j < (t + 1) * p.topk; ++j) {
        const float product = p.weights[j] * p.y[std::int64_t{p.row_of[j]} * p.dim + d];
        sum += product;
      }
      p.out[t * p.dim + d] = sum;
    }
}

void silu_mul(const SiluMulParams& p) {
  for (std::int64_t i = 0; i < p.count; ++i) p.out[i] = silu_mul_exact(p.gate[i], p.up[i]);
}

}  // namespace seedbed::kernels::ref
