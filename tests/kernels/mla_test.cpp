// sparse_mla, dense_mla, dense_mha: FlashMLA's tolerances (abs 8e-4 or rel 3.01/128, 1 - cos <=
// 7e-6; f32 pages 1e-5), and bits that depend on a row's list alone.
#include <algorithm>
#include <cmath>

#include "tests/kernels/paged.h"

namespace seedbed::kernels::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

Tolerance out_tolerance(DType dtype) {
  return dtype == DType::f32 ? Tolerance{.abs = 1e-5, .rel = 1e-5, .cos = 1e-9}
                             : Tolerance{.abs = 8e-4, .rel = 3.01 / 128, .cos = 7e-6};
}
Tolerance lse_tolerance(DType dtype) {
  return dtype == DType::f32 ? Tolerance{.abs = 1e-5, .rel = 1e-5, .cos = 1e-9}
                             : Tolerance{.abs = 1e-6, .rel = 2.01 / 65536, .cos = 1e-6};
}

enum class List : std::uint8_t { valid, invalid_between, all_invalid, lengths };
struct MlaRow : Named {
  DType dtype;
  int tokens, heads, c, r, k;
  List list = List::valid;
  float q_scale = 1;
};
std::vector<MlaRow> mla_rows() {
  std::vector<MlaRow> rows;
  for (const DType dtype : {DType::f8, DType::bf16, DType::f32}) {
    const std::string d = name_of(dtype);
    rows.push_back({d + "_one", dtype, 1, 1, 8, 0, 1});
    rows.push_back({d + "_published", dtype, 2, 16, 512, 64, 320});
    rows.push_back({d + "_many_heads", dtype, 1, 128, 512, 64, 70});
    rows.push_back({d + "_tiny_model", dtype, 5, 8, 64, 16, 95});
    rows.push_back({d + "_ragged", dtype, 3, 3, 129, 7, 130});
    rows.push_back({d + "_split_edge", dtype, 2, 4, 64, 16, kMlaSplit});
    rows.push_back({d + "_split_and_one", dtype, 2, 4, 64, 16, kMlaSplit + 1});
    rows.push_back({d + "_three_splits", dtype, 2, 4, 96, 32, 2 * kMlaSplit + 77});
    rows.push_back({d + "_invalid_between", dtype, 4, 5, 64, 16, 300, List::invalid_between});
    rows.push_back({d + "_all_invalid", dtype, 3, 4, 64, 16, 70, List::all_invalid});
    rows.push_back({d + "_lengths", dtype, 9, 4, 64, 16, 300, List::lengths});
    rows.push_back({d + "_sharp", dtype, 3, 6, 64, 16, 400, List::valid, 60});
    rows.push_back({d + "_flat", dtype, 3, 6, 64, 16, 400, List::valid, 1e-4F});
    rows.push_back({d + "_no_token", dtype, 0, 4, 64, 16, 10});
  }
  return rows;
}

// Everything of one case but the pages: lists in terms of logical records, so that pages may move.
struct Mla {
  static constexpr std::int32_t kPages = 14;
  MlaRow c;
  std::vector<float> q, latent, key;
  std::vector<std::int32_t> records;  // per entry: a record below kPages * 64, or an invalid slot
  std::vector<std::int32_t> length;
  explicit Mla(const MlaRow& row) : c(row) {
    Rng rng = stream(c.name);
    q = normal(rng, std::int64_t{c.tokens} * c.heads * (c.c + c.r), c.q_scale);
    latent = normal(rng, std::int64_t{kPages} * kPageTokens * c.c);
    key = normal(rng, std::int64_t{kPages} * kPageTokens * c.r + 1);
    const std::int32_t wrong[] = {-1, kHuge, kPages * kPageTokens, -kHuge - 1, 1 << 28};
    const std::int32_t lengths[] = {0, 1, c.k - 1, c.k, 64, 65, 255, 256, 257};
    for (int t = 0; t < c.tokens; ++t) {
      std::vector<std::int32_t> some = permutation(rng, kPages * kPageTokens);
      for (int j = 0; j < c.k; ++j) {
        const bool bad =
            c.list == List::all_invalid ||
            (c.list == List::invalid_between && (rng.chance(1, 3) || (j >= 64 && j < 192)));
        records.push_back(bad ? wrong[rng.below(std::size(wrong))] : some[at(j)]);
      }
      length.push_back(std::min(c.k, lengths[t % 9]));
    }
  }
  bool valid(std::int32_t record) const { return record >= 0 && record < kPages * kPageTokens; }
  int used(int t) const { return c.list == List::lengths ? length[at(t)] : c.k; }
  // Where each record lies under the order of pages `order`.
  std::vector<std::int32_t> slots(std::uint64_t order) const {
    Rng rng = stream("order", order);
    const std::vector<std::int32_t> page = permutation(rng, kPages);
    std::vector<std::int32_t> slots = records;
    for (std::int32_t& slot : slots)
      if (valid(slot)) slot = page[at(slot / kPageTokens)] * kPageTokens + slot % kPageTokens;
    return slots;
  }
  // Pages where only what some list uses was written; all else is NaN.
  PageMemory memory(const std::vector<std::int32_t>& slots) const {
    PageMemory memory(c.dtype, kPages,
                      std::int64_t{kPageTokens} * kv_record_bytes(c.dtype, c.c, c.r), 52);
    for (int t = 0; t < c.tokens; ++t)
      for (int j = 0; j < used(t); ++j) {
        const std::int64_t record = records[at(t * c.k + j)];
        if (!valid(static_cast<std::int32_t>(record))) continue;
        ref_ops().kv_write({.tokens = 1,
                            .c = c.c,
                            .r = c.r,
                            .latent = latent.data() + record * c.c,
                            .latent_step = c.c,
                            .key = key.data() + record * c.r,
                            .key_step = c.r,
                            .slots = &slots[at(t * c.k + j)],
                            .pages = memory.pages()});
      }
    return memory;
  }
  float scale() const { return 1 / std::sqrt(static_cast<float>(c.c + c.r)); }
  Buffers run(const Ops& ops,
              Pool* pool,
              PageMemory& memory,
              const std::vector<std::int32_t>& slots,
              int first,
              int count) const {
    Buffers out = {Buffer::of<float>(std::int64_t{count} * c.heads * c.c),
                   Buffer::of<float>(std::int64_t{count} * c.heads)};
    ops.sparse_mla({.tokens = count,
                    .heads = c.heads,
                    .c = c.c,
                    .r = c.r,
                    .k = c.k,
                    .q = q.data() + std::int64_t{first} * c.heads * (c.c + c.r),
                    .scale = scale(),
                    .pages = memory.pages(),
                    .slots = slots.data() + first * c.k,
                    .length = c.list == List::lengths ? length.data() + first : nullptr,
                    .out = out[0].as<float>(),
                    .lse = out[1].as<float>(),
                    .pool = pool});
    return out;
  }
};

class SparseMla : public OpTest<MlaRow> {};
SEEDBED_ROWS(SparseMla, MlaRow, mla_rows());

TEST_P(SparseMla, MatchesTheOracleForAnyOrderOfPagesAndAnyCompany) {
  const Mla mla(row());
  const MlaRow& c = row();
  const std::vector<std::int32_t> slots = mla.slots(0), moved_slots = mla.slots(1);
  PageMemory memory = mla.memory(slots), moved = mla.memory(moved_slots);
  const Buffers got = same_on_any_pool(ops(), [&](const Ops& table, Pool* pool) {
    return mla.run(table, pool, memory, slots, 0, c.tokens);
  });
  const Buffers permuted = mla.run(ops(), nullptr, moved, moved_slots, 0, c.tokens);
  for (int i : {0, 1}) EXPECT_TRUE(exact(permuted[at(i)], got[at(i)])) << "pages permuted";
  for (int t = 0; t < c.tokens; ++t) {
    const Buffers alone = mla.run(ops(), nullptr, memory, slots, t, 1);
    EXPECT_EQ(std::memcmp(alone[0].view<float>().data(),
                          got[0].view<float>().data() + t * c.heads * c.c, at(c.heads * c.c) * 4),
              0)
        << "row alone: " << t;
    EXPECT_EQ(std::memcmp(alone[1].view<float>().data(), got[1].view<float>().data() + t * c.heads,
                          at(c.heads) * 4),
              0)
        << "row alone: " << t;
  }
  const Buffers want = mla.run(ref_ops(), nullptr, memory, slots, 0, c.tokens);
  EXPECT_TRUE(close(got[0], want[0], out_tolerance(c.dtype)));
  EXPECT_TRUE(close(got[1], want[1], lse_tolerance(c.dtype))) << "lse";
}

struct DenseRow : Named {
  DType dtype;
  int heads, c, r;
  std::vector<std::int32_t> ends;
};
std::vector<DenseRow> dense_rows() {
  std::vector<DenseRow> rows;
  for (const DType dtype : {DType::f8, DType::bf16, DType::f32}) {
    const std::string d = name_of(dtype);
    rows.push_back({d + "_published", dtype, 16, 512, 64, {70, 3, 129}});
    rows.push_back({d + "_tiny_model", dtype, 8, 64, 16, {0, 1, 63, 64, 65, 255, 256, 257, 600}});
    rows.push_back({d + "_ragged", dtype, 3, 95, 5, {95, 1, 129}});
  }
  return rows;
}
class DenseMla : public OpTest<DenseRow> {};
SEEDBED_ROWS(DenseMla, DenseRow, dense_rows());

TEST_P(DenseMla, HasTheBitsOfSparseMlaOverTheSameSlotsAndMatchesTheOracle) {
  const DenseRow& c = row();
  const int tokens = static_cast<int>(c.ends.size()),
            longest = *std::max_element(c.ends.begin(), c.ends.end());
  Rng rng = stream(c.name);
  const Table table(rng, 2, 10, 23);
  PageMemory memory(c.dtype, 23, std::int64_t{kPageTokens} * kv_record_bytes(c.dtype, c.c, c.r), 4);
  std::vector<std::int32_t> sequence, slots, visible(2, 0);
  for (int t = 0; t < tokens; ++t) {
    sequence.push_back(t % 2);
    visible[at(t % 2)] = std::max(visible[at(t % 2)], c.ends[at(t)]);
    for (int j = 0; j < longest; ++j) slots.push_back(table.slot(t % 2, j));
  }
  for (int s = 0; s < 2; ++s) {  // beyond what is visible: NaN
    const std::vector<float> latent = normal(rng, std::int64_t{longest} * c.c),
                             key = normal(rng, std::int64_t{longest} * c.r);
    std::vector<std::int32_t> to;
    for (int j = 0; j < visible[at(s)]; ++j) to.push_back(table.slot(s, j));
    ref_ops().kv_write({.tokens = visible[at(s)],
                        .c = c.c,
                        .r = c.r,
                        .latent = latent.data(),
                        .latent_step = c.c,
                        .key = key.data(),
                        .key_step = c.r,
                        .slots = to.data(),
                        .pages = memory.pages()});
  }
  const std::vector<float> q = normal(rng, std::int64_t{tokens} * c.heads * (c.c + c.r));
  const float scale = 1 / std::sqrt(static_cast<float>(c.c + c.r));
  const auto outputs = [&] {
    return Buffers{Buffer::of<float>(std::int64_t{tokens} * c.heads * c.c),
                   Buffer::of<float>(std::int64_t{tokens} * c.heads)};
  };
  const auto run = [&](const Ops& ops, Pool* pool) {
    Buffers out = outputs();
    ops.dense_mla({.tokens = tokens,
                   .heads = c.heads,
                   .c = c.c,
                   .r = c.r,
                   .q = q.data(),
                   .scale = scale,
                   .pages = memory.pages(),
                   .table = table.of(sequence),
                   .key_end = c.ends.data(),
                   .out = out[0].as<float>(),
                   .lse = out[1].as<float>(),
                   .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run);
  Buffers sparse = outputs();
  ops().sparse_mla({.tokens = tokens,
                    .heads = c.heads,
                    .c = c.c,
                    .r = c.r,
                    .k = longest,
                    .q = q.data(),
                    .scale = scale,
                    .pages = memory.pages(),
                    .slots = slots.data(),
                    .length = c.ends.data(),
                    .out = sparse[0].as<float>(),
                    .lse = sparse[1].as<float>()});
  for (int i : {0, 1}) EXPECT_TRUE(exact(got[at(i)], sparse[at(i)])) << "against sparse_mla";
  const Buffers want = run(ref_ops(), nullptr);
  EXPECT_TRUE(close(got[0], want[0], out_tolerance(c.dtype)));
  EXPECT_TRUE(close(got[1], want[1], lse_tolerance(c.dtype))) << "lse";
}

struct MhaRow : Named {
  int tokens, heads, qk_dim, v_dim, keys;
  bool selected;
};
const std::vector<MhaRow> kMhas = {{"all", 5, 3, 24, 16, 95, false},
                                   {"selected", 5, 3, 24, 16, 95, true},
                                   {"published_head", 2, 4, 192, 128, 129, false},
                                   {"one", 1, 1, 1, 1, 1, false},
                                   {"ragged_selected", 7, 2, 95, 33, 300, true},
                                   {"no_token", 0, 2, 8, 8, 4, false}};
class DenseMha : public OpTest<MhaRow> {};
SEEDBED_ROWS(DenseMha, MhaRow, kMhas);

TEST_P(DenseMha, MatchesTheOracle) {
  const MhaRow& c = row();
  Rng rng = stream(c.name);
  const std::vector<float> q = normal(rng, std::int64_t{c.tokens} * c.heads * c.qk_dim);
  std::vector<float> k = normal(rng, std::int64_t{c.keys} * c.heads * c.qk_dim),
                     v = normal(rng, std::int64_t{c.keys} * c.heads * c.v_dim);
  const int count = c.keys / 2 + 1;
  std::vector<std::int32_t> ends, selected;
  std::vector<bool> seen(at(c.keys), false);
  for (int t = 0; t < c.tokens; ++t) {
    ends.push_back(t == 1 ? 0 : static_cast<std::int32_t>(rng.below(at(c.keys)) + 1));
    std::vector<std::int32_t> some = permutation(rng, ends.back());
    some.resize(at(std::min(count, ends.back())));
    std::sort(some.begin(), some.end());
    if (!c.selected) some = permutation(rng, ends.back());
    for (const std::int32_t s : some) seen[at(s)] = true;
    some.resize(at(count), -1);
    selected.insert(selected.end(), some.begin(), some.end());
  }
  for (int s = 0; s < c.keys; ++s)
    if (!seen[at(s)]) {
      std::fill_n(k.begin() + s * c.heads * c.qk_dim, c.heads * c.qk_dim,
                  std::numeric_limits<float>::quiet_NaN());
      std::fill_n(v.begin() + s * c.heads * c.v_dim, c.heads * c.v_dim,
                  std::numeric_limits<float>::quiet_NaN());
    }
  const auto run = [&](const Ops& ops, Pool* pool) {
    Buffers out = {Buffer::of<float>(std::int64_t{c.tokens} * c.heads * c.v_dim)};
    ops.dense_mha({.tokens = c.tokens,
                   .heads = c.heads,
                   .qk_dim = c.qk_dim,
                   .v_dim = c.v_dim,
                   .keys = c.keys,
                   .q = q.data(),
                   .scale = 0.3F,
                   .k = k.data(),
                   .v = v.data(),
                   .key_end = ends.data(),
                   .selected = c.selected ? selected.data() : nullptr,
                   .selected_count = c.selected ? count : 0,
                   .out = out[0].as<float>(),
                   .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run);
  EXPECT_TRUE(
      close(got[0], run(ref_ops(), nullptr)[0], Tolerance{.abs = 1e-5, .rel = 1e-5, .cos = 1e-9}));
}

class EveryMla : public EachBackend {};
SEEDBED_BACKENDS(EveryMla);

TEST_P(EveryMla, NoValidEntryGivesZeroAndAnInfiniteLse) {
  for (const DType dtype : {DType::f8, DType::bf16, DType::f32}) {
    const Mla mla({"nothing", dtype, 3, 4, 64, 16, 70, List::all_invalid});
    const std::vector<std::int32_t> slots = mla.slots(0);
    PageMemory memory = mla.memory(slots);
    const Buffers got = mla.run(ops(), nullptr, memory, slots, 0, 3);
    for (const float x : got[0].view<float>()) ASSERT_EQ(x, 0.0F);
    for (const float x : got[1].view<float>()) ASSERT_EQ(x, kInf);
  }
}

TEST_P(EveryMla, OneEntryGivesItsLatentAndItsScore) {
  const Mla mla({"single", DType::f32, 1, 3, 64, 16, 1});
  const std::vector<std::int32_t> slots = mla.slots(0);
  PageMemory memory = mla.memory(slots);
  const Buffers got = mla.run(ops(), nullptr, memory, slots, 0, 1);
  const std::int64_t record = mla.records[0];
  for (int h = 0; h < 3; ++h) {
    double score = 0;
    for (int i = 0; i < 64; ++i) {
      score += double{mla.q[at(h * 80 + i)]} * double{mla.latent[at(record * 64 + i)]};
      ASSERT_EQ(got[0].view<float>()[at(h * 64 + i)], mla.latent[at(record * 64 + i)]);
    }
    for (int i = 0; i < 16; ++i)
      score += double{mla.q[at(h * 80 + 64 + i)]} * double{mla.key[at(record * 16 + i)]};
    EXPECT_NEAR(double{got[1].view<float>()[at(h)]}, score * double{mla.scale()}, 1e-5);
  }
}

TEST_P(EveryMla, EqualScoresGiveTheMeanAndTheLogOfTheCount) {
  Mla mla({"mean", DType::f32, 1, 2, 32, 8, 300});
  std::fill(mla.q.begin(), mla.q.end(), 0.0F);
  const std::vector<std::int32_t> slots = mla.slots(0);
  PageMemory memory = mla.memory(slots);
  const Buffers got = mla.run(ops(), nullptr, memory, slots, 0, 1);
  for (int i = 0; i < 32; ++i) {
    double mean = 0;
    for (const std::int64_t record : mla.records)
      mean += double{mla.latent[at(record * 32 + i)]} / 300;
    EXPECT_NEAR(double{got[0].view<float>()[at(i)]}, mean, 1e-6);
  }
  EXPECT_NEAR(double{got[1].view<float>()[0]}, std::log(300.0), 1e-5);
}

// The multi-head form over k = [latent | key], v = latent, equal for all heads, is the absorbed
// form itself.
TEST_P(EveryMla, MultiHeadFormEqualsAbsorbedForm) {
  const int tokens = 3, heads = 4, c = 64, r = 16, keys = 200;
  Rng rng = stream("forms");
  const std::vector<float> q = normal(rng, tokens * heads * (c + r)),
                           latent = normal(rng, keys * c), key = normal(rng, keys * r);
  PageMemory memory(DType::f32, 4, kPageTokens * (c + r) * 4, 0);
  const std::vector<std::int32_t> ids = {2, 0, 3, 1}, ends = {keys, 77, 1};
  std::vector<std::int32_t> slots;
  for (int s = 0; s < keys; ++s) slots.push_back(ids[at(s / 64)] * 64 + s % 64);
  ref_ops().kv_write({.tokens = keys,
                      .c = c,
                      .r = r,
                      .latent = latent.data(),
                      .latent_step = c,
                      .key = key.data(),
                      .key_step = r,
                      .slots = slots.data(),
                      .pages = memory.pages()});
  std::vector<float> k, v;
  for (int s = 0; s < keys; ++s)
    for (int h = 0; h < heads; ++h) {
      k.insert(k.end(), latent.begin() + s * c, latent.begin() + (s + 1) * c);
      k.insert(k.end(), key.begin() + s * r, key.begin() + (s + 1) * r);
      v.insert(v.end(), latent.begin() + s * c, latent.begin() + (s + 1) * c);
    }
  std::vector<float> absorbed(at(tokens * heads * c)), expanded(absorbed.size());
  ops().dense_mla({.tokens = tokens,
                   .heads = heads,
                   .c = c,
                   .r = r,
                   .q = q.data(),
                   .scale = 0.2F,
                   .pages = memory.pages(),
                   .table = {ids.data(), 4, nullptr},
                   .key_end = ends.data(),
                   .out = absorbed.data()});
  ops().dense_mha({.tokens = tokens,
                   .heads = heads,
                   .qk_dim = c + r,
                   .v_dim = c,
                   .keys = keys,
                   .q = q.data(),
                   .scale = 0.2F,
                   .k = k.data(),
                   .v = v.data(),
                   .key_end = ends.data(),
                   .out = expanded.data()});
  EXPECT_TRUE(close(absorbed, expanded, Tolerance{.abs = 1e-5, .rel = 1e-5, .cos = 1e-9}));
}

}  // namespace
}  // namespace seedbed::kernels::test
