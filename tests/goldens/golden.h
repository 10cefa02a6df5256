// Reads the golden files beside it; README.md describes the format and what each array means.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace seedbed::goldens {

// Ids of the tokens that a golden was computed for.
inline std::vector<std::int32_t> tokens(std::uint64_t seed, int count, int vocab) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < count; ++i) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    ids.push_back(static_cast<std::int32_t>((seed >> 33) % static_cast<std::uint64_t>(vocab)));
  }
  return ids;
}

struct Array {
  std::string dtype;  // f32, u8, u16
  std::vector<std::size_t> shape;
  std::vector<std::byte> bytes;

  [[nodiscard]] std::size_t count() const {
    std::size_t total = 1;
    for (const std::size_t extent : shape) total *= extent;
    return total;
  }
  template <class T>
  [[nodiscard]] std::vector<T> values() const {
    if (sizeof(T) * count() != bytes.size()) throw std::runtime_error("golden: another type");
    std::vector<T> out(count());
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
};

struct Golden {
  std::map<std::string, std::string> fields;
  std::map<std::string, Array> arrays;

  [[nodiscard]] int number(const std::string& key) const { return std::stoi(fields.at(key)); }
  [[nodiscard]] std::vector<std::int32_t> tokens() const {
    return goldens::tokens(std::stoull(fields.at("token_seed")), number("positions"),
                           number("vocab"));
  }
  [[nodiscard]] std::vector<float> floats(const std::string& name) const {
    return arrays.at(name).values<float>();
  }
  // Chosen keys of one row, ascending, from an array "selected" or "mtp_selected"; owner counts the
  // layers with an indexer. Only rows from index_topk on are stored: before, all keys are chosen.
  [[nodiscard]] std::vector<std::int32_t> selected(const std::string& name,
                                                   int owner,
                                                   int row) const {
    const Array& array = arrays.at(name);
    const int stored = row - number("index_topk");
    if (stored < 0 || static_cast<std::size_t>(stored) >= array.shape.at(1)) {
      throw std::runtime_error("golden: a row that is not stored");
    }
    const std::size_t width = array.shape.at(2);
    const std::byte* bits = array.bytes.data() + (static_cast<std::size_t>(owner) * array.shape[1] +
                                                  static_cast<std::size_t>(stored)) *
                                                     width;
    std::vector<std::int32_t> keys;
    for (std::size_t j = 0; j < 8 * width; ++j) {
      if (std::to_integer<unsigned>(bits[j / 8] >> (j % 8)) & 1U) {
        keys.push_back(static_cast<std::int32_t>(j));
      }
    }
    return keys;
  }
};

// Throws std::runtime_error where the file cannot be read or is none.
inline Golden load_golden(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(path + ": cannot be opened");
  std::string line;
  if (!std::getline(in, line) || line != "seedbed-golden 1") {
    throw std::runtime_error(path + ": no golden file");
  }
  Golden golden;
  std::vector<std::string> order;
  while (std::getline(in, line) && line != "end") {
    std::istringstream words(line);
    std::string key, name;
    words >> key;
    if (key != "array") {
      std::getline(words >> std::ws, golden.fields[key]);
      continue;
    }
    Array array;
    words >> name >> array.dtype;
    for (std::size_t extent = 0; words >> extent;) array.shape.push_back(extent);
    order.push_back(name);
    golden.arrays[name] = std::move(array);
  }
  for (const std::string& name : order) {
    Array& array = golden.arrays[name];
    const std::size_t width = array.dtype == "f32" ? 4 : array.dtype == "u16" ? 2 : 1;
    array.bytes.resize(width * array.count());
    in.read(reinterpret_cast<char*>(array.bytes.data()),
            static_cast<std::streamsize>(array.bytes.size()));
    if (!in) throw std::runtime_error(path + ": ends within array " + name);
  }
  if (in.peek() != std::ifstream::traits_type::eof()) {
    throw std::runtime_error(path + ": more than its header says");
  }
  return golden;
}

// Adds `shift` to every e_score_correction_bias of a safetensors file that make-model wrote (f32),
// in place: the field bias_shift of a golden, where it has one. Returns how many numbers changed.
inline std::size_t shift_biases(const std::string& path, float shift) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  std::uint64_t size = 0;
  file.read(reinterpret_cast<char*>(&size), sizeof size);
  if (!file || size > (1U << 24)) throw std::runtime_error(path + ": no safetensors file");
  std::string header(size, '\0');
  file.read(header.data(), static_cast<std::streamsize>(size));
  std::size_t changed = 0;
  for (std::size_t at = 0; (at = header.find("e_score_correction_bias\"", at)) != std::string::npos;
       ++at) {
    const std::size_t bracket = header.find('[', header.find("\"data_offsets\"", at));
    std::size_t used = 0;
    const std::uint64_t begin = std::stoull(header.substr(bracket + 1), &used);
    const std::uint64_t end = std::stoull(header.substr(bracket + 1 + used + 1));
    std::vector<float> values((end - begin) / sizeof(float));
    const auto place = static_cast<std::streamoff>(8 + size + begin);
    const auto bytes = static_cast<std::streamsize>(values.size() * sizeof(float));
    file.seekg(place);
    file.read(reinterpret_cast<char*>(values.data()), bytes);
    for (float& value : values) value += shift;
    file.seekp(place);
    file.write(reinterpret_cast<const char*>(values.data()), bytes);
    if (!file) throw std::runtime_error(path + ": a bias could not be rewritten");
    changed += values.size();
  }
  return changed;
}

}  // namespace seedbed::goldens
