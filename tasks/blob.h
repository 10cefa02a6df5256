// Blobs: bytes compressed with zstd, named by the content hash of what they hold; and the section
// form in which documents that are read together share a blob. Both readers take hostile bytes:
// declared sizes are checked against kMaxBlobBytes.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace seedbed::tasks {

inline constexpr std::size_t kMaxBlobBytes = 256U << 20;

// Compression with contexts kept between blobs. Not thread-safe.
class BlobCodec {
 public:
  BlobCodec();
  ~BlobCodec();
  BlobCodec(const BlobCodec&) = delete;
  BlobCodec& operator=(const BlobCodec&) = delete;
  BlobCodec(BlobCodec&&) noexcept;
  BlobCodec& operator=(BlobCodec&&) noexcept;

  // One zstd frame that declares its size. The view is good until the next call. Error where bytes
  // exceed kMaxBlobBytes.
  Result<std::string_view> compress(std::string_view bytes);
  // Exactly one frame of exactly `size` bytes with that content hash, or Error{store} saying what
  // is wrong with it.
  Result<std::string> decompress(std::string_view frame, std::size_t size, std::string_view hash);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Sections, each with its length (32 bits, little-endian) before it.
std::string pack_sections(const std::vector<std::string_view>& sections);
// The views point into `bytes`. Error where there are not exactly `count`.
Result<std::vector<std::string_view>> unpack_sections(std::string_view bytes, std::size_t count);

}  // namespace seedbed::tasks
