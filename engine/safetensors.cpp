#include "engine/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "engine/shown.h"
#include "schemas/value.h"

namespace seedbed::engine {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = 100U << 20;  // as the format's own reader bounds it
constexpr std::size_t kMaxTensors = 1U << 22;
constexpr std::size_t kMaxDims = 8;

struct StoredTypeRow {
  StoredType dtype;
  const char* name;
  std::uint64_t bytes;
};
constexpr StoredTypeRow kStoredTypes[] = {
    {StoredType::f8_e4m3, "F8_E4M3", 1}, {StoredType::bf16, "BF16", 2},
    {StoredType::f32, "F32", 4},         {StoredType::f16, "F16", 2},
    {StoredType::f64, "F64", 8},         {StoredType::f8_e5m2, "F8_E5M2", 1},
    {StoredType::f8_e8m0, "F8_E8M0", 1}, {StoredType::i8, "I8", 1},
    {StoredType::u8, "U8", 1},           {StoredType::i16, "I16", 2},
    {StoredType::u16, "U16", 2},         {StoredType::i32, "I32", 4},
    {StoredType::u32, "U32", 4},         {StoredType::i64, "I64", 8},
    {StoredType::u64, "U64", 8},         {StoredType::boolean, "BOOL", 1},
};

Error broken(std::string_view where, std::string found_and_wanted) {
  return make_error(Where::config, "safetensors", where, found_and_wanted,
                    "fetch or write the file again");
}

std::string quoted(const std::string& name) {
  return "tensor " + shown_name(name);
}

// One entry of the header; what it says about its bytes is checked against its shape here, and
// against its neighbours by check_tiling.
Result<TensorInfo> parse_tensor(const std::string& name,
                                const schemas::Value& json,
                                std::uint64_t payload_bytes,
                                std::string_view where) {
  TensorInfo out;
  out.name = name;
  const auto* dtype = json.find("dtype");
  const auto* shape = json.find("shape");
  const auto* offsets = json.find("data_offsets");
  if (dtype == nullptr || !dtype->is_string() || shape == nullptr || !shape->is_array() ||
      offsets == nullptr || !offsets->is_array() || json.members().size() != 3)
    return broken(where, quoted(name) + " is no object of dtype, shape and data_offsets");

  const auto* row =
      std::find_if(std::begin(kStoredTypes), std::end(kStoredTypes),
                   [&](const StoredTypeRow& r) { return dtype->as_string() == r.name; });
  if (row == std::end(kStoredTypes))
    return broken(where, quoted(name) + ": unknown dtype " + shown_name(dtype->as_string()));
  out.dtype = row->dtype;

  std::uint64_t bytes = row->bytes;
  if (shape->items().size() > kMaxDims) return broken(where, quoted(name) + ": over 8 dimensions");
  for (const auto& n : shape->items()) {
    if (!n.is_int() || n.as_int() < 0)
      return broken(where, quoted(name) + ": shape holds what is no size");
    out.shape.push_back(n.as_int());
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(n.as_int()), &bytes))
      return broken(where, quoted(name) + ": shape " + shape_text(out.shape) + " overflows");
  }

  const auto& ends = offsets->items();
  if (ends.size() != 2 || !ends[0].is_int() || !ends[1].is_int() || ends[0].as_int() < 0 ||
      ends[1].as_int() < ends[0].as_int())
    return broken(where, quoted(name) + ": data_offsets are no ascending pair of sizes");
  out.begin = static_cast<std::uint64_t>(ends[0].as_int());
  out.end = static_cast<std::uint64_t>(ends[1].as_int());
  if (out.end > payload_bytes)
    return broken(where, quoted(name) + ": ends at byte " + std::to_string(out.end) +
                             " of a payload of " + std::to_string(payload_bytes) +
                             " bytes (the file is cut short, or the header is wrong)");
  if (out.bytes() != bytes)
    return broken(where, quoted(name) + ": " + std::to_string(out.bytes()) + " bytes for " +
                             row->name + " " + shape_text(out.shape) + ", wanted " +
                             std::to_string(bytes));
  return out;
}

Step check_tiling(const std::vector<TensorInfo>& tensors,
                  std::uint64_t payload_bytes,
                  std::string_view where) {
  std::uint64_t at = 0;
  for (const auto& tensor : tensors) {
    if (tensor.begin != at)
      return broken(where, quoted(tensor.name) + " begins at byte " + std::to_string(tensor.begin) +
                               ", wanted " + std::to_string(at) + " (tensors " +
                               (tensor.begin < at ? "overlap)" : "leave a gap)"));
    at = tensor.end;
  }
  if (at != payload_bytes)
    return broken(where, "the tensors end at byte " + std::to_string(at) + " of a payload of " +
                             std::to_string(payload_bytes) + " bytes, wanted both equal");
  return std::nullopt;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

Error system_error(const std::string& path, const char* what) {
  return make_error(Where::config, "safetensors", path, std::string(what) + ": " + strerror(errno),
                    "check the path");
}

Step read_at(int fd, const std::string& path, std::uint64_t offset, char* out, std::size_t size) {
  while (size > 0) {
    const auto n = ::pread(fd, out, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(path, "reading failed");
    if (n == 0) return broken(path, "the file ends inside its header");
    out += n;
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
  return std::nullopt;
}

Result<SafetensorsHeader> read_header(int fd, const std::string& path) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return system_error(path, "stat failed");
  if (!S_ISREG(info.st_mode)) return broken(path, "found no regular file");
  const auto file_bytes = static_cast<std::uint64_t>(info.st_size);
  unsigned char length[8];
  if (file_bytes < sizeof length)
    return broken(path, std::to_string(file_bytes) + " bytes, wanted at least 8");
  if (auto error = read_at(fd, path, 0, reinterpret_cast<char*>(length), sizeof length))
    return *std::move(error);
  std::uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i) header_bytes = header_bytes << 8 | length[i];
  if (header_bytes > kMaxHeaderBytes || header_bytes > file_bytes - sizeof length)
    return broken(path, "a header of " + std::to_string(header_bytes) + " bytes in a file of " +
                            std::to_string(file_bytes) + ", wanted at most the file and 100 MiB");
  std::string json(header_bytes, '\0');
  if (auto error = read_at(fd, path, sizeof length, json.data(), json.size()))
    return *std::move(error);
  const auto begin = sizeof length + header_bytes;
  SEEDBED_TRY(auto header, parse_safetensors_header(json, file_bytes - begin, path));
  header.payload_begin = begin;
  return header;
}

}  // namespace

const char* stored_type_name(StoredType dtype) {
  return kStoredTypes[static_cast<std::size_t>(dtype)].name;
}

std::uint64_t stored_type_bytes(StoredType dtype) {
  return kStoredTypes[static_cast<std::size_t>(dtype)].bytes;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    out += (i > 0 ? "," : "") + std::to_string(shape[i]);
  return out + "]";
}

Result<SafetensorsHeader> parse_safetensors_header(std::string_view json,
                                                   std::uint64_t payload_bytes,
                                                   std::string_view where) {
  if (json.size() > kMaxHeaderBytes) return broken(where, "a header over 100 MiB");
  const auto parsed = schemas::parse_json(json, {.max_bytes = kMaxHeaderBytes, .max_depth = 4});
  if (!parsed.ok()) return broken(where, "its header is no JSON: " + parsed.error().message);
  if (!parsed->is_object()) return broken(where, "its header is no JSON object");
  if (parsed->members().size() > kMaxTensors) return broken(where, "over 4,194,304 tensors");

  SafetensorsHeader out;
  out.payload_bytes = payload_bytes;
  for (const auto& [name, value] : parsed->members()) {
    if (!value.is_object()) return broken(where, quoted(name) + " is no object");
    if (name == "__metadata__") {
      for (const auto& [key, text] : value.members()) {
        if (!text.is_string()) return broken(where, "__metadata__ holds what is no string");
        out.metadata.emplace_back(key, text.as_string());
      }
      continue;
    }
    SEEDBED_TRY(auto tensor, parse_tensor(name, value, payload_bytes, where));
    out.tensors.push_back(std::move(tensor));
  }
  std::stable_sort(out.tensors.begin(), out.tensors.end(),
                   [](const TensorInfo& a, const TensorInfo& b) {
                     return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
                   });
  if (auto error = check_tiling(out.tensors, payload_bytes, where)) return *std::move(error);
  return out;
}

Result<SafetensorsHeader> read_safetensors_header(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return system_error(path, "cannot be opened");
  return read_header(file.get(), path);
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return system_error(path, "cannot be opened");
  SafetensorsFile out;
  SEEDBED_TRY(out.header_, read_header(file.get(), path));
  out.map_bytes_ = static_cast<std::size_t>(out.header_.payload_begin + out.header_.payload_bytes);
  void* map = ::mmap(nullptr, out.map_bytes_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (map == MAP_FAILED) return system_error(path, "cannot be mapped");
  out.map_ = map;
  // Weights are read front to back again and again, never written: large pages where the kernel has
  // them for files. It is a hint; nothing depends on it.
  (void)::madvise(map, out.map_bytes_, MADV_HUGEPAGE);
  return out;
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : header_(std::move(other.header_)),
      map_(std::exchange(other.map_, nullptr)),
      map_bytes_(std::exchange(other.map_bytes_, 0)) {}

SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&& other) noexcept {
  std::swap(header_, other.header_);
  std::swap(map_, other.map_);
  std::swap(map_bytes_, other.map_bytes_);
  return *this;
}

SafetensorsFile::~SafetensorsFile() {
  if (map_ != nullptr) ::munmap(map_, map_bytes_);
}

const std::byte* SafetensorsFile::bytes(std::uint64_t begin, std::uint64_t count) const {
  SEEDBED_CHECK(begin <= map_bytes_ && count <= map_bytes_ - begin, begin, count, map_bytes_);
  return static_cast<const std::byte*>(map_) + begin;
}

}  // namespace seedbed::engine
