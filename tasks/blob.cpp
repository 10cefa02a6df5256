#include "tasks/blob.h"

#include <zstd.h>

#include <cstdint>

#include "base/check.h"
#include "base/hash.h"

namespace seedbed::tasks {
namespace {

constexpr int kLevel = 1;  // documents are small and written often

Error bad_blob(const std::string& found_and_wanted) {
  return make_error(Where::store, "blob", "", found_and_wanted,
                    "restore the file from a copy, or make it anew");
}

}  // namespace

struct BlobCodec::State {
  ZSTD_CCtx* out = ZSTD_createCCtx();
  ZSTD_DCtx* in = ZSTD_createDCtx();
  std::string frame;
  State() { SEEDBED_CHECK(out != nullptr && in != nullptr); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    ZSTD_freeCCtx(out);
    ZSTD_freeDCtx(in);
  }
};

BlobCodec::BlobCodec() : state_(std::make_unique<State>()) {}
BlobCodec::~BlobCodec() = default;
BlobCodec::BlobCodec(BlobCodec&&) noexcept = default;
BlobCodec& BlobCodec::operator=(BlobCodec&&) noexcept = default;

Result<std::string_view> BlobCodec::compress(std::string_view bytes) {
  if (bytes.size() > kMaxBlobBytes)
    return make_error(Where::store, "blob", "",
                      std::to_string(bytes.size()) + " bytes, at most " +
                          std::to_string(kMaxBlobBytes) + " are kept",
                      "lower the budgets of the tasks");
  const std::size_t bound = ZSTD_compressBound(bytes.size());
  if (state_->frame.size() < bound) state_->frame.resize(bound);
  const std::size_t n = ZSTD_compressCCtx(state_->out, state_->frame.data(), state_->frame.size(),
                                          bytes.data(), bytes.size(), kLevel);
  if (ZSTD_isError(n) != 0U) return bad_blob(std::string("zstd says ") + ZSTD_getErrorName(n));
  return std::string_view(state_->frame.data(), n);
}

Result<std::string> BlobCodec::decompress(std::string_view frame,
                                          std::size_t size,
                                          std::string_view hash) {
  if (size > kMaxBlobBytes)
    return bad_blob("declares " + std::to_string(size) + " bytes, at most " +
                    std::to_string(kMaxBlobBytes) + " are read");
  const unsigned long long declared = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (declared != size)
    return bad_blob("damaged: the frame does not declare the " + std::to_string(size) +
                    " bytes expected");
  std::string out(size, '\0');
  const std::size_t n =
      ZSTD_decompressDCtx(state_->in, out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(n) != 0U)
    return bad_blob(std::string("damaged: zstd says ") + ZSTD_getErrorName(n));
  if (n != size)
    return bad_blob("damaged: it holds " + std::to_string(n) + " bytes, not " +
                    std::to_string(size));
  const std::string found = content_hash(out);
  if (found != hash)
    return bad_blob("damaged: its hash is " + found + ", not " + std::string(hash));
  return out;
}

std::string pack_sections(const std::vector<std::string_view>& sections) {
  std::size_t total = 0;
  for (const auto& s : sections) total += s.size() + 4;
  std::string out;
  out.reserve(total);
  for (const auto& s : sections) {
    SEEDBED_CHECK(s.size() <= UINT32_MAX, s.size());
    const auto n = static_cast<std::uint32_t>(s.size());
    for (unsigned shift = 0; shift < 32; shift += 8)
      out.push_back(static_cast<char>((n >> shift) & 0xFFU));
    out.append(s);
  }
  return out;
}

Result<std::vector<std::string_view>> unpack_sections(std::string_view bytes, std::size_t count) {
  std::vector<std::string_view> out;
  while (!bytes.empty()) {
    if (out.size() == count)
      return bad_blob("has more than " + std::to_string(count) + " sections");
    if (bytes.size() < 4) return bad_blob("ends inside a length");
    std::uint32_t n = 0;
    for (unsigned i = 0; i < 4; ++i)
      n |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    bytes.remove_prefix(4);
    if (bytes.size() < n)
      return bad_blob("has a section of " + std::to_string(n) + " bytes where " +
                      std::to_string(bytes.size()) + " are left");
    out.push_back(bytes.substr(0, n));
    bytes.remove_prefix(n);
  }
  if (out.size() != count)
    return bad_blob("has " + std::to_string(out.size()) + " sections, not " +
                    std::to_string(count));
  return out;
}

}  // namespace seedbed::tasks
