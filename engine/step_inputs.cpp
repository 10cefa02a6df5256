#include "engine/step_inputs.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace seedbed::engine {

namespace {
constexpr std::int64_t kAlign = 64;
std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kAlign - 1) / kAlign * kAlign;
}
}  // namespace

// The page table is last: its size depends on the sequences too.
StepInputs::Places StepInputs::places(int rows, int logits, int half) {
  Places out{};
  std::int64_t at = 0;
  const auto next = [&](std::int64_t& place, std::int64_t count) {
    place = at;
    at += aligned(count * 4);
  };
  for (std::int64_t* place :
       {&out.tokens, &out.slots, &out.key_end, &out.list_length, &out.sequence})
    next(*place, rows);
  next(out.cos, std::int64_t{rows} * half);
  next(out.sin, std::int64_t{rows} * half);
  next(out.logit_rows, logits);
  out.page_table = at;
  return out;
}

std::int64_t StepInputs::bytes_for(
    int rows, int logits, int half, std::int64_t sequences, std::int64_t stride) {
  return places(rows, logits, half).page_table + aligned(sequences * stride * 4);
}

void StepInputs::fill(const ModelConfig& config,
                      const std::vector<float>& frequencies,
                      const Batch& batch,
                      int pages,
                      int rows,
                      int logits,
                      std::int64_t stride) {
  const auto half = static_cast<int>(frequencies.size());
  const std::int64_t sequences =
      batch.table_stride == 0
          ? 0
          : static_cast<std::int64_t>(batch.page_table.size()) / batch.table_stride;
  places_ = places(rows, logits, half);
  bytes_ = places_.page_table + aligned(sequences * stride * 4);
  if (static_cast<std::int64_t>(block_.size()) < bytes_)
    block_.resize(static_cast<std::size_t>(bytes_));
  std::int32_t *tokens = ints(places_.tokens), *slots = ints(places_.slots),
               *key_end = ints(places_.key_end), *length = ints(places_.list_length),
               *sequence = ints(places_.sequence), *table = ints(places_.page_table);
  auto* cosine = reinterpret_cast<float*>(ints(places_.cos));
  auto* sine = reinterpret_cast<float*>(ints(places_.sin));
  const auto own = static_cast<int>(batch.tokens.size());
  for (int t = 0; t < rows; ++t) {
    const auto i = static_cast<std::size_t>(t);
    const bool filler = t >= own;
    const std::int32_t position = filler ? 0 : batch.positions[i];
    tokens[t] = filler ? 0 : batch.tokens[i];
    sequence[t] = filler ? 0 : batch.sequence[i];
    slots[t] = -1;
    if (!filler) {
      const std::int32_t page = batch.page_table[static_cast<std::size_t>(
          batch.sequence[i] * batch.table_stride + position / kernels::kPageTokens)];
      SEEDBED_CHECK(page >= 0 && page < pages, page);
      slots[t] = page * kernels::kPageTokens + position % kernels::kPageTokens;
    }
    key_end[t] = position + 1;
    length[t] = std::min(position + 1, config.index_topk);
    // The angle is rounded to f32 first, as in the published code; its cosine and sine then are
    // exact.
    for (int f = 0; f < half; ++f) {
      const auto angle = static_cast<double>(static_cast<float>(position) *
                                             frequencies[static_cast<std::size_t>(f)]);
      cosine[t * half + f] = static_cast<float>(std::cos(angle));
      sine[t * half + f] = static_cast<float>(std::sin(angle));
    }
  }
  std::int32_t* wanted = ints(places_.logit_rows);
  std::copy(batch.logit_rows.begin(), batch.logit_rows.end(), wanted);
  std::fill(wanted + batch.logit_rows.size(), wanted + logits, 0);
  for (std::int64_t s = 0; s < sequences; ++s) {
    const auto from = batch.page_table.begin() + s * batch.table_stride;
    std::fill(std::copy_n(from, batch.table_stride, table + s * stride), table + (s + 1) * stride,
              -1);
  }
}

const std::int32_t* StepInputs::key_end() const {
  return reinterpret_cast<const std::int32_t*>(block_.data() + places_.key_end);
}

BatchInputs StepInputs::at(const std::byte* base) const {
  const auto ints_at = [&](std::int64_t place) {
    return reinterpret_cast<const std::int32_t*>(base + place);
  };
  const auto floats_at = [&](std::int64_t place) {
    return reinterpret_cast<const float*>(base + place);
  };
  return {.tokens = ints_at(places_.tokens),
          .slots = ints_at(places_.slots),
          .key_end = ints_at(places_.key_end),
          .list_length = ints_at(places_.list_length),
          .sequence = ints_at(places_.sequence),
          .logit_rows = ints_at(places_.logit_rows),
          .page_table = ints_at(places_.page_table),
          .cos = floats_at(places_.cos),
          .sin = floats_at(places_.sin)};
}

}  // namespace seedbed::engine
