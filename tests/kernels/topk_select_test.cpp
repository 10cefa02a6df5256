// topk_select and map_slots: one right answer, whatever the scores.
#include <algorithm>
#include <cmath>

#include "tests/kernels/paged.h"

namespace seedbed::kernels::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Scores {
  const char* name;
  float (*at)(Rng& rng, std::int64_t i, float normal);
};
const Scores kScores[] = {
    {"normal", [](Rng&, std::int64_t, float x) { return x; }},
    {"quantised", [](Rng&, std::int64_t, float x) { return std::round(x * 32) / 32; }},
    {"relu_plateau",
     [](Rng&, std::int64_t, float x) { return std::max(0.0F, std::round(x * 32) / 32 - 1); }},
    {"plateau_below", [](Rng&, std::int64_t, float x) { return std::min(0.0F, x); }},
    {"all_equal", [](Rng&, std::int64_t, float) { return 1.5F; }},
    {"signed_zeros", [](Rng& rng, std::int64_t, float) { return rng.chance(1, 2) ? 0.0F : -0.0F; }},
    {"all_minus_inf", [](Rng&, std::int64_t, float) { return -kInf; }},
    {"all_nan", [](Rng&, std::int64_t, float) { return kNan; }},
    {"some_minus_inf",
     [](Rng& rng, std::int64_t, float x) { return rng.chance(9, 10) ? -kInf : x; }},
    {"nan_inf_and_numbers",
     [](Rng& rng, std::int64_t, float x) {
       const float of[] = {kNan, -kNan, kInf, -kInf, x, -0.0F};
       return of[rng.below(6)];
     }},
    {"ascending", [](Rng&, std::int64_t i, float) { return static_cast<float>(i); }},
    {"descending", [](Rng&, std::int64_t i, float) { return static_cast<float>(-i); }},
    {"subnormal",
     [](Rng& rng, std::int64_t, float) { return static_cast<float>(rng.between(-9, 9)) * 1e-45F; }},
    {"one_bit_apart",
     [](Rng& rng, std::int64_t, float) {
       return 1.0F + static_cast<float>(rng.below(300)) * 0x1p-23F;
     }},
    {"wide_range",
     [](Rng& rng, std::int64_t, float x) {
       return std::ldexp(x, static_cast<int>(rng.between(-140, 120)));
     }},
    {"all_negative", [](Rng&, std::int64_t, float x) { return -1.0F - std::fabs(x); }},
};

struct TopkRow : Named {
  const Scores* scores;
  int k;
  std::int64_t lds;
  std::vector<std::int32_t> lengths;
};
std::vector<TopkRow> topk_rows() {
  std::vector<TopkRow> rows;
  for (const Scores& scores : kScores) {
    const std::string name = scores.name;
    rows.push_back({name + "_k64", &scores, 64, 1000, {0, 1, 63, 64, 65, 95, 129, 576, 1000}});
    rows.push_back({name + "_k2048", &scores, 2048, 9001, {9001, 2047, 2048, 2049, 7000}});
    rows.push_back({name + "_k1", &scores, 1, 77, {77, 0, 1, 2, 30}});
  }
  for (const int i : {0, 1, 2})
    rows.push_back({std::string(kScores[i].name) + "_long", &kScores[i], 2048, 131'072, {131'072}});
  rows.push_back({"normal_odd_k", &kScores[0], 95, 300, {300, 96, 95, 94}});
  rows.push_back({"normal_k_beyond", &kScores[0], 500, 129, {129, 7}});
  rows.push_back({"normal_no_row", &kScores[0], 8, 16, {}});
  return rows;
}
// Beyond a row's length stands what would win if it were looked at.
std::vector<float> scores_of(const TopkRow& c) {
  Rng rng = stream(c.name);
  const auto rows = static_cast<std::int64_t>(c.lengths.size());
  std::vector<float> scores = normal(rng, rows * c.lds);
  for (std::int64_t t = 0; t < rows; ++t)
    for (std::int64_t i = 0; i < c.lds; ++i) {
      float& score = scores[at(t * c.lds + i)];
      score = i < c.lengths[at(t)] ? c.scores->at(rng, i, score) : kInf;
    }
  return scores;
}

class Topk : public OpTest<TopkRow> {};
SEEDBED_ROWS(Topk, TopkRow, topk_rows());

TEST_P(Topk, GivesTheOraclesIndices) {
  const TopkRow& c = row();
  const std::vector<float> scores = scores_of(c);
  const auto run = [&](const Ops& table, Pool* pool) {
    Buffers out = {Buffer::of<std::int32_t>(static_cast<std::int64_t>(c.lengths.size()) * c.k)};
    table.topk_select({.rows = static_cast<int>(c.lengths.size()),
                       .k = c.k,
                       .scores = scores.data(),
                       .lds = c.lds,
                       .length = c.lengths.data(),
                       .out = out[0].as<std::int32_t>(),
                       .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run);
  EXPECT_TRUE(exact(got[0], run(ref_ops(), nullptr)[0]));
}

class EveryTopk : public EachBackend {};
SEEDBED_BACKENDS(EveryTopk);

// The rank of a score, by its definition in words.
bool better(float a, std::int32_t i, float b, std::int32_t j) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) == std::isnan(b) ? i < j : std::isnan(b);
  return a == b ? i < j : a > b;
}

TEST_P(EveryTopk, NothingLeftOutIsBetterThanAnythingChosen) {
  for (const TopkRow& c : topk_rows()) {
    if (c.k != 64 && c.k != 95) continue;
    const std::vector<float> scores = scores_of(c);
    std::vector<std::int32_t> out(c.lengths.size() * at(c.k), -7);
    ops().topk_select({.rows = static_cast<int>(c.lengths.size()),
                       .k = c.k,
                       .scores = scores.data(),
                       .lds = c.lds,
                       .length = c.lengths.data(),
                       .out = out.data()});
    for (std::size_t t = 0; t < c.lengths.size(); ++t) {
      const std::int32_t length = c.lengths[t];
      const float* row = scores.data() + t * at(c.lds);
      std::vector<bool> chosen(at(length), false);
      const std::int32_t* list = out.data() + t * at(c.k);
      std::int32_t worst = -1;
      for (std::int32_t j = 0; j < c.k; ++j) {
        ASSERT_EQ(list[j] < 0, j >= length) << c.name << " row " << t;
        if (list[j] < 0) {
          ASSERT_EQ(list[j], -1);
          continue;
        }
        ASSERT_LT(list[j], length) << c.name;
        ASSERT_TRUE(j == 0 || list[j] > list[j - 1]) << c.name << ": ascending";
        chosen[at(list[j])] = true;
        if (worst < 0 || better(row[worst], worst, row[list[j]], list[j])) worst = list[j];
      }
      for (std::int32_t i = 0; i < length; ++i)
        ASSERT_TRUE(chosen[at(i)] || better(row[worst], worst, row[i], i))
            << c.name << " row " << t << ": " << i << " was left out";
    }
  }
}

struct MapRow : Named {
  int rows, k;
  bool sequences;
};
const std::vector<MapRow> kMaps = {{"one_sequence", 5, 95, false},
                                   {"many_sequences", 17, 64, true},
                                   {"one", 1, 1, false},
                                   {"no_row", 0, 4, false}};
class MapSlots : public OpTest<MapRow> {};
SEEDBED_ROWS(MapSlots, MapRow, kMaps);

TEST_P(MapSlots, GivesTheOraclesSlotsAndThePageOfEachPosition) {
  const MapRow& c = row();
  Rng rng = stream(c.name);
  const Table pages(rng, 3, 10, 40);
  std::vector<std::int32_t> sequence, positions;
  for (int t = 0; t < c.rows; ++t)
    sequence.push_back(c.sequences ? static_cast<std::int32_t>(rng.below(3)) : 0);
  for (int i = 0; i < c.rows * c.k; ++i) {
    const std::int32_t wrong[] = {-1, -kHuge - 1, -2};
    positions.push_back(rng.chance(1, 5) ? wrong[rng.below(3)]
                                         : static_cast<std::int32_t>(rng.below(640)));
  }
  const std::vector<std::int32_t> listed = c.sequences ? sequence : std::vector<std::int32_t>{};
  const auto run = [&](const Ops& table, Pool* pool) {
    Buffers out = {Buffer::of<std::int32_t>(std::int64_t{c.rows} * c.k),
                   Buffer::holding(positions)};
    MapSlotsParams p{.rows = c.rows,
                     .k = c.k,
                     .positions = positions.data(),
                     .table = pages.of(listed),
                     .slots = out[0].as<std::int32_t>(),
                     .pool = pool};
    table.map_slots(p);
    p.positions = p.slots = out[1].as<std::int32_t>();
    table.map_slots(p);
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run);
  EXPECT_TRUE(exact(got[0], run(ref_ops(), nullptr)[0]));
  EXPECT_TRUE(exact(got[1], got[0])) << "in place";
  for (int i = 0; i < c.rows * c.k; ++i)
    ASSERT_EQ(got[0].view<std::int32_t>()[at(i)],
              positions[at(i)] < 0 ? -1 : pages.slot(sequence[at(i / c.k)], positions[at(i)]));
}

}  // namespace
}  // namespace seedbed::kernels::test
