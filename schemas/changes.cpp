// The bytes of row changes, all integers little-endian:
//
//   "SBCH"  u8 version  u32 count  count times:
//     u32 call  u32 size + table  u16 columns + before  u16 columns + after
//   a value: u8 0 (null) | u8 1 + i64 | u8 2 + u32 size + text
//
// One value has one form, so equal changes have equal bytes. Decoding trusts no count: memory is
// taken as bytes arrive, and the whole is bounded.
#include "base/text.h"
#include "schemas/call.h"

namespace seedbed::schemas {

namespace {

constexpr std::string_view kMagic = "SBCH";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMaxBytes = 64U << 20;
constexpr std::uint32_t kMaxChanges = 1'000'000;
constexpr std::size_t kMaxColumns = 2'000;      // SQLite's own bound
constexpr std::size_t kMaxScalars = 8'000'000;  // a null takes one byte here and 40 in memory
constexpr std::size_t kMaxTableBytes = 1'024;
enum Tag : std::uint8_t { tag_null, tag_integer, tag_text };

template <class T>
void put(std::string& out, T x) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    out.push_back(static_cast<char>((x >> (8 * i)) & 0xff));
}

void put_text(std::string& out, const std::string& text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

void put_row(std::string& out, const std::vector<Scalar>& row) {
  put(out, static_cast<std::uint16_t>(row.size()));
  for (const auto& value : row) {
    put(out, static_cast<std::uint8_t>(value.index()));
    if (const auto* i = std::get_if<std::int64_t>(&value)) put(out, static_cast<std::uint64_t>(*i));
    if (const auto* s = std::get_if<std::string>(&value)) put_text(out, *s);
  }
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  Result<std::vector<RowChange>> changes() {
    std::vector<RowChange> out;
    if (!header()) return error();
    std::uint32_t count = 0;
    if (!number(count, "a count")) return error();
    if (count > kMaxChanges) {
      fail("found " + std::to_string(count) + " changes, wanted at most " +
           std::to_string(kMaxChanges));
      return error();
    }
    for (std::uint32_t i = 0; i < count; ++i)
      if (!change(out.emplace_back())) return error();
    if (at_ != bytes_.size()) {
      fail("found " + std::to_string(bytes_.size() - at_) +
           " bytes after the last change, wanted none");
      return error();
    }
    return out;
  }

 private:
  Error error() {
    return make_error(Where::store, "row changes", "byte " + std::to_string(at_), why_,
                      "the bytes are damaged: take them from their source again");
  }
  bool fail(std::string why) {
    why_ = std::move(why);
    return false;
  }

  bool header() {
    if (bytes_.size() > kMaxBytes)
      return fail("found " + std::to_string(bytes_.size()) + " bytes, wanted at most " +
                  std::to_string(kMaxBytes));
    if (bytes_.substr(0, kMagic.size()) != kMagic)
      return fail("found another format, wanted row changes");
    at_ = kMagic.size();
    std::uint8_t version = 0;
    if (!number(version, "a version")) return false;
    if (version != kVersion)
      return fail("found version " + std::to_string(version) + ", wanted " +
                  std::to_string(kVersion));
    return true;
  }

  template <class T>
  bool number(T& out, const char* what) {
    if (bytes_.size() - at_ < sizeof(T)) return fail(std::string("found the end, wanted ") + what);
    std::uint64_t x = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      x |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes_[at_ + i])) << (8 * i);
    at_ += sizeof(T);
    out = static_cast<T>(x);
    return true;
  }

  bool text(std::string& out, const char* what) {
    std::uint32_t size = 0;
    if (!number(size, what)) return false;
    if (bytes_.size() - at_ < size)
      return fail("found a length beyond the end, wanted the bytes of " + std::string(what));
    out.assign(bytes_.substr(at_, size));
    if (!is_valid_utf8(out))
      return fail("found invalid UTF-8 in " + std::string(what) + ", wanted valid text");
    at_ += size;
    return true;
  }

  bool row(std::vector<Scalar>& out) {
    std::uint16_t columns = 0;
    if (!number(columns, "a column count")) return false;
    scalars_ += columns;
    if (columns > kMaxColumns || scalars_ > kMaxScalars)
      return fail("found too many values, wanted at most " + std::to_string(kMaxColumns) +
                  " a row and " + std::to_string(kMaxScalars) + " in all");
    if (columns > bytes_.size() - at_)
      return fail("found a column count beyond the end, wanted the values");
    out.reserve(columns);
    for (std::uint16_t i = 0; i < columns; ++i)
      if (!scalar(out.emplace_back())) return false;
    return true;
  }

  bool scalar(Scalar& out) {
    std::uint8_t tag = 0;
    if (!number(tag, "a value")) return false;
    if (tag == tag_null) return true;
    if (tag == tag_integer) {
      std::uint64_t x = 0;
      if (!number(x, "an integer")) return false;
      out = static_cast<std::int64_t>(x);
      return true;
    }
    if (tag == tag_text) return text(out.emplace<std::string>(), "a text");
    return fail("found value kind " + std::to_string(tag) + ", wanted 0, 1 or 2");
  }

  bool change(RowChange& out) {
    std::uint32_t call = 0;
    if (!number(call, "a call index")) return false;
    if (!std::in_range<std::int32_t>(call))
      return fail("found a negative call index, wanted one from 0");
    out.call = static_cast<std::int32_t>(call);
    if (!text(out.table, "a table name")) return false;
    if (out.table.empty() || out.table.size() > kMaxTableBytes)
      return fail("found a table name of " + std::to_string(out.table.size()) +
                  " bytes, wanted 1 to " + std::to_string(kMaxTableBytes));
    if (!row(out.before) || !row(out.after)) return false;
    if (out.before.empty() && out.after.empty())
      return fail("found a change without rows, wanted one or two");
    if (!out.before.empty() && !out.after.empty() && out.before.size() != out.after.size())
      return fail("found an update from " + std::to_string(out.before.size()) + " to " +
                  std::to_string(out.after.size()) + " columns, wanted as many");
    return true;
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  std::size_t scalars_ = 0;
  std::string why_;
};

}  // namespace

std::string encode_changes(const std::vector<RowChange>& changes) {
  std::string out(kMagic);
  put(out, kVersion);
  put(out, static_cast<std::uint32_t>(changes.size()));
  for (const auto& change : changes) {
    put(out, static_cast<std::uint32_t>(change.call));
    put_text(out, change.table);
    put_row(out, change.before);
    put_row(out, change.after);
  }
  return out;
}

Result<std::vector<RowChange>> decode_changes(std::string_view bytes) {
  return Reader(bytes).changes();
}

}  // namespace seedbed::schemas
