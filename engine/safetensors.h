// Files of tensors (huggingface/safetensors): 8 bytes of header length, a JSON header, the payload.
// What a header says is checked against the file before any of it is used: the tensors tile the
// payload without gap or overlap, and each has the size of its shape.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace seedbed::engine {

// Every type of the format; the engine computes with the first three.
enum class StoredType : std::uint8_t {
  f8_e4m3,
  bf16,
  f32,
  f16,
  f64,
  f8_e5m2,
  f8_e8m0,
  i8,
  u8,
  i16,
  u16,
  i32,
  u32,
  i64,
  u64,
  boolean
};
const char* stored_type_name(StoredType dtype);  // as the header spells it: "F8_E4M3"
std::uint64_t stored_type_bytes(StoredType dtype);

struct TensorInfo {
  std::string name;
  StoredType dtype = StoredType::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;  // bytes of the payload

  [[nodiscard]] std::uint64_t bytes() const { return end - begin; }
  [[nodiscard]] std::uint64_t elements() const { return bytes() / stored_type_bytes(dtype); }
};
std::string shape_text(std::span<const std::int64_t> shape);  // "[576,7168]"

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // ascending by begin
  std::vector<std::pair<std::string, std::string>> metadata;
  std::uint64_t payload_begin = 0;  // byte of the file
  std::uint64_t payload_bytes = 0;
};

// The JSON text of a header and how much payload follows it. Error{config} names `where` and the
// tensor. payload_begin is left 0.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view json,
                                                   std::uint64_t payload_bytes,
                                                   std::string_view where);
// Reads the header alone; the payload is not touched.
Result<SafetensorsHeader> read_safetensors_header(const std::string& path);

// A file mapped for reading. It must not change while it is open: a file that shrinks ends the
// process with SIGBUS when the missing bytes are touched. Its size is checked when it is opened.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::string& path);
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&& other) noexcept;
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;
  ~SafetensorsFile();

  [[nodiscard]] const SafetensorsHeader& header() const { return header_; }
  // Bytes of the file from `begin` on; valid while this lives. They must lie in the file.
  [[nodiscard]] const std::byte* bytes(std::uint64_t begin, std::uint64_t count) const;
  [[nodiscard]] const std::byte* data(const TensorInfo& tensor) const {
    return bytes(header_.payload_begin + tensor.begin, tensor.bytes());
  }

 private:
  SafetensorsFile() = default;
  SafetensorsHeader header_;
  void* map_ = nullptr;
  std::size_t map_bytes_ = 0;
};

struct PlannedTensor {
  std::string name;
  StoredType dtype = StoredType::f32;
  std::vector<std::int64_t> shape;
};

// Writes tensors that are known by name and shape beforehand into numbered shards with an index.
// Values may come in any order, in pieces and from several threads at once; every byte must be put
// exactly once. Files get their final names in finish() alone, so that a run which ended early
// leaves no checkpoint that looks whole; the destructor removes what is unfinished.
class SafetensorsWriter {
 public:
  // Error{config}: DIR already holds safetensors files, or cannot be written.
  static Result<SafetensorsWriter> create(const std::string& dir,
                                          std::vector<PlannedTensor> tensors,
                                          std::uint64_t max_shard_bytes);
  SafetensorsWriter(SafetensorsWriter&&) noexcept;
  SafetensorsWriter& operator=(SafetensorsWriter&&) noexcept;
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;
  ~SafetensorsWriter();

  // `tensor` counts in the order given to create(); `offset` in bytes of that tensor.
  Step put(std::size_t tensor, std::uint64_t offset, std::span<const std::byte> bytes);
  Step finish();

 private:
  struct State;
  explicit SafetensorsWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace seedbed::engine
