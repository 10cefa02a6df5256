// Files come from people and from other programs: nlohmann's SAX parser reads them, so that the
// error says line and column. What it leaves to the handler (duplicate keys, depth) is refused
// here.
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "schemas/value.h"

namespace seedbed::schemas {

namespace {

constexpr std::size_t kMaxDepth = 64;

class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return add(Value()); }
  bool boolean(bool b) override { return add(Value(b)); }
  bool number_integer(number_integer_t i) override {
    return add(Value(static_cast<std::int64_t>(i)));
  }
  bool number_unsigned(number_unsigned_t u) override {
    if (std::in_range<std::int64_t>(u)) return add(Value(static_cast<std::int64_t>(u)));
    return add(Value(static_cast<double>(u)));
  }
  bool number_float(number_float_t d, const string_t& /*text*/) override { return add(Value(d)); }
  bool string(string_t& s) override { return add(Value(std::move(s))); }
  bool binary(binary_t& /*bytes*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return open(Value::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t /*size*/) override { return open(Value::array()); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Frame& frame = frames_.back();
    if (!frame.seen.insert(name).second) {
      why_ = "key '" + name + "' occurs twice in one object, wanted unique keys";
      return false;
    }
    frame.key = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position,
                   const std::string& /*token*/,
                   const nlohmann::json::exception& e) override {
    position_ = position;
    why_ = e.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ...": the
    // place is said in our own form.
    if (const auto colon = why_.find(": "); colon != std::string::npos) why_.erase(0, colon + 2);
    return false;
  }

  Value root;
  std::string why_;
  std::size_t position_ = 0;  // 1-based byte of a syntax error, 0 where a handler refused

 private:
  struct Frame {
    Value value;
    std::string key;
    std::unordered_set<std::string> seen;
  };

  bool open(Value empty) {
    if (frames_.size() >= kMaxDepth) {
      why_ = "nested deeper than " + std::to_string(kMaxDepth) + ", wanted at most that";
      return false;
    }
    frames_.emplace_back();
    frames_.back().value = std::move(empty);
    return true;
  }

  bool close() {
    Value done = std::move(frames_.back().value);
    frames_.pop_back();
    return add(std::move(done));
  }

  bool add(Value value) {
    if (frames_.empty()) {
      root = std::move(value);
      return true;
    }
    Frame& frame = frames_.back();
    if (frame.value.is_array())
      frame.value.push(std::move(value));
    else
      frame.value.members().emplace_back(std::move(frame.key), std::move(value));
    return true;
  }

  std::vector<Frame> frames_;
};

Error file_error(const std::string& at, const std::string& why, const char* todo) {
  return make_error(Where::config, "file", at, why, todo);
}

Result<std::string> read_bytes(const std::string& path, std::size_t max_bytes) {
  struct Close {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rbe"));
  if (!file) return file_error(path, std::strerror(errno), "check the path");
  struct stat info {};
  if (fstat(fileno(file.get()), &info) != 0)
    return file_error(path, std::strerror(errno), "check the path");
  if (S_ISDIR(info.st_mode))
    return file_error(path, "found a directory, wanted a file", "check the path");
  std::string text;
  char block[1 << 16];
  std::size_t n = 0;
  while ((n = std::fread(block, 1, sizeof block, file.get())) > 0) {
    if (text.size() + n > max_bytes)
      return file_error(
          path, "found more than " + std::to_string(max_bytes) + " bytes, wanted at most that",
          "split the file");
    text.append(block, n);
  }
  if (std::ferror(file.get()) != 0) return file_error(path, "reading failed", "check the disk");
  return text;
}

// A reader that counts what it gives out, so that a refusing handler knows where it is.
struct Counted {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;
  const char* p;
  const char** farthest;
  reference operator*() const { return *p; }
  Counted& operator++() {
    if (++p > *farthest) *farthest = p;
    return *this;
  }
  Counted operator++(int) {
    Counted old = *this;
    ++*this;
    return old;
  }
  friend bool operator==(const Counted& a, const Counted& b) { return a.p == b.p; }
  friend bool operator!=(const Counted& a, const Counted& b) { return a.p != b.p; }
};

}  // namespace

Result<Value> read_json_file(const std::string& path, std::size_t max_bytes) {
  SEEDBED_TRY(const std::string text, read_bytes(path, max_bytes));
  Builder builder;
  const char* farthest = text.data();
  bool ok = false;
  try {
    ok = nlohmann::json::sax_parse(Counted{text.data(), &farthest},
                                   Counted{text.data() + text.size(), &farthest}, &builder);
  } catch (const std::exception& e) {
    builder.why_ = e.what();
  }
  if (ok) return std::move(builder.root);
  // nlohmann reports the byte after the offending token, 1-based; the handler stopped after a
  // token.
  std::size_t offset = static_cast<std::size_t>(farthest - text.data());
  if (builder.position_ > 0) offset = builder.position_;
  offset = std::min(offset, text.size());
  if (offset > 0) --offset;
  std::size_t line = 1, column = 1;
  for (std::size_t i = 0; i < offset; ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\n') {
      ++line;
      column = 1;
    } else if ((c & 0xc0) != 0x80) {  // columns count characters
      ++column;
    }
  }
  const std::string at = path + ":" + std::to_string(line) + ":" + std::to_string(column);
  return file_error(at, builder.why_.empty() ? "found what is no JSON" : builder.why_,
                    "correct the file");
}

}  // namespace seedbed::schemas
