#include "tests/engine/fake_device_params.h"

#include <algorithm>
#include <vector>

namespace seedbed::engine::kit {

using namespace kernels;  // NOLINT(google-build-using-namespace): every params struct of the table

namespace {

std::int64_t n(std::int64_t a, std::int64_t b, std::int64_t c = 1) {
  return a * b * c;
}
// Elements from the first to the last of `rows` rows of `dim`.
std::int64_t strided(std::int64_t rows, std::int64_t step, std::int64_t dim) {
  return rows <= 0 || dim <= 0 ? 0 : (rows - 1) * step + dim;
}
std::int64_t or_dim(std::int64_t step, std::int64_t dim) {
  return step == 0 ? dim : step;
}

// The pointers of one call.
class Placer {
 public:
  Placer(FakeDevice& device, const char* op) : device_(device), op_(op) {}

  template <class T>
  void at(T*& p, const char* name, std::int64_t count) const {
    place(p, name, count, static_cast<std::int64_t>(sizeof(T)),
          static_cast<std::int64_t>(alignof(T)));
  }
  template <class T>
  void maybe(T*& p, const char* name, std::int64_t count) const {
    if (p != nullptr) at(p, name, count);
  }
  void stored(const void*& p, const char* name, std::int64_t count, DType dtype) const {
    place(p, name, count, bytes_of(dtype), bytes_of(dtype));
  }
  void pages(Pages& p, std::int64_t page_bytes) const {
    if (p.stride < page_bytes)
      wrong("pages.stride",
            std::to_string(p.stride) + " bytes, a page has " + std::to_string(page_bytes));
    place(p.base, "pages.base", strided(p.count, p.stride, page_bytes), 1, 4);
  }
  // entries(row): how many entries of its sequence's list of pages a row reads.
  template <class Entries>
  void table(PageTable& t, int rows, const Entries& entries) const {
    maybe(t.sequence, "table.sequence", rows);
    std::int64_t most = 0;
    for (int row = 0; row < rows; ++row) {
      const std::int64_t sequence = t.sequence == nullptr ? 0 : t.sequence[row];
      if (sequence < 0)
        wrong("table.sequence",
              "row " + std::to_string(row) + " is of sequence " + std::to_string(sequence));
      if (entries(row) > 0) most = std::max(most, sequence * t.table_stride + entries(row));
    }
    at(t.table, "table.table", most);
  }
  [[noreturn]] void wrong(const char* name, const std::string& what) const {
    device_.broken(who(name) + ": " + what);
  }

 private:
  [[nodiscard]] std::string who(const char* name) const {
    return std::string("op '") + op_ + "', parameter '" + name + "'";
  }
  template <class T>
  void place(T*& p,
             const char* name,
             std::int64_t count,
             std::int64_t element,
             std::int64_t alignment) const {
    if (count <= 0) return;  // nothing is touched
    if (reinterpret_cast<std::uintptr_t>(p) % static_cast<std::uintptr_t>(alignment) != 0)
      wrong(name, "not aligned to " + std::to_string(alignment) + " bytes");
    p = reinterpret_cast<T*>(device_.behind(p, count * element, who(name)));
  }
  FakeDevice& device_;
  const char* op_;
};

std::int64_t pages_of(std::int64_t positions) {
  return (positions + kPageTokens - 1) / kPageTokens;
}

}  // namespace

void place(FakeDevice& device, EmbedParams& p) {
  const Placer put(device, "embed");
  put.at(p.ids, "ids", p.tokens);
  if (p.tokens > 0) put.stored(p.table, "table", n(p.vocab, p.dim), p.dtype);
  put.at(p.out, "out", n(p.tokens, p.dim));
}

void place(FakeDevice& device, CopyRowsParams& p) {
  const Placer put(device, "copy_rows");
  put.at(p.x, "x", strided(p.rows, p.ldx, p.dim));
  put.at(p.out, "out", strided(p.rows, p.ldo, p.dim));
}

void place(FakeDevice& device, GemmParams& p) {
  const Placer put(device, "gemm");
  if (p.rows <= 0 || p.cols <= 0 || p.batch <= 0) return;
  const std::int64_t last = p.batch - 1;
  put.stored(p.a, "a", last * p.a_step + strided(p.rows, or_dim(p.lda, p.inner), p.inner),
             p.a_dtype);
  put.stored(p.w, "w", last * p.w_step + n(p.cols, p.inner), p.w_dtype);
  if (p.w_dtype == DType::f8) {
    put.at(p.a_scale, "a_scale", n(p.rows, quant_blocks(p.inner)));
    put.at(p.w_scale, "w_scale", n(quant_blocks(p.cols), quant_blocks(p.inner)));
  }
  put.at(p.out, "out", last * p.out_step + strided(p.rows, or_dim(p.ldo, p.cols), p.cols));
}

void place(FakeDevice& device, GroupedGemmParams& p) {
  const Placer put(device, "grouped_gemm");
  if (p.groups <= 0) return;
  put.at(p.offsets, "offsets", p.groups + 1);
  for (int g = 0; g < p.groups; ++g)
    if (p.offsets[0] != 0 || p.offsets[g + 1] < p.offsets[g])
      put.wrong("offsets", "not ascending from 0 at group " + std::to_string(g));
  const std::int64_t rows = p.offsets[p.groups];
  const bool f8 = p.w_dtype == DType::f8;
  put.stored(p.a, "a", n(rows, p.inner), p.a_dtype);
  if (f8) put.at(p.a_scale, "a_scale", n(rows, quant_blocks(p.inner)));
  put.at(p.out, "out", n(rows, p.cols));
  put.at(p.w, "w", p.groups);
  if (f8) put.at(p.w_scale, "w_scale", p.groups);
  static thread_local std::vector<const void*> w;
  static thread_local std::vector<const float*> scale;
  w.assign(p.w, p.w + p.groups);
  if (f8) scale.assign(p.w_scale, p.w_scale + p.groups);
  for (int g = 0; g < p.groups; ++g) {
    const auto i = static_cast<std::size_t>(g);
    const bool empty = p.offsets[g] == p.offsets[g + 1];
    if (!empty || w[i] != nullptr) put.stored(w[i], "w[...]", n(p.cols, p.inner), p.w_dtype);
    if (f8 && (!empty || scale[i] != nullptr))
      put.at(scale[i], "w_scale[...]", n(quant_blocks(p.cols), quant_blocks(p.inner)));
  }
  p.w = w.data();
  if (f8) p.w_scale = scale.data();
}

void place(FakeDevice& device, LmHeadParams& p) {
  const Placer put(device, "lm_head");
  put.maybe(p.row_index, "row_index", p.rows);
  std::int64_t rows = p.rows;
  if (p.row_index != nullptr && p.rows > 0) {
    const auto [least, most] = std::minmax_element(p.row_index, p.row_index + p.rows);
    if (*least < 0) put.wrong("row_index", "holds " + std::to_string(*least));
    rows = std::int64_t{*most} + 1;
  }
  put.at(p.x, "x", n(rows, p.dim));
  if (p.rows > 0) put.stored(p.w, "w", n(p.vocab, p.dim), p.dtype);
  put.at(p.out, "out", n(p.rows, p.vocab));
}

void place(FakeDevice& device, CastBf16Params& p) {
  const Placer put(device, "cast_bf16");
  put.at(p.x, "x", strided(p.rows, or_dim(p.ldx, p.dim), p.dim));
  put.at(p.out, "out", n(p.rows, p.dim));
}

void place(FakeDevice& device, ActQuantParams& p) {
  const Placer put(device, "act_quant");
  put.at(p.x, "x", strided(p.rows, or_dim(p.ldx, p.dim), p.dim));
  put.at(p.out, "out", n(p.rows, p.dim));
  put.at(p.scale, "scale", n(p.rows, quant_blocks(p.dim)));
}

void place(FakeDevice& device, HadamardQuantParams& p) {
  const Placer put(device, "hadamard_quant");
  put.at(p.x, "x", n(p.rows, p.dim));
  put.at(p.out, "out", n(p.rows, p.dim));
  put.at(p.scale, "scale", n(p.rows, quant_blocks(p.dim)));
}

void place(FakeDevice& device, RmsNormParams& p) {
  const Placer put(device, "rms_norm");
  if (p.rows <= 0) return;
  if (p.x != nullptr || p.residual == nullptr)
    put.at(p.x, "x", strided(p.rows, or_dim(p.ldx, p.dim), p.dim));
  put.maybe(p.residual, "residual", n(p.rows, p.dim));
  put.at(p.weight, "weight", p.dim);
  put.at(p.out, "out", strided(p.rows, or_dim(p.ldo, p.dim), p.dim));
}

void place(FakeDevice& device, LayerNormParams& p) {
  const Placer put(device, "layer_norm");
  if (p.rows <= 0) return;
  put.at(p.x, "x", n(p.rows, p.dim));
  put.at(p.weight, "weight", p.dim);
  put.at(p.bias, "bias", p.dim);
  put.at(p.out, "out", n(p.rows, p.dim));
}

void place(FakeDevice& device, RopeParams& p) {
  const Placer put(device, "rope");
  if (p.tokens <= 0 || p.heads <= 0) return;
  put.at(p.x, "x",
         (p.tokens - 1) * p.token_step + strided(p.heads, p.head_step, 2 * std::int64_t{p.half}));
  put.at(p.cos, "cos", n(p.tokens, p.half));
  put.at(p.sin, "sin", n(p.tokens, p.half));
}

void place(FakeDevice& device, KvWriteParams& p) {
  const Placer put(device, "kv_write");
  if (p.tokens <= 0) return;
  put.at(p.latent, "latent", strided(p.tokens, p.latent_step, p.c));
  put.at(p.key, "key", strided(p.tokens, p.key_step, p.r));
  put.at(p.slots, "slots", p.tokens);
  put.pages(p.pages, n(kPageTokens, kv_record_bytes(p.pages.dtype, p.c, p.r)));
}

void place(FakeDevice& device, IndexWriteParams& p) {
  const Placer put(device, "index_write");
  if (p.tokens <= 0) return;
  const bool f8 = p.pages.dtype == DType::f8;
  put.stored(p.k, "k", n(p.tokens, p.d), f8 ? DType::f8 : DType::f32);
  if (f8) put.at(p.scale, "scale", n(p.tokens, quant_blocks(p.d)));
  put.at(p.slots, "slots", p.tokens);
  put.pages(p.pages, index_page_bytes(p.pages.dtype, p.d));
}

void place(FakeDevice& device, FoldWeightsParams& p) {
  const Placer put(device, "fold_weights");
  put.at(p.w, "w", p.count);
  put.maybe(p.scale, "scale", p.count);
}

void place(FakeDevice& device, IndexLogitsParams& p) {
  const Placer put(device, "index_logits");
  if (p.tokens <= 0) return;
  put.stored(p.q, "q", n(p.tokens, p.heads, p.dim), p.dtype);
  put.at(p.w, "w", n(p.tokens, p.heads));
  put.stored(p.k, "k", n(p.columns, p.dim), p.dtype);
  if (p.dtype == DType::f8) put.at(p.k_scale, "k_scale", n(p.columns, quant_blocks(p.dim)));
  put.maybe(p.key_begin, "key_begin", p.tokens);
  put.at(p.key_end, "key_end", p.tokens);
  put.at(p.out, "out", strided(p.tokens, p.ldo, p.columns));
}

void place(FakeDevice& device, IndexLogitsPagedParams& p) {
  const Placer put(device, "index_logits_paged");
  if (p.tokens <= 0) return;
  put.stored(p.q, "q", n(p.tokens, p.heads, p.dim), p.pages.dtype);
  put.at(p.w, "w", n(p.tokens, p.heads));
  put.pages(p.pages, index_page_bytes(p.pages.dtype, p.dim));
  put.at(p.key_end, "key_end", p.tokens);
  put.table(p.table, p.tokens,
            [&](int row) { return pages_of(std::min(p.key_end[row], p.columns)); });
  put.at(p.out, "out", strided(p.tokens, p.ldo, p.columns));
}

void place(FakeDevice& device, TopkSelectParams& p) {
  const Placer put(device, "topk_select");
  if (p.rows <= 0) return;
  put.at(p.length, "length", p.rows);
  std::int64_t last = 0;  // elements up to the last that counts
  for (int row = 0; row < p.rows; ++row) {
    if (p.length[row] < 0 || p.length[row] > p.lds)
      put.wrong("length", std::to_string(p.length[row]) + " in row " + std::to_string(row));
    if (p.length[row] > 0) last = std::max(last, row * p.lds + p.length[row]);
  }
  put.at(p.scores, "scores", last);
  put.at(p.out, "out", n(p.rows, p.k));
}

void place(FakeDevice& device, TopkSelectParams& select, PageTable& table, std::int32_t*& slots) {
  const Placer put(device, "topk_select_slots");
  if (select.rows <= 0) return;
  std::int32_t* const given = select.out;
  if (given == nullptr) select.out = slots;  // as large, and written to anyway
  place(device, select);
  if (given == nullptr) select.out = nullptr;
  put.table(table, select.rows, [&](int row) { return pages_of(select.length[row]); });
  put.at(slots, "slots", n(select.rows, select.k));
}

void place(FakeDevice& device, MapSlotsParams& p) {
  const Placer put(device, "map_slots");
  if (p.rows <= 0) return;
  put.at(p.positions, "positions", n(p.rows, p.k));
  put.table(p.table, p.rows, [&](int row) {
    const std::int32_t* begin = p.positions + n(row, p.k);
    return p.k <= 0 ? 0 : pages_of(std::int64_t{*std::max_element(begin, begin + p.k)} + 1);
  });
  put.at(p.slots, "slots", n(p.rows, p.k));
}

void place(FakeDevice& device, SparseMlaParams& p) {
  const Placer put(device, "sparse_mla");
  if (p.tokens <= 0) return;
  put.at(p.q, "q", n(p.tokens, p.heads, p.c + p.r));
  put.pages(p.pages, n(kPageTokens, kv_record_bytes(p.pages.dtype, p.c, p.r)));
  put.at(p.slots, "slots", n(p.tokens, p.k));
  put.maybe(p.length, "length", p.tokens);
  put.at(p.out, "out", n(p.tokens, p.heads, p.c));
  put.maybe(p.lse, "lse", n(p.tokens, p.heads));
}

void place(FakeDevice& device, DenseMlaParams& p) {
  const Placer put(device, "dense_mla");
  if (p.tokens <= 0) return;
  put.at(p.q, "q", n(p.tokens, p.heads, p.c + p.r));
  put.pages(p.pages, n(kPageTokens, kv_record_bytes(p.pages.dtype, p.c, p.r)));
  put.at(p.key_end, "key_end", p.tokens);
  put.table(p.table, p.tokens, [&](int row) { return pages_of(p.key_end[row]); });
  put.at(p.out, "out", n(p.tokens, p.heads, p.c));
  put.maybe(p.lse, "lse", n(p.tokens, p.heads));
}

void place(FakeDevice& device, DenseMhaParams& p) {
  const Placer put(device, "dense_mha");
  if (p.tokens <= 0) return;
  put.at(p.q, "q", n(p.tokens, p.heads, p.qk_dim));
  put.at(p.k, "k", n(p.keys, p.heads, p.qk_dim));
  put.at(p.v, "v", n(p.keys, p.heads, p.v_dim));
  put.at(p.key_end, "key_end", p.tokens);
  put.maybe(p.selected, "selected", n(p.tokens, p.selected_count));
  put.at(p.out, "out", n(p.tokens, p.heads, p.v_dim));
}

void place(FakeDevice& device, MoeRouteParams& p) {
  const Placer put(device, "moe_route");
  if (p.tokens <= 0) return;
  put.at(p.logits, "logits", n(p.tokens, p.experts));
  put.at(p.bias, "bias", p.experts);
  put.maybe(p.forced, "forced", n(p.tokens, p.topk));
  put.at(p.ids, "ids", n(p.tokens, p.topk));
  put.at(p.weights, "weights", n(p.tokens, p.topk));
}

void place(FakeDevice& device, MoePermuteParams& p) {
  const Placer put(device, "moe_permute");
  put.at(p.offsets, "offsets", p.experts + 1);
  put.at(p.ids, "ids", n(p.tokens, p.topk));
  put.at(p.x, "x", n(p.tokens, p.dim));
  put.at(p.row_of, "row_of", n(p.tokens, p.topk));
  put.at(p.out, "out", n(p.tokens, p.topk, p.dim));
}

void place(FakeDevice& device, MoeUnpermuteParams& p) {
  const Placer put(device, "moe_unpermute");
  put.at(p.y, "y", n(p.tokens, p.topk, p.dim));
  put.at(p.row_of, "row_of", n(p.tokens, p.topk));
  put.at(p.weights, "weights", n(p.tokens, p.topk));
  put.maybe(p.shared, "shared", n(p.tokens, p.dim));
  put.at(p.out, "out", n(p.tokens, p.dim));
}

void place(FakeDevice& device, SiluMulParams& p) {
  const Placer put(device, "silu_mul");
  put.at(p.gate, "gate", p.count);
  put.at(p.up, "up", p.count);
  put.at(p.out, "out", p.count);
}

void place(FakeDevice& device, SampleParams& p) {
  const Placer put(device, "sample");
  if (p.rows <= 0) return;
  put.at(p.logits, "logits", n(p.rows, p.vocab));
  put.at(p.row, "row", p.rows);
  // Entries of all rows' lists.
  const auto entries = [&](const std::int32_t*& offsets, const char* name) -> std::int64_t {
    put.maybe(offsets, name, p.rows + 1);
    if (offsets == nullptr) return 0;
    for (int row = 0; row < p.rows; ++row)
      if (offsets[0] < 0 || offsets[row + 1] < offsets[row]) put.wrong(name, "not ascending");
    return offsets[p.rows];
  };
  const std::int64_t seen = entries(p.seen_offsets, "seen_offsets");
  put.at(p.seen_ids, "seen_ids", seen);
  put.at(p.seen_outputs, "seen_outputs", seen);
  const std::int64_t biases = entries(p.bias_offsets, "bias_offsets");
  put.at(p.bias_ids, "bias_ids", biases);
  put.at(p.bias, "bias", biases);
  put.maybe(p.allowed, "allowed", n(p.rows, (p.vocab + 31) / 32));
  put.at(p.id, "id", p.rows);
  put.at(p.logprob, "logprob", p.rows);
  put.at(p.raw_logprob, "raw_logprob", p.rows);
  put.maybe(p.entropy, "entropy", p.rows);
  put.maybe(p.kept_count, "kept_count", p.rows);
  put.maybe(p.kept_ids, "kept_ids", n(p.rows, p.kept_capacity));
  put.at(p.top_ids, "top_ids", n(p.rows, p.top));
  put.at(p.top_logprobs, "top_logprobs", n(p.rows, p.top));
}

}  // namespace seedbed::engine::kit
