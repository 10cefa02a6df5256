#include "agent/token_arrays.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace seedbed::agent {
namespace {

static_assert(std::endian::native == std::endian::little,
              "arrays are stored as they lie in memory");

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> digit_values() {
  std::array<std::int8_t, 256> out{};
  for (auto& x : out) x = -1;
  for (std::size_t i = 0; i < kDigits.size(); ++i)
    out[static_cast<unsigned char>(kDigits[i])] = static_cast<std::int8_t>(i);
  return out;
}
constexpr auto kValues = digit_values();

template <class T>
std::string packed(const std::vector<T>& numbers) {
  return base64({reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)});
}

Error unfit(const std::string& array, const std::string& found, const std::string& wanted) {
  return make_error(Where::store, "token record", array, "found " + found + ", wanted " + wanted,
                    "restore the store from a copy, or run the episode again");
}

template <class T>
Step read(const std::string& text, const char* name, std::size_t count, std::vector<T>& out) {
  auto bytes = from_base64(text);
  if (!bytes.ok()) return unfit(name, "text that is no base64", "base64");
  if (bytes->size() != count * sizeof(T))
    return unfit(name, std::to_string(bytes->size()) + " bytes",
                 std::to_string(count * sizeof(T)) + " for " + std::to_string(count) + " entries");
  out.resize(count);
  std::memcpy(out.data(), bytes->data(), bytes->size());
  return std::nullopt;
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k)
      out.push_back(k <= n ? kDigits[group >> (18 - 6 * k) & 63U] : '=');
  }
  return out;
}

Result<std::string> from_base64(std::string_view text) {
  const auto bad = [] {
    return make_error(Where::store, "base64", "", "found something else", "write it again");
  };
  if (text.size() % 4 != 0) return bad();
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const std::size_t padding = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2U : 1U) : 0U;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const std::int8_t value =
          k >= 4 - padding ? std::int8_t{0} : kValues[static_cast<unsigned char>(text[i + k])];
      if (value < 0) return bad();
      group = group << 6 | static_cast<std::uint32_t>(value);
    }
    for (std::size_t k = 0; k < 3 - padding; ++k)
      out.push_back(static_cast<char>(group >> (16 - 8 * k) & 255U));
  }
  return out;
}

void TokenArrays::add_given(std::string_view role, const std::vector<std::int32_t>& tokens) {
  if (tokens.empty()) return;
  const auto start = static_cast<std::int64_t>(ids.size());
  ids.insert(ids.end(), tokens.begin(), tokens.end());
  mask.resize(ids.size(), 0);
  logprobs.resize(ids.size(), 0);
  raw_logprobs.resize(ids.size(), 0);
  kept_counts.resize(ids.size(), 0);
  const auto end = static_cast<std::int64_t>(ids.size());
  if (!spans.empty() && spans.back().role == role && spans.back().role != "assistant")
    spans.back().end = end;
  else
    spans.push_back({std::string(role), start, end});
}

TokenArrays TokenArrays::given_prefix(std::size_t length) const {
  TokenArrays out;
  for (const auto& span : spans) {
    const auto start = static_cast<std::size_t>(span.start);
    if (start >= length) break;
    const auto end = std::min(length, static_cast<std::size_t>(span.end));
    out.add_given(span.role, {ids.begin() + static_cast<std::ptrdiff_t>(start),
                              ids.begin() + static_cast<std::ptrdiff_t>(end)});
  }
  return out;
}

schemas::TokenBranch pack(const TokenArrays& a) {
  schemas::TokenBranch out;
  out.count = static_cast<std::int64_t>(a.ids.size());
  out.sampled = std::count(a.mask.begin(), a.mask.end(), std::uint8_t{1});
  out.token_ids = packed(a.ids);
  out.mask = packed(a.mask);
  out.logprobs = packed(a.logprobs);
  out.raw_logprobs = packed(a.raw_logprobs);
  out.kept_counts = packed(a.kept_counts);
  out.kept_ids = packed(a.kept_ids);
  out.moe_layers = a.moe_layers;
  out.experts_per_token = a.experts_per_token;
  const auto per_token = static_cast<std::size_t>(a.moe_layers * a.experts_per_token);
  out.routed = per_token == 0 ? 0 : static_cast<std::int64_t>(a.routed_experts.size() / per_token);
  const bool wide = std::any_of(a.routed_experts.begin(), a.routed_experts.end(),
                                [](std::uint16_t e) { return e > 255; });
  out.expert_bytes = wide ? 2 : 1;
  if (wide) {
    out.routed_experts = packed(a.routed_experts);
  } else {
    std::vector<std::uint8_t> narrow(a.routed_experts.size());
    std::transform(a.routed_experts.begin(), a.routed_experts.end(), narrow.begin(),
                   [](std::uint16_t e) { return static_cast<std::uint8_t>(e); });
    out.routed_experts = packed(narrow);
  }
  out.spans = a.spans;
  return out;
}

Result<TokenArrays> unpack(const schemas::TokenBranch& b) {
  constexpr std::int64_t kMost = 1 << 24;
  TokenArrays out;
  if (b.count < 0 || b.count > kMost || b.moe_layers < 0 || b.moe_layers > 4096 ||
      b.experts_per_token < 0 || b.experts_per_token > 4096 || b.routed < 0 || b.routed > b.count)
    return unfit("counts", "numbers out of bounds", "those of one sequence");
  const auto n = static_cast<std::size_t>(b.count);
  if (auto e = read(b.token_ids, "token_ids", n, out.ids)) return *std::move(e);
  if (auto e = read(b.mask, "mask", n, out.mask)) return *std::move(e);
  if (auto e = read(b.logprobs, "logprobs", n, out.logprobs)) return *std::move(e);
  if (auto e = read(b.raw_logprobs, "raw_logprobs", n, out.raw_logprobs)) return *std::move(e);
  if (auto e = read(b.kept_counts, "kept_counts", n, out.kept_counts)) return *std::move(e);
  std::size_t kept = 0;
  for (const std::int32_t count : out.kept_counts)
    kept += count > 0 ? static_cast<std::size_t>(count) : 0U;
  if (auto e = read(b.kept_ids, "kept_ids", kept, out.kept_ids)) return *std::move(e);
  if (b.sampled != std::count(out.mask.begin(), out.mask.end(), std::uint8_t{1}) ||
      std::any_of(out.mask.begin(), out.mask.end(), [](std::uint8_t m) { return m > 1; }))
    return unfit("mask", "other than " + std::to_string(b.sampled) + " ones", "as many");
  out.moe_layers = b.moe_layers;
  out.experts_per_token = b.experts_per_token;
  const auto entries = static_cast<std::size_t>(b.routed) *
                       static_cast<std::size_t>(b.moe_layers * b.experts_per_token);
  if (b.expert_bytes == 2) {
    if (auto e = read(b.routed_experts, "routed_experts", entries, out.routed_experts))
      return *std::move(e);
  } else {
    std::vector<std::uint8_t> narrow;
    if (auto e = read(b.routed_experts, "routed_experts", entries, narrow)) return *std::move(e);
    out.routed_experts.assign(narrow.begin(), narrow.end());
  }
  std::int64_t at = 0;
  for (const auto& span : b.spans) {
    if (span.start != at || span.end < span.start)
      return unfit("spans", "a gap at " + std::to_string(at), "spans without gaps");
    at = span.end;
  }
  if (at != b.count) return unfit("spans", std::to_string(at), "an end at the last token");
  out.spans = b.spans;
  return out;
}

}  // namespace seedbed::agent
