#include <cstring>

#include "kernels/cpu/ops_here.h"
#include "kernels/math.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {

namespace {
constexpr float kNone = -__builtin_inff();

// The index of the highest of values[begin, end) that is not marked as out, the lowest of equals;
// -1 where all are out. Values hold no NaN.
int highest(const float* values, const std::uint8_t* out, int begin, int end) {
  int best = -1;
  for (int i = begin; i < end; ++i)
    if (out[i] == 0 && (best < 0 || values[i] > values[best])) best = i;
  return best;
}

float group_score(const float* choice, int size) {
  if (size == 1) return choice[0];
  float first = choice[0], second = choice[1];
  if (second > first) first = choice[1], second = choice[0];
  for (int i = 2; i < size; ++i) {
    if (choice[i] > first) {
      second = first;
      first = choice[i];
    } else if (choice[i] > second) {
      second = choice[i];
    }
  }
  return first + second;
}

// Fills ids with the row's topk. `out` and `group_out` are marks, `choice` and `groups` numbers, an
// expert and a group each.
struct Room {
  float *choice, *groups;
  std::uint8_t *out, *group_out;
};
void choose(const MoeRouteParams& p, const float* score, const Room& room, std::int32_t* ids) {
  const int size = p.experts / p.groups;
  for (int e = 0; e < p.experts; ++e) {
    const float value = score[e] + p.bias[e];
    room.choice[e] = value == value ? value : kNone;
  }
  std::memset(room.out, p.groups == p.topk_groups ? 0 : 1, static_cast<std::size_t>(p.experts));
  if (p.groups != p.topk_groups) {
    for (int g = 0; g < p.groups; ++g) room.groups[g] = group_score(room.choice + g * size, size);
    std::memset(room.group_out, 0, static_cast<std::size_t>(p.groups));
    for (int j = 0; j < p.topk_groups; ++j) {
      const int g = highest(room.groups, room.group_out, 0, p.groups);
      room.group_out[g] = 1;
      std::memset(room.out + g * size, 0, static_cast<std::size_t>(size));
    }
  }
  for (int j = 0; j < p.topk; ++j) {
    ids[j] = highest(room.choice, room.out, 0, p.experts);
    room.out[ids[j]] = 1;
  }
}

void weigh(const MoeRouteParams& p, const float* score, const std::int32_t* ids, float* weights) {
  float sum = 0;
  for (int j = 0; j < p.topk; ++j) {
    KERNEL_CHECK(ids[j] >= 0 && ids[j] < p.experts, ids[j], p.experts);
    sum += score[ids[j]];
  }
  for (int j = 0; j < p.topk; ++j) {
    const float weight = p.normalise ? score[ids[j]] / (sum + 1e-20F) : score[ids[j]];
    weights[j] = weight * p.scale;
  }
}
}  // namespace

void moe_route(const MoeRouteParams& p) {
  KERNEL_CHECK(p.groups >= 1 && p.experts % p.groups == 0, p.experts, p.groups);
  KERNEL_CHECK(p.topk_groups >= 1 && p.topk_groups <= p.groups, p.topk_groups, p.groups);
  KERNEL_CHECK(p.topk <= p.experts / p.groups * p.topk_groups, p.topk, p.topk_groups);
  parallel_for(p.pool, p.tokens, 8, [&](std::int64_t begin, std::int64_t end) {
    const auto experts = static_cast<std::size_t>(p.experts);
    auto* score = static_cast<float*>(scratch(0, 4 * experts));
    auto* numbers = static_cast<float*>(scratch(1, 8 * experts));
    auto* marks = static_cast<std::uint8_t*>(scratch(2, 2 * experts));
    const Room room{numbers, numbers + experts, marks, marks + experts};
    for (std::int64_t t = begin; t < end; ++t) {
      const float* __restrict logits = p.logits + t * p.experts;
      for (int e = 0; e < p.experts; ++e) score[e] = sigmoid_exact(logits[e]);
      std::int32_t* ids = p.ids + t * p.topk;
      if (p.forced == nullptr)
        choose(p, score, room, ids);
      else
        std::memmove(ids, p.forced + t * p.topk, static_cast<std::size_t>(p.topk) * 4);
      weigh(p, score, ids, p.weights + t * p.topk);
    }
  });
}

void moe_permute(const MoePermuteParams& p) {
  const std::int64_t choices = std::int64_t{p.tokens} * p.topk;
  const std::size_t bytes = static_cast<std::size_t>(p.experts) * 4;
  std::memset(p.offsets, 0, bytes + 4);
  for (std::int64_t i = 0; i < choices; ++i) {
    KERNEL_CHECK(p.ids[i] >= 0 && p.ids[i] < p.experts, p.ids[i], p.experts);
    ++p.offsets[p.ids[i] + 1];
  }
  for (int e = 0; e < p.experts; ++e) p.offsets[e + 1] += p.offsets[e];
  auto* next = static_cast<std::int32_t*>(scratch(0, bytes));
  std::memcpy(next, p.offsets, bytes);
  for (std::int64_t i = 0; i < choices; ++i) p.row_of[i] = next[p.ids[i]]++;
  parallel_for(p.pool, choices, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      std::memcpy(p.out + std::int64_t{p.row_of[i]} * p.dim, p.x + i / p.topk * p.dim,
                  static_cast<std::size_t>(p.dim) * 4);
  });
}

void moe_unpermute(const MoeUnpermuteParams& p) {
  const std::size_t bytes = static_cast<std::size_t>(p.dim) * 4;
  parallel_for(p.pool, p.tokens, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      float* __restrict out = p.out + t * p.dim;
      if (p.shared == nullptr)
        std::memset(out, 0, bytes);
      else if (p.shared != p.out)
        std::memcpy(out, p.shared + t * p.dim, bytes);
      for (std::int64_t j = t * p.topk; j < (t + 1) * p.topk; ++j) {
        const float* __restrict y = p.y + std::int64_t{p.row_of[j]} * p.dim;
        const float weight = p.weights[j];
        for (int d = 0; d < p.dim; ++d) {
          const float product = weight * y[d];
          out[d] += product;
        }
      }
    }
  });
}

}  // namespace seedbed::kernels::SEEDBED_ISA
