// index_logits and index_logits_paged: 1 - 2xy/(xx+yy) <= 5e-6, the same -inf cells, bits that
// depend on nothing but the row and the key.
#include <algorithm>
#include <cmath>

#include "tests/kernels/paged.h"

namespace seedbed::kernels::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

enum class Pattern : std::uint8_t { normal, plateau, negative_weights, cancelling };
struct IndexRow : Named {
  DType dtype;
  int tokens, heads, dim, columns;
  Pattern pattern = Pattern::normal;
  int gap = 0;  // between rows of the output
};
std::vector<IndexRow> index_rows() {
  std::vector<IndexRow> rows;
  for (const DType dtype : {DType::f8, DType::bf16, DType::f32}) {
    const std::string d = name_of(dtype);
    rows.push_back({d + "_one", dtype, 1, 1, 1, 1});
    rows.push_back({d + "_published_decode", dtype, 1, 64, 128, 577});
    rows.push_back({d + "_published_prefill", dtype, 9, 32, 64, 300});
    rows.push_back({d + "_tiny_model", dtype, 5, 4, 32, 129, Pattern::normal, 3});
    rows.push_back({d + "_odd_heads", dtype, 3, 13, 128, 95});
    rows.push_back({d + "_odd_dim", dtype, 3, 6, 95, 70});
    rows.push_back({d + "_two_scales", dtype, 3, 5, 256, 67});
    rows.push_back({d + "_block_and_one", dtype, 2, 5, 129, 67});
    rows.push_back({d + "_plateau", dtype, 4, 8, 128, 200, Pattern::plateau});
    rows.push_back({d + "_negative_weights", dtype, 4, 8, 128, 200, Pattern::negative_weights, 1});
    rows.push_back({d + "_cancelling", dtype, 4, 64, 128, 130, Pattern::cancelling});
    rows.push_back({d + "_no_token", dtype, 0, 4, 32, 64});
  }
  return rows;
}

// A single f32 sum's error is a share of the sum of magnitudes; where terms cancel, of far more
// than the result.
Tolerance tolerance(const IndexRow& c) {
  return {.of_largest = c.pattern == Pattern::cancelling ? 1e-3 : 2e-5, .cos = 5e-6};
}

// What the keys and queries of a case are; k_scale is there for every dtype, used by f8 alone.
struct Input {
  std::vector<std::byte> q, k;
  std::vector<float> w, k_scale;
  explicit Input(const IndexRow& c, std::int64_t keys) {
    Rng rng = stream(c.name);
    std::vector<float> qf = normal(rng, std::int64_t{c.tokens} * c.heads * c.dim),
                       kf = normal(rng, keys * c.dim, 2);
    w = normal(rng, std::int64_t{c.tokens} * c.heads);
    if (c.pattern == Pattern::plateau) {  // three keys of four point away from every head
      for (float& x : qf) x = std::fabs(x);
      for (std::size_t i = 0; i < kf.size(); ++i)
        kf[i] = i / at(c.dim) % 4 == 0 ? kf[i] : -std::fabs(kf[i]);
    }
    if (c.pattern == Pattern::negative_weights)
      for (float& x : w) x = -std::fabs(x);
    if (c.pattern ==
        Pattern::cancelling)  // heads in pairs of equal queries, nearly opposite weights
      for (std::size_t i = 1; i < w.size(); i += 2) {
        w[i] = -0.999F * w[i - 1];
        std::copy_n(qf.begin() + static_cast<std::ptrdiff_t>((i - 1) * at(c.dim)), c.dim,
                    qf.begin() + static_cast<std::ptrdiff_t>(i * at(c.dim)));
      }
    q = encoded(c.dtype, qf);
    k = encoded(c.dtype, kf);
    for (std::int64_t i = 0; i < keys * quant_blocks(c.dim); ++i)
      k_scale.push_back(std::ldexp(1.0F, static_cast<int>(rng.between(-8, 3))));
  }
};

class IndexLogits : public OpTest<IndexRow> {};
SEEDBED_ROWS(IndexLogits, IndexRow, index_rows());

TEST_P(IndexLogits, RaggedMatchesTheOracle) {
  const IndexRow& c = row();
  Input in(c, c.columns);
  Rng rng = stream(c.name, 1);
  std::vector<std::int32_t> begin, end;
  for (int t = 0; t < c.tokens; ++t) {
    begin.push_back(static_cast<std::int32_t>(rng.below(at(c.columns))));
    end.push_back(t % 3 == 2 ? begin.back()
                             : static_cast<std::int32_t>(rng.between(begin.back(), c.columns)));
  }
  if (c.tokens > 0) begin[0] = 0, end[0] = c.columns;
  // Keys that no row sees are NaN, and so are their scales.
  std::vector<bool> seen(at(c.columns), false);
  for (int t = 0; t < c.tokens; ++t)
    for (int s = begin[at(t)]; s < end[at(t)]; ++s) seen[at(s)] = true;
  if (c.tokens > 1 && c.columns > 64) {
    end[0] = c.columns / 2;
    seen.assign(at(c.columns), false);
    for (int t = 0; t < c.tokens; ++t)
      for (int s = begin[at(t)]; s < end[at(t)]; ++s) seen[at(s)] = true;
    const std::size_t key_bytes = at(c.dim * bytes_of(c.dtype)), blocks = at(quant_blocks(c.dim));
    for (std::size_t s = 0; s < seen.size(); ++s) {
      if (seen[s]) continue;
      std::fill_n(in.k.begin() + static_cast<std::ptrdiff_t>(s * key_bytes), key_bytes,
                  std::byte{0xFF});
      std::fill_n(in.k_scale.begin() + static_cast<std::ptrdiff_t>(s * blocks), blocks,
                  std::numeric_limits<float>::quiet_NaN());
    }
  }
  const std::int64_t ldo = c.columns + c.gap;
  for (const bool from_zero : {false, true}) {
    if (from_zero && c.tokens > 1) continue;  // key_begin null reads from key 0, which may be NaN
    const auto run = [&](const Ops& table, Pool* pool) {
      Buffers out = {Buffer::of<float>(c.tokens * ldo)};
      table.index_logits({.tokens = c.tokens,
                          .heads = c.heads,
                          .dim = c.dim,
                          .columns = c.columns,
                          .dtype = c.dtype,
                          .q = in.q.data(),
                          .w = in.w.data(),
                          .k = in.k.data(),
                          .k_scale = c.dtype == DType::f8 ? in.k_scale.data() : nullptr,
                          .key_begin = from_zero ? nullptr : begin.data(),
                          .key_end = end.data(),
                          .out = out[0].as<float>(),
                          .ldo = ldo,
                          .pool = pool});
      return out;
    };
    const Buffers got = same_on_any_pool(ops(), run);
    EXPECT_TRUE(close(got[0], run(ref_ops(), nullptr)[0], tolerance(c)));
    for (int t = 0; t < c.tokens; ++t)
      for (int s = 0; s < c.columns; ++s)
        ASSERT_EQ(got[0].view<float>()[at(t * ldo + s)] == -kInf,
                  s >= end[at(t)] || s < begin[at(t)])
            << t << " " << s;
  }
}

// Pages, their table and two sequences for a case; everything that no row may see is NaN.
struct Paged {
  static constexpr int kSequences = 2;
  Input in;
  int per_sequence;
  std::vector<std::int32_t> sequence, end;
  explicit Paged(const IndexRow& c)
      : in(c, std::int64_t{kSequences} * c.columns),
        per_sequence((c.columns + kPageTokens - 1) / kPageTokens) {
    Rng rng = stream(c.name, 2);
    const std::int32_t ends[] = {c.columns, 0, c.columns - 1, 1,
                                 static_cast<std::int32_t>(rng.below(at(c.columns)) + 1)};
    for (int t = 0; t < c.tokens; ++t) {
      sequence.push_back(t % kSequences);
      end.push_back(ends[t % 5]);
    }
  }
  std::int32_t pages() const { return kSequences * per_sequence + 3; }
  Table table(std::uint64_t order) const {
    Rng rng = stream("pages", order);
    return Table(rng, kSequences, per_sequence, pages());
  }
  // Writes the keys below `visible` of each sequence.
  PageMemory memory(const IndexRow& c, const Table& pages_of) const {
    PageMemory memory(c.dtype, pages(), index_page_bytes(c.dtype, c.dim), 132);
    std::int32_t visible[kSequences] = {};
    for (std::size_t t = 0; t < end.size(); ++t)
      visible[sequence[t]] = std::max(visible[sequence[t]], end[t]);
    std::vector<float> widened;  // index_write takes f32 for bf16 pages
    for (std::int64_t i = 0;
         i < static_cast<std::int64_t>(in.k.size()) / bytes_of(c.dtype) && c.dtype == DType::bf16;
         ++i) {
      std::uint16_t code = 0;
      std::memcpy(&code, in.k.data() + 2 * i, 2);
      widened.push_back(bf16_to_f32(code));
    }
    const std::byte* k =
        c.dtype == DType::bf16 ? reinterpret_cast<const std::byte*>(widened.data()) : in.k.data();
    const int key_bytes = c.dim * (c.dtype == DType::f8 ? 1 : 4);
    for (int s = 0; s < kSequences; ++s) {
      std::vector<std::int32_t> slots;
      for (std::int32_t i = 0; i < visible[s]; ++i) slots.push_back(pages_of.slot(s, i));
      const std::int64_t first = std::int64_t{s} * c.columns;
      ref_ops().index_write({.tokens = visible[s],
                             .d = c.dim,
                             .k = k + first * key_bytes,
                             .scale = in.k_scale.data() + first * quant_blocks(c.dim),
                             .slots = slots.data(),
                             .pages = memory.pages()});
    }
    return memory;
  }
  // Rows [first, first + count).
  Buffers run(const IndexRow& c,
              const Ops& ops,
              Pool* pool,
              PageMemory& memory,
              const Table& pages_of,
              int first,
              int count) const {
    const std::int64_t ldo = c.columns + c.gap;
    Buffers out = {Buffer::of<float>(count * ldo)};
    PageTable table = pages_of.of(sequence);
    if (table.sequence != nullptr) table.sequence += first;
    ops.index_logits_paged(
        {.tokens = count,
         .heads = c.heads,
         .dim = c.dim,
         .columns = c.columns,
         .q = in.q.data() + std::int64_t{first} * c.heads * c.dim * bytes_of(c.dtype),
         .w = in.w.data() + std::int64_t{first} * c.heads,
         .pages = memory.pages(),
         .table = table,
         .key_end = end.data() + first,
         .out = out[0].as<float>(),
         .ldo = ldo,
         .pool = pool});
    return out;
  }
};

TEST_P(IndexLogits, PagedMatchesTheOracleForAnyOrderOfPagesAndAnyCompany) {
  const IndexRow& c = row();
  const Paged paged(c);
  const Table first = paged.table(0), second = paged.table(1);
  PageMemory memory = paged.memory(c, first), moved = paged.memory(c, second);
  const Buffers got = same_on_any_pool(ops(), [&](const Ops& table, Pool* pool) {
    return paged.run(c, table, pool, memory, first, 0, c.tokens);
  });
  EXPECT_TRUE(exact(got[0], paged.run(c, ops(), nullptr, moved, second, 0, c.tokens)[0]))
      << "pages permuted";
  for (int t = 0; t < c.tokens; ++t)
    EXPECT_EQ(std::memcmp(paged.run(c, ops(), nullptr, memory, first, t, 1)[0].view<float>().data(),
                          got[0].view<float>().data() + t * (c.columns + c.gap), at(c.columns) * 4),
              0)
        << "row alone: " << t;
  EXPECT_TRUE(
      close(got[0], paged.run(c, ref_ops(), nullptr, memory, first, 0, c.tokens)[0], tolerance(c)));
  for (int t = 0; t < c.tokens; ++t)
    for (int s = 0; s < c.columns; ++s)
      ASSERT_EQ(got[0].view<float>()[at(t * (c.columns + c.gap) + s)] == -kInf,
                s >= paged.end[at(t)])
          << t << " " << s;
}

class EveryIndex : public EachBackend {};
SEEDBED_BACKENDS(EveryIndex);

TEST_P(EveryIndex, ARowOrAColumnAloneHasItsBits) {
  for (IndexRow c : index_rows()) {
    if (c.tokens < 2 || c.columns < 70) continue;
    const Input in(c, c.columns);
    const std::vector<std::int32_t> end(at(c.tokens), c.columns);
    const auto run = [&](int t, int tokens, int s, int columns) {
      std::vector<float> out(at(tokens * columns));
      const std::vector<std::int32_t> ends(at(tokens), columns);
      ops().index_logits({.tokens = tokens,
                          .heads = c.heads,
                          .dim = c.dim,
                          .columns = columns,
                          .dtype = c.dtype,
                          .q = in.q.data() + std::int64_t{t} * c.heads * c.dim * bytes_of(c.dtype),
                          .w = in.w.data() + std::int64_t{t} * c.heads,
                          .k = in.k.data() + std::int64_t{s} * c.dim * bytes_of(c.dtype),
                          .k_scale = in.k_scale.data() + s * quant_blocks(c.dim),
                          .key_end = ends.data(),
                          .out = out.data(),
                          .ldo = columns});
      return out;
    };
    const std::vector<float> all = run(0, c.tokens, 0, c.columns);
    for (int t = 0; t < c.tokens; ++t)
      for (const auto& [s, columns] :
           std::vector<std::pair<int, int>>{{0, 1}, {c.columns - 1, 1}, {3, 65}, {0, c.columns}})
        ASSERT_EQ(std::memcmp(run(t, 1, s, columns).data(), all.data() + t * c.columns + s,
                              at(columns) * 4),
                  0)
            << c.name << " row " << t << " from " << s;
  }
}

TEST_P(EveryIndex, KeysThatEveryHeadTurnsFromScoreExactlyZero) {
  for (const DType dtype : {DType::f8, DType::bf16, DType::f32}) {
    const IndexRow c{"plateau_exact", dtype, 3, 8, 128, 200, Pattern::plateau};
    const Input in(c, c.columns);
    const std::vector<std::int32_t> end(3, 200);
    std::vector<float> out(600);
    ops().index_logits({.tokens = 3,
                        .heads = 8,
                        .dim = 128,
                        .columns = 200,
                        .dtype = dtype,
                        .q = in.q.data(),
                        .w = in.w.data(),
                        .k = in.k.data(),
                        .k_scale = in.k_scale.data(),
                        .key_end = end.data(),
                        .out = out.data(),
                        .ldo = 200});
    for (std::size_t i = 0; i < out.size(); ++i)
      ASSERT_TRUE(i % 200 % 4 == 0 || out[i] == 0.0F) << i << ": " << out[i];
  }
}

// Small integers: w * relu(dot) * scale without rounding, against integer arithmetic.
TEST_P(EveryIndex, IntegersComeOutExactly) {
  for (const DType dtype : {DType::f8, DType::bf16, DType::f32}) {
    const int tokens = 2, heads = 5, dim = 64, columns = 67;
    Rng rng = stream("integers");
    std::vector<float> q, k, w, scale;
    const auto fill = [&](std::vector<float>& into, int count, int bound) {
      for (int i = 0; i < count; ++i)
        into.push_back(static_cast<float>(rng.between(-bound, bound)));
    };
    fill(q, tokens * heads * dim, 4), fill(k, columns * dim, 4), fill(w, tokens * heads, 3);
    for (int s = 0; s < columns; ++s) scale.push_back(static_cast<float>(1 << rng.below(4)));
    const auto q_bytes = encoded(dtype, q), k_bytes = encoded(dtype, k);
    const std::vector<std::int32_t> end(2, columns);
    std::vector<float> out(at(tokens * columns));
    ops().index_logits({.tokens = tokens,
                        .heads = heads,
                        .dim = dim,
                        .columns = columns,
                        .dtype = dtype,
                        .q = q_bytes.data(),
                        .w = w.data(),
                        .k = k_bytes.data(),
                        .k_scale = scale.data(),
                        .key_end = end.data(),
                        .out = out.data(),
                        .ldo = columns});
    for (int t = 0; t < tokens; ++t)
      for (int s = 0; s < columns; ++s) {
        std::int64_t sum = 0;
        for (int h = 0; h < heads; ++h) {
          std::int64_t product = 0;
          for (int i = 0; i < dim; ++i)
            product += static_cast<std::int64_t>(q[at((t * heads + h) * dim + i)]) *
                       static_cast<std::int64_t>(k[at(s * dim + i)]);
          sum +=
              std::max<std::int64_t>(product, 0) * static_cast<std::int64_t>(w[at(t * heads + h)]);
        }
        const double wanted =
            static_cast<double>(sum) * (dtype == DType::f8 ? double{scale[at(s)]} : 1.0);
        ASSERT_EQ(double{out[at(t * columns + s)]}, wanted) << name_of(dtype);
      }
  }
}

}  // namespace
}  // namespace seedbed::kernels::test
