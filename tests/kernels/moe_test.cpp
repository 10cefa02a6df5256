// moe_route, moe_permute, moe_unpermute: exact on every backend.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/kernels/support.h"

namespace seedbed::kernels::test {
namespace {

enum class Logits : std::uint8_t { normal, few_values, all_equal, extreme, nan };
enum class Bias : std::uint8_t { none, normal, negative, one_group };
struct RouteRow : Named {
  int tokens, experts, groups, topk_groups, topk;
  Logits logits = Logits::normal;
  Bias bias = Bias::normal;
  bool normalise = true, forced = false;
};
const std::vector<RouteRow> kRoutes = {
    {"published", 9, 256, 8, 4, 8},
    {"no_groups", 9, 64, 1, 1, 6},
    {"tiny_model", 40, 8, 2, 1, 2},
    {"odd", 5, 95, 5, 3, 7, Logits::normal, Bias::normal, false},
    {"one_expert_groups", 5, 12, 12, 5, 4},
    {"all_of_the_rest", 5, 16, 4, 2, 8},
    {"one", 1, 1, 1, 1, 1},
    {"ties", 30, 64, 8, 4, 8, Logits::few_values, Bias::none},
    {"all_equal", 3, 64, 8, 4, 8, Logits::all_equal, Bias::none},
    {"negative_bias", 20, 64, 8, 3, 8, Logits::normal, Bias::negative},
    {"negative_bias_ties", 20, 64, 8, 3, 8, Logits::few_values, Bias::negative},
    {"one_group_favoured", 20, 64, 8, 2, 8, Logits::normal, Bias::one_group},
    {"extreme", 20, 64, 8, 4, 8, Logits::extreme, Bias::none},
    {"nan", 20, 64, 8, 4, 8, Logits::nan, Bias::none},
    {"forced", 20, 64, 8, 4, 8, Logits::normal, Bias::normal, true, true},
    {"forced_not_normalised", 7, 16, 1, 1, 3, Logits::normal, Bias::normal, false, true},
    {"no_token", 0, 64, 8, 4, 8},
};

struct RouteInput {
  std::vector<float> logits, bias;
  std::vector<std::int32_t> forced;
  explicit RouteInput(const RouteRow& c) {
    Rng rng = stream(c.name);
    logits = normal(rng, std::int64_t{c.tokens} * c.experts, 2);
    bias = normal(rng, c.experts, 0.2F);
    for (float& x : logits) {
      if (c.logits == Logits::few_values) x = std::round(x / 2);
      if (c.logits == Logits::all_equal) x = 0.25F;
      if (c.logits == Logits::extreme) x *= rng.chance(1, 4) ? 1e4F : 40.0F;
      if (c.logits == Logits::nan && rng.chance(1, 6)) x = std::numeric_limits<float>::quiet_NaN();
    }
    for (int e = 0; e < c.experts; ++e) {
      float& b = bias[at(e)];
      if (c.bias == Bias::none) b = 0;
      if (c.bias == Bias::negative) b = -5 + (c.logits == Logits::few_values ? 0 : b);
      if (c.bias == Bias::one_group) b = e / (c.experts / c.groups) == 5 ? 10.0F : -1.0F;
    }
    for (int t = 0; t < c.tokens; ++t) {
      std::vector<std::int32_t> some = permutation(rng, c.experts);
      forced.insert(forced.end(), some.begin(), some.begin() + c.topk);
    }
  }
  Buffers run(const RouteRow& c, const Ops& ops, Pool* pool) const {
    Buffers out = {Buffer::of<std::int32_t>(std::int64_t{c.tokens} * c.topk),
                   Buffer::of<float>(std::int64_t{c.tokens} * c.topk)};
    ops.moe_route({.tokens = c.tokens,
                   .experts = c.experts,
                   .groups = c.groups,
                   .topk_groups = c.topk_groups,
                   .topk = c.topk,
                   .logits = logits.data(),
                   .bias = bias.data(),
                   .normalise = c.normalise,
                   .scale = 2.5F,
                   .forced = c.forced ? forced.data() : nullptr,
                   .ids = out[0].as<std::int32_t>(),
                   .weights = out[1].as<float>(),
                   .pool = pool});
    return out;
  }
};

class MoeRoute : public OpTest<RouteRow> {};
SEEDBED_ROWS(MoeRoute, RouteRow, kRoutes);

TEST_P(MoeRoute, GivesTheOraclesIdsAndWeights) {
  const RouteInput in(row());
  const Buffers got = same_on_any_pool(
      ops(), [&](const Ops& table, Pool* pool) { return in.run(row(), table, pool); });
  const Buffers want = in.run(row(), ref_ops(), nullptr);
  EXPECT_TRUE(exact(got[0], want[0])) << "ids";
  if (row().logits == Logits::nan)
    EXPECT_TRUE(close(got[1], want[1], Tolerance{})) << "weights";
  else
    EXPECT_TRUE(exact(got[1], want[1])) << "weights";
}

class EveryMoe : public EachBackend {};
SEEDBED_BACKENDS(EveryMoe);

// The gate by counting ranks, in double, without sorting: an expert's place is the number of
// experts in front of it.
TEST_P(EveryMoe, RoutesByTheRanksOfTheDefinition) {
  for (const RouteRow& c : kRoutes) {
    if (c.forced || c.logits == Logits::nan) continue;
    const RouteInput in(c);
    const Buffers out = in.run(c, ops(), nullptr);
    const int size = c.experts / c.groups;
    for (int t = 0; t < c.tokens; ++t) {
      std::vector<float> score, choice, group(at(c.groups));
      for (int e = 0; e < c.experts; ++e) {
        score.push_back(
            static_cast<float>(1 / (1 + std::exp(-double{in.logits[at(t * c.experts + e)]}))));
        choice.push_back(score.back() + in.bias[at(e)]);
      }
      const auto in_front = [](const std::vector<float>& of, int i, int begin, int end) {
        int count = 0;
        for (int j = begin; j < end; ++j)
          count += of[at(j)] > of[at(i)] || (of[at(j)] == of[at(i)] && j < i) ? 1 : 0;
        return count;
      };
      for (int e = 0; e < c.experts; ++e)
        if (in_front(choice, e, e / size * size, (e / size + 1) * size) < 2)
          group[at(e / size)] += choice[at(e)];
      std::vector<float> rest = choice;
      for (int e = 0; e < c.experts; ++e)
        if (in_front(group, e / size, 0, c.groups) >= c.topk_groups) rest[at(e)] = -1e30F;
      double sum = 0;
      for (int j = 0; j < c.topk; ++j)
        sum += double{score[at(out[0].view<std::int32_t>()[at(t * c.topk + j)])]};
      for (int j = 0; j < c.topk; ++j) {
        const std::int32_t id = out[0].view<std::int32_t>()[at(t * c.topk + j)];
        ASSERT_EQ(in_front(rest, id, 0, c.experts), j)
            << c.name << " token " << t << " expert " << id;
        const double weight = double{score[at(id)]} / (c.normalise ? sum + 1e-20 : 1.0) * 2.5;
        ASSERT_NEAR(double{out[1].view<float>()[at(t * c.topk + j)]}, weight, 1e-6 * weight + 1e-12)
            << c.name;
      }
    }
  }
}

TEST_P(EveryMoe, ForcedExpertsAreTakenAsTheyAre) {
  for (const RouteRow& c : kRoutes) {
    if (!c.forced) continue;
    const RouteInput in(c);
    const Buffers out = in.run(c, ops(), nullptr);
    EXPECT_TRUE(
        std::equal(in.forced.begin(), in.forced.end(), out[0].view<std::int32_t>().begin()));
  }
}

struct PermuteRow : Named {
  int tokens, topk, experts, dim;
  bool one_expert = false;
  bool shared = true;
};
const std::vector<PermuteRow> kPermutes = {{"some", 9, 2, 8, 95},
                                           {"many_experts", 3, 8, 256, 33},
                                           {"one_expert", 7, 2, 5, 64, true},
                                           {"one", 1, 1, 1, 1},
                                           {"no_token", 0, 2, 4, 16},
                                           {"wide", 33, 4, 16, 576},
                                           {"not_shared", 9, 3, 8, 129, false, false}};
class MoeMove : public OpTest<PermuteRow> {};
SEEDBED_ROWS(MoeMove, PermuteRow, kPermutes);

TEST_P(MoeMove, PermuteAndUnpermuteGiveTheOraclesBits) {
  const PermuteRow& c = row();
  Rng rng = stream(c.name);
  const std::int64_t choices = std::int64_t{c.tokens} * c.topk;
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < choices; ++i)
    ids.push_back(c.one_expert ? c.experts - 1
                               : static_cast<std::int32_t>(rng.below(at(c.experts))));
  const std::vector<float> x = normal(rng, std::int64_t{c.tokens} * c.dim),
                           weights = normal(rng, choices),
                           shared = normal(rng, std::int64_t{c.tokens} * c.dim);
  const auto run = [&](const Ops& ops, Pool* pool) {
    Buffers out = {Buffer::of<std::int32_t>(c.experts + 1), Buffer::of<std::int32_t>(choices),
                   Buffer::of<float>(choices * c.dim),
                   Buffer::of<float>(std::int64_t{c.tokens} * c.dim), Buffer::holding(shared)};
    ops.moe_permute({.tokens = c.tokens,
                     .topk = c.topk,
                     .experts = c.experts,
                     .dim = c.dim,
                     .ids = ids.data(),
                     .x = x.data(),
                     .offsets = out[0].as<std::int32_t>(),
                     .row_of = out[1].as<std::int32_t>(),
                     .out = out[2].as<float>(),
                     .pool = pool});
    MoeUnpermuteParams back{.tokens = c.tokens,
                            .topk = c.topk,
                            .dim = c.dim,
                            .y = out[2].as<float>(),
                            .row_of = out[1].as<std::int32_t>(),
                            .weights = weights.data(),
                            .shared = c.shared ? shared.data() : nullptr,
                            .out = out[3].as<float>(),
                            .pool = pool};
    ops.moe_unpermute(back);
    if (c.shared) {
      back.shared = back.out = out[4].as<float>();
      ops.moe_unpermute(back);
    }
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run), want = run(ref_ops(), nullptr);
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_TRUE(exact(got[i], want[i])) << "output " << i;
  if (c.shared) {
    EXPECT_TRUE(exact(got[4], got[3])) << "onto shared";
  }
}

TEST_P(EveryMoe, PermuteIsAStableSortAndUnpermuteAddsEachChoiceBack) {
  for (const PermuteRow& c : kPermutes) {
    Rng rng = stream(c.name, 1);
    const std::int32_t choices = c.tokens * c.topk;
    std::vector<std::int32_t> ids, offsets(at(c.experts + 1)), row_of(at(choices));
    for (std::int32_t i = 0; i < choices; ++i)
      ids.push_back(c.one_expert ? 0 : static_cast<std::int32_t>(rng.below(at(c.experts))));
    const std::vector<float> x = normal(rng, std::int64_t{c.tokens} * c.dim);
    std::vector<float> sorted(at(choices) * at(c.dim)), sum(x.size());
    ops().moe_permute({.tokens = c.tokens,
                       .topk = c.topk,
                       .experts = c.experts,
                       .dim = c.dim,
                       .ids = ids.data(),
                       .x = x.data(),
                       .offsets = offsets.data(),
                       .row_of = row_of.data(),
                       .out = sorted.data()});
    ASSERT_EQ(offsets[0], 0);
    ASSERT_EQ(offsets.back(), choices);
    std::vector<bool> taken(at(choices), false);
    for (std::int32_t i = 0; i < choices; ++i) {
      const std::int32_t to = row_of[at(i)];
      ASSERT_FALSE(taken[at(to)]);
      taken[at(to)] = true;
      ASSERT_GE(to, offsets[at(ids[at(i)])]);
      ASSERT_LT(to, offsets[at(ids[at(i)] + 1)]);
      ASSERT_EQ(std::memcmp(sorted.data() + at(to) * at(c.dim),
                            x.data() + at(i / c.topk) * at(c.dim), at(c.dim) * 4),
                0);
      for (std::int32_t j = 0; j < i; ++j)
        ASSERT_TRUE(ids[at(j)] != ids[at(i)] || row_of[at(j)] < to) << "stable";
    }
    const std::vector<float> ones(at(choices), 1.0F);
    ops().moe_unpermute({.tokens = c.tokens,
                         .topk = c.topk,
                         .dim = c.dim,
                         .y = sorted.data(),
                         .row_of = row_of.data(),
                         .weights = ones.data(),
                         .out = sum.data()});
    for (std::size_t i = 0; i < sum.size(); ++i)
      ASSERT_NEAR(sum[i], x[i] * static_cast<float>(c.topk), 1e-5);
  }
}

}  // namespace
}  // namespace seedbed::kernels::test
