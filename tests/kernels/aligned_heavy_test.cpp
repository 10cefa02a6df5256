// The products and the attention on memory aligned to 16 bytes and with the sizes that models have:
// the paths that a backend keeps for them, against the oracle, and bit for bit against the same
// numbers anywhere in memory and in any company.
#include <algorithm>
#include <array>
#include <cmath>

#include "tests/kernels/paged.h"

namespace seedbed::kernels::test {
namespace {

// A copy of bytes that begins `shift` bytes after a multiple of 16.
class Shifted {
 public:
  Shifted(const std::vector<std::byte>& bytes, std::size_t shift)
      : memory_(bytes.size() + 32), at_(0) {
    const auto base = reinterpret_cast<std::uintptr_t>(memory_.data());
    at_ = (16 - base % 16) % 16 + shift;
    std::copy(bytes.begin(), bytes.end(), memory_.begin() + static_cast<std::ptrdiff_t>(at_));
  }
  std::byte* data() { return memory_.data() + at_; }

 private:
  std::vector<std::byte> memory_;
  std::size_t at_;
};

bool same_bits(const float* x, const float* y, std::int64_t count) {
  return std::memcmp(x, y, at(count) * sizeof(float)) == 0;
}

// ---- products ----
struct Kinds {
  DType a, w;
};
constexpr Kinds kKinds[] = {{DType::f32, DType::f32},
                            {DType::f32, DType::bf16},
                            {DType::bf16, DType::bf16},
                            {DType::f8, DType::f8}};
Tolerance product_tolerance(DType w) {
  return w == DType::f32 ? Tolerance{.of_largest = 1e-5, .cos = 1e-9}
                         : Tolerance{.of_largest = 1e-4, .cos = 1e-6};
}

struct Operands {
  Kinds kinds;
  int rows, cols, inner;
  std::vector<std::byte> a, w;
  std::vector<float> a_scale, w_scale;
  Operands(Kinds k, int m, int n, int d) : kinds(k), rows(m), cols(n), inner(d) {
    Rng rng = stream("aligned_heavy", static_cast<std::uint64_t>(m * 1000 + n + d));
    a = encoded(k.a, normal(rng, std::int64_t{m} * d));
    w = encoded(k.w, normal(rng, std::int64_t{n} * d));
    const int blocks = quant_blocks(d);
    for (int i = 0; i < m * blocks; ++i)
      a_scale.push_back(std::ldexp(1.0F, static_cast<int>(rng.between(-3, 2))));
    w_scale = normal(rng, std::int64_t{quant_blocks(n)} * blocks);
  }
  Buffer run(const Ops& ops, int first, int count, std::size_t shift, bool accumulate) const {
    Shifted a_here(a, shift), w_here(w, shift);
    Buffer out = Buffer::holding(std::vector<float>(at(count * cols), accumulate ? 0.25F : 7.0F));
    ops.gemm({.rows = count,
              .cols = cols,
              .inner = inner,
              .a_dtype = kinds.a,
              .w_dtype = kinds.w,
              .a = a_here.data() + std::int64_t{first} * inner * bytes_of(kinds.a),
              .a_scale = a_scale.data() + std::ptrdiff_t{first} * quant_blocks(inner),
              .w = w_here.data(),
              .w_scale = w_scale.data(),
              .out = out.as<float>(),
              .accumulate = accumulate});
    return out;
  }
};

class AlignedGemm : public EachBackend {};
INSTANTIATE_TEST_SUITE_P(All, AlignedGemm, testing::ValuesIn(tested_backends()), backend_name);

TEST_P(AlignedGemm, AnyNumberOfRowsMatchesTheOracleAndItselfElsewhereInMemory) {
  for (const Kinds kinds : kKinds)
    for (const auto& [cols, inner] :
         std::vector<std::pair<int, int>>{{150, 1296}, {64, 128}, {33, 80}}) {
      const Operands in(kinds, 130, cols, inner);
      const Buffer all = in.run(ops(), 0, 130, 0, false);
      EXPECT_TRUE(close(all, in.run(ref_ops(), 0, 130, 0, false), product_tolerance(kinds.w)));
      for (const auto& [first, count] : std::vector<std::pair<int, int>>{
               {129, 1}, {0, 7}, {3, 8}, {100, 9}, {1, 16}, {2, 20}, {98, 32}, {64, 33}, {5, 70}}) {
        const std::string what = std::string(name_of(kinds.a)) + " " + name_of(kinds.w) + ", " +
                                 std::to_string(count) + " rows, inner " + std::to_string(inner);
        const Buffer some = in.run(ops(), first, count, 0, false);
        ASSERT_TRUE(same_bits(some.view<float>().data(),
                              all.view<float>().data() + std::ptrdiff_t{first} * cols,
                              std::int64_t{count} * cols))
            << what;
        ASSERT_TRUE(exact(in.run(ops(), first, count, 4, false), some)) << what << ", unaligned";
      }
      const Buffer added = in.run(ops(), 0, 20, 0, true);
      EXPECT_TRUE(close(added, in.run(ref_ops(), 0, 20, 0, true), product_tolerance(kinds.w)));
    }
}

TEST_P(AlignedGemm, ManyProductsAtOnceAreThoseOneByOne) {
  for (const Kinds kinds : {kKinds[0], kKinds[1], kKinds[2]})
    for (const int rows : {1, 20, 40}) {
      const int batch = 3, cols = 96, inner = 64;
      const Operands in(kinds, batch * rows, batch * cols, inner);
      const std::int64_t a_bytes = std::int64_t{rows} * inner * bytes_of(kinds.a),
                         w_bytes = std::int64_t{cols} * inner * bytes_of(kinds.w);
      Buffer together = Buffer::of<float>(std::int64_t{batch} * rows * cols), single = together;
      GemmParams p{.rows = rows, .cols = cols, .inner = inner};
      p.a_dtype = kinds.a;
      p.w_dtype = kinds.w;
      p.a = in.a.data();
      p.w = in.w.data();
      p.out = together.as<float>();
      p.batch = batch;
      p.a_step = std::int64_t{rows} * inner;
      p.w_step = std::int64_t{cols} * inner;
      p.out_step = std::int64_t{rows} * cols;
      ops().gemm(p);
      p.batch = 1;
      for (int b = 0; b < batch; ++b) {
        p.a = in.a.data() + b * a_bytes;
        p.w = in.w.data() + b * w_bytes;
        p.out = single.as<float>() + std::ptrdiff_t{b} * rows * cols;
        ops().gemm(p);
      }
      EXPECT_TRUE(exact(together, single)) << name_of(kinds.a) << " " << name_of(kinds.w);
    }
}

class AlignedGroupedGemm : public EachBackend {};
INSTANTIATE_TEST_SUITE_P(All,
                         AlignedGroupedGemm,
                         testing::ValuesIn(tested_backends()),
                         backend_name);

TEST_P(AlignedGroupedGemm, GroupsOfFewAndOfManyRowsHaveTheBitsOfTheirOwnProducts) {
  const std::vector<int> sizes = {1, 0, 33, 8, 70, 32, 5, 0, 16};
  for (const Kinds kinds : kKinds) {
    std::vector<std::int32_t> offsets = {0};
    for (const int size : sizes) offsets.push_back(offsets.back() + size);
    const Operands in(kinds, offsets.back(), 160, 272);
    std::vector<Shifted> copies;  // one group's matrix lies badly
    std::vector<const void*> w;
    std::vector<const float*> w_scale(sizes.size(), in.w_scale.data());
    for (std::size_t g = 0; g < sizes.size(); ++g) copies.emplace_back(in.w, g == 3 ? 4 : 0);
    for (std::size_t g = 0; g < sizes.size(); ++g)
      w.push_back(sizes[g] == 0 ? nullptr : copies[g].data());
    Buffer got = Buffer::holding(std::vector<float>(at(offsets.back() * in.cols), 7.0F));
    ops().grouped_gemm({.groups = static_cast<int>(sizes.size()),
                        .cols = in.cols,
                        .inner = in.inner,
                        .offsets = offsets.data(),
                        .a_dtype = kinds.a,
                        .w_dtype = kinds.w,
                        .a = in.a.data(),
                        .a_scale = in.a_scale.data(),
                        .w = w.data(),
                        .w_scale = w_scale.data(),
                        .out = got.as<float>()});
    EXPECT_TRUE(exact(got, in.run(ops(), 0, in.rows, 0, false)))
        << name_of(kinds.a) << " " << name_of(kinds.w);
  }
}

// ---- attention ----
class AlignedMla : public EachBackend {};
INSTANTIATE_TEST_SUITE_P(All, AlignedMla, testing::ValuesIn(tested_backends()), backend_name);

TEST_P(AlignedMla, PublishedRecordsMatchTheOracleAndThemselvesElsewhereInMemory) {
  constexpr int kC = 512, kR = 64, kPages = 6, kRecords = kPages * kPageTokens;
  for (const DType dtype : {DType::f8, DType::bf16})
    for (const auto& [heads, tokens, k] :
         std::vector<std::array<int, 3>>{{16, 9, 300}, {40, 3, 290}, {5, 2, 513}}) {
      Rng rng = stream("aligned_mla", static_cast<std::uint64_t>(heads));
      const std::int64_t page_bytes = std::int64_t{kPageTokens} * kv_record_bytes(dtype, kC, kR);
      std::vector<std::byte> memory(at(kPages * page_bytes));
      const std::vector<float> latent = normal(rng, kRecords * kC, 3),
                               key = normal(rng, kRecords * kR);
      std::vector<std::int32_t> all = permutation(rng, kRecords), slots;
      ref_ops().kv_write({.tokens = kRecords,
                          .c = kC,
                          .r = kR,
                          .latent = latent.data(),
                          .latent_step = kC,
                          .key = key.data(),
                          .key_step = kR,
                          .slots = all.data(),
                          .pages = {memory.data(), page_bytes, kPages, dtype}});
      std::vector<std::int32_t> length;
      for (int t = 0; t < tokens; ++t) {
        rng.shuffle(all);
        for (int j = 0; j < k; ++j) slots.push_back(rng.chance(1, 9) ? -1 : all[at(j % kRecords)]);
        length.push_back(t == 1 ? 31 : k - t);
      }
      const std::vector<float> q = normal(rng, std::int64_t{tokens} * heads * (kC + kR));
      const auto run = [&](const Ops& ops, int first, int count, std::size_t shift) {
        Shifted here(memory, shift);
        Buffers out = {Buffer::of<float>(std::int64_t{count} * heads * kC),
                       Buffer::of<float>(std::int64_t{count} * heads)};
        ops.sparse_mla({.tokens = count,
                        .heads = heads,
                        .c = kC,
                        .r = kR,
                        .k = k,
                        .q = q.data() + std::ptrdiff_t{first} * heads * (kC + kR),
                        .scale = 0.02F,
                        .pages = {here.data(), page_bytes, kPages, dtype},
                        .slots = slots.data() + std::ptrdiff_t{first} * k,
                        .length = length.data() + first,
                        .out = out[0].as<float>(),
                        .lse = out[1].as<float>()});
        return out;
      };
      const Buffers got = run(ops(), 0, tokens, 0), want = run(ref_ops(), 0, tokens, 0);
      EXPECT_TRUE(close(got[0], want[0], Tolerance{.abs = 8e-4, .rel = 3.01 / 128, .cos = 7e-6}));
      EXPECT_TRUE(close(got[1], want[1], Tolerance{.abs = 1e-6, .rel = 2.01 / 65536, .cos = 1e-6}))
          << "lse";
      const Buffers moved = run(ops(), 0, tokens, 4);
      for (const std::size_t i : {0U, 1U})
        EXPECT_TRUE(exact(moved[i], got[i])) << name_of(dtype) << " unaligned";
      for (int t = 0; t < tokens; t += 4) {
        const Buffers alone = run(ops(), t, 1, 0);
        EXPECT_TRUE(same_bits(alone[0].view<float>().data(),
                              got[0].view<float>().data() + std::ptrdiff_t{t} * heads * kC,
                              std::int64_t{heads} * kC))
            << name_of(dtype) << " row alone: " << t;
        EXPECT_TRUE(same_bits(alone[1].view<float>().data(),
                              got[1].view<float>().data() + std::ptrdiff_t{t} * heads, heads));
      }
    }
}

class AlignedIndex : public EachBackend {};
INSTANTIATE_TEST_SUITE_P(All, AlignedIndex, testing::ValuesIn(tested_backends()), backend_name);

// Runs of one to four tokens of a sequence side by side, as with several tokens a step; few tokens
// and many.
TEST_P(AlignedIndex, PagesMatchTheOracleAndThemselvesElsewhereInMemory) {
  for (const DType dtype : {DType::f8, DType::bf16})
    for (const auto& [tokens, heads, dim, columns] :
         std::vector<std::array<int, 4>>{{9, 64, 128, 300}, {270, 6, 64, 280}}) {
      constexpr int kSequences = 3;
      const int per_sequence = (columns + kPageTokens - 1) / kPageTokens;
      Rng rng = stream("aligned_index", static_cast<std::uint64_t>(tokens));
      const Table table(rng, kSequences, per_sequence, kSequences * per_sequence);
      const std::int64_t page_bytes = index_page_bytes(dtype, dim);
      std::vector<std::byte> memory(at(kSequences * per_sequence * page_bytes));
      const std::int64_t keys = std::int64_t{kSequences} * per_sequence * kPageTokens;
      const std::vector<float> k = normal(rng, keys * dim, 2);
      const std::vector<std::byte> codes = encoded(DType::f8, k);
      std::vector<float> scale;
      std::vector<std::int32_t> slots, sequence, end;
      for (std::int64_t i = 0; i < keys; ++i) {
        slots.push_back(static_cast<std::int32_t>(i));
        scale.push_back(std::ldexp(1.0F, static_cast<int>(rng.between(-4, 2))));
      }
      ref_ops().index_write(
          {.tokens = static_cast<int>(keys),
           .d = dim,
           .k = dtype == DType::f8 ? static_cast<const void*>(codes.data())
                                   : static_cast<const void*>(k.data()),
           .scale = scale.data(),
           .slots = slots.data(),
           .pages = {memory.data(), page_bytes, kSequences * per_sequence, dtype}});
      while (static_cast<int>(end.size()) < tokens) {
        const auto of = static_cast<std::int32_t>(rng.below(kSequences));
        const auto last = static_cast<std::int32_t>(rng.between(5, columns));
        const std::int64_t run = rng.between(1, 4);
        for (std::int64_t i = 0; i < run && static_cast<int>(end.size()) < tokens; ++i) {
          sequence.push_back(of);
          end.push_back(std::min(columns, last + static_cast<int>(i)));
        }
      }
      const std::vector<std::byte> q =
          encoded(dtype, normal(rng, std::int64_t{tokens} * heads * dim));
      const std::vector<float> w = normal(rng, std::int64_t{tokens} * heads);
      const auto run = [&](const Ops& ops, int first, int count, std::size_t shift) {
        Shifted here(memory, shift);
        Buffer out = Buffer::of<float>(std::int64_t{count} * columns);
        ops.index_logits_paged(
            {.tokens = count,
             .heads = heads,
             .dim = dim,
             .columns = columns,
             .q = q.data() + std::int64_t{first} * heads * dim * bytes_of(dtype),
             .w = w.data() + std::ptrdiff_t{first} * heads,
             .pages = {here.data(), page_bytes, kSequences * per_sequence, dtype},
             .table = {table.ids.data(), table.stride, sequence.data() + first},
             .key_end = end.data() + first,
             .out = out.as<float>()});
        return out;
      };
      const Buffer got = run(ops(), 0, tokens, 0);
      EXPECT_TRUE(
          close(got, run(ref_ops(), 0, tokens, 0), Tolerance{.of_largest = 2e-5, .cos = 5e-6}));
      EXPECT_TRUE(exact(run(ops(), 0, tokens, 4), got)) << name_of(dtype) << " unaligned";
      for (int t = 0; t < tokens; t += 1 + tokens / 9)
        EXPECT_TRUE(same_bits(run(ops(), t, 1, 0).view<float>().data(),
                              got.view<float>().data() + std::ptrdiff_t{t} * columns, columns))
            << name_of(dtype) << " row alone: " << t;
    }
}

}  // namespace
}  // namespace seedbed::kernels::test
