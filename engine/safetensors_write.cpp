#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>

#include "base/check.h"
#include "engine/safetensors.h"
#include "schemas/value.h"

namespace seedbed::engine {
namespace {

constexpr const char* kUnfinished = ".unfinished";

struct Shard {
  std::vector<std::size_t> tensors;  // in the order of the payload
  std::string name;
  int fd = -1;
};

struct Place {
  std::size_t shard = 0;
  std::uint64_t begin = 0;  // byte of the file
  std::uint64_t bytes = 0;
};

Error system_error(const std::string& path, const char* what) {
  return make_error(Where::config, "safetensors", path, std::string(what) + ": " + strerror(errno),
                    "free space there, or choose another folder");
}

std::uint64_t planned_bytes(const PlannedTensor& tensor) {
  std::uint64_t bytes = stored_type_bytes(tensor.dtype);
  for (const auto n : tensor.shape)
    SEEDBED_CHECK(n >= 0 && !__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(n), &bytes),
                  tensor.name);
  return bytes;
}

// Fills shards in the order given; a shard ends before it would pass the bound.
std::vector<Shard> cut(const std::vector<PlannedTensor>& tensors, std::uint64_t max_bytes) {
  std::vector<Shard> shards(1);
  std::uint64_t filled = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto bytes = planned_bytes(tensors[i]);
    if (filled > 0 && filled + bytes > max_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().tensors.push_back(i);
    filled += bytes;
  }
  for (std::size_t s = 0; s < shards.size(); ++s) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", s + 1, shards.size());
    shards[s].name = name;
    // The widest types first: without padding every tensor then begins at a multiple of its
    // element.
    std::stable_sort(
        shards[s].tensors.begin(), shards[s].tensors.end(), [&](std::size_t a, std::size_t b) {
          return stored_type_bytes(tensors[a].dtype) > stored_type_bytes(tensors[b].dtype);
        });
  }
  return shards;
}

std::string header_text(const Shard& shard,
                        const std::vector<PlannedTensor>& tensors,
                        std::vector<Place>& places,
                        std::size_t shard_index) {
  schemas::Value json = schemas::Value::object();
  // Appended, not set(): names are unique, and set() would search for each.
  auto& members = json.members();
  members.emplace_back("__metadata__", schemas::Value::object().set("format", "pt"));
  std::uint64_t at = 0;
  for (const auto i : shard.tensors) {
    const auto& tensor = tensors[i];
    const auto bytes = planned_bytes(tensor);
    schemas::Value shape = schemas::Value::array();
    for (const auto n : tensor.shape) shape.push(n);
    schemas::Value entry = schemas::Value::object();
    entry.set("dtype", stored_type_name(tensor.dtype)).set("shape", std::move(shape));
    entry.set("data_offsets", schemas::Value::Array{static_cast<std::int64_t>(at),
                                                    static_cast<std::int64_t>(at + bytes)});
    members.emplace_back(tensor.name, std::move(entry));
    places[i] = {shard_index, at, bytes};
    at += bytes;
  }
  auto text = schemas::dump(json);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the payload begins at a multiple of 8
  std::string out(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  out += text;
  for (const auto i : shard.tensors) places[i].begin += out.size();
  return out;
}

Step write_at(
    int fd, const std::string& path, std::uint64_t offset, const char* bytes, std::size_t size) {
  while (size > 0) {
    const auto n = ::pwrite(fd, bytes, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error(path, "writing failed");
    bytes += n;
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
  return std::nullopt;
}

Step write_whole(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return system_error(path, "cannot be made");
  auto error = write_at(fd, path, 0, text.data(), text.size());
  if (::close(fd) != 0 && !error) error = system_error(path, "closing failed");
  return error;
}

}  // namespace

struct SafetensorsWriter::State {
  std::string dir;
  std::vector<PlannedTensor> tensors;
  std::vector<Shard> shards;
  std::vector<Place> places;
  std::atomic<std::uint64_t> put_bytes{0};
  bool finished = false;

  [[nodiscard]] std::string path(const Shard& shard) const { return dir + "/" + shard.name; }

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    for (auto& shard : shards) {
      if (shard.fd >= 0) ::close(shard.fd);
      if (shard.fd >= 0 && !finished) ::unlink((path(shard) + kUnfinished).c_str());
    }
  }
};

SafetensorsWriter::SafetensorsWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
SafetensorsWriter::SafetensorsWriter(SafetensorsWriter&&) noexcept = default;
SafetensorsWriter& SafetensorsWriter::operator=(SafetensorsWriter&&) noexcept = default;
SafetensorsWriter::~SafetensorsWriter() = default;

Result<SafetensorsWriter> SafetensorsWriter::create(const std::string& dir,
                                                    std::vector<PlannedTensor> tensors,
                                                    std::uint64_t max_shard_bytes) {
  namespace fs = std::filesystem;
  std::error_code code;
  fs::create_directories(dir, code);
  if (code)
    return make_error(Where::config, "folder", dir, "cannot be made: " + code.message(),
                      "choose another folder");
  for (const auto& entry : fs::directory_iterator(dir, code))
    if (entry.path().extension() == ".safetensors")
      return make_error(
          Where::config, "folder", dir,
          "already holds " + entry.path().filename().string() + ", wanted a folder without weights",
          "choose another folder or empty this one");

  auto state = std::make_unique<State>();
  state->dir = dir;
  state->tensors = std::move(tensors);
  state->shards = cut(state->tensors, max_shard_bytes);
  state->places.resize(state->tensors.size());
  for (std::size_t s = 0; s < state->shards.size(); ++s) {
    auto& shard = state->shards[s];
    const auto header = header_text(shard, state->tensors, state->places, s);
    const auto path = state->path(shard) + kUnfinished;
    shard.fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (shard.fd < 0) return system_error(path, "cannot be made");
    if (auto error = write_at(shard.fd, path, 0, header.data(), header.size()))
      return *std::move(error);
    std::uint64_t size = header.size();
    for (const auto i : shard.tensors) size += state->places[i].bytes;
    if (::ftruncate(shard.fd, static_cast<off_t>(size)) != 0)
      return system_error(path, "cannot be grown");
  }
  return SafetensorsWriter(std::move(state));
}

Step SafetensorsWriter::put(std::size_t tensor,
                            std::uint64_t offset,
                            std::span<const std::byte> bytes) {
  SEEDBED_CHECK(tensor < state_->places.size(), tensor);
  const auto& place = state_->places[tensor];
  SEEDBED_CHECK(offset <= place.bytes && bytes.size() <= place.bytes - offset, offset,
                bytes.size());
  const auto& shard = state_->shards[place.shard];
  state_->put_bytes += bytes.size();
  return write_at(shard.fd, state_->path(shard), place.begin + offset,
                  reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Step SafetensorsWriter::finish() {
  std::uint64_t planned = 0;
  for (const auto& place : state_->places) planned += place.bytes;
  SEEDBED_CHECK(state_->put_bytes == planned, state_->put_bytes, planned);

  std::map<std::string, std::string> names;
  for (const auto& shard : state_->shards)
    for (const auto i : shard.tensors) names.emplace(state_->tensors[i].name, shard.name);
  schemas::Value map = schemas::Value::object();
  for (const auto& [name, file] : names) map.members().emplace_back(name, file);
  schemas::Value index = schemas::Value::object();
  index.set("metadata",
            schemas::Value::object().set("total_size", static_cast<std::int64_t>(planned)));
  index.set("weight_map", std::move(map));

  for (auto& shard : state_->shards) {
    const auto path = state_->path(shard);
    const int fd = std::exchange(shard.fd, -1);
    if (::close(fd) != 0) return system_error(path, "closing failed");
    if (::rename((path + kUnfinished).c_str(), path.c_str()) != 0)
      return system_error(path, "cannot be renamed");
  }
  state_->finished = true;
  return write_whole(state_->dir + "/model.safetensors.index.json",
                     schemas::dump_pretty(index) + "\n");
}

}  // namespace seedbed::engine
