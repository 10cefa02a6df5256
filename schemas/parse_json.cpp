// A recursive-descent parser for RFC 8259. Every byte is hostile: depth, size and count are bounded
// before memory is taken, and what a reader elsewhere might read otherwise (duplicate keys, lone
// surrogates, overlong UTF-8, numbers out of range) is refused rather than repaired.
#include <algorithm>
#include <charconv>

#include "base/utf8.h"
#include "schemas/value.h"

namespace seedbed::schemas {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Length of the well-formed UTF-8 sequence at p (Unicode table 3-7), 0 where there is none.
std::size_t utf8_length(const char* p, const char* end) {
  const auto byte = [p](int i) { return static_cast<unsigned char>(p[i]); };
  const auto tail = [&byte](int i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned char c = byte(0);
  const auto left = end - p;
  if (c >= 0xc2 && c <= 0xdf) return left >= 2 && tail(1) ? 2 : 0;
  if (c >= 0xe0 && c <= 0xef) {
    if (left < 3 || !tail(1) || !tail(2)) return 0;
    if (c == 0xe0 && byte(1) < 0xa0) return 0;  // overlong
    if (c == 0xed && byte(1) > 0x9f) return 0;  // surrogate
    return 3;
  }
  if (c >= 0xf0 && c <= 0xf4) {
    if (left < 4 || !tail(1) || !tail(2) || !tail(3)) return 0;
    if (c == 0xf0 && byte(1) < 0x90) return 0;
    if (c == 0xf4 && byte(1) > 0x8f) return 0;
    return 4;
  }
  return 0;
}

// The key that occurs twice, or nullptr.
const std::string* duplicate_key(const Value::Object& object) {
  if (object.size() <= 16) {
    for (std::size_t i = 1; i < object.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (object[i].first == object[j].first) return &object[i].first;
    return nullptr;
  }
  std::vector<const std::string*> keys;
  keys.reserve(object.size());
  for (const auto& member : object) keys.push_back(&member.first);
  std::sort(keys.begin(), keys.end(), [](auto* a, auto* b) { return *a < *b; });
  const auto twice =
      std::adjacent_find(keys.begin(), keys.end(), [](auto* a, auto* b) { return *a == *b; });
  return twice == keys.end() ? nullptr : *twice;
}

class Parser {
 public:
  Parser(std::string_view text, const ParseLimits& limits)
      : begin_(text.data()), p_(text.data()), end_(text.data() + text.size()), limits_(limits) {}

  Result<Value> document() {
    Value out;
    if (value(out, 0)) {
      space();
      if (p_ == end_) return out;
      fail(p_, "found " + here() + " after the value, wanted the end of the text");
    }
    return make_error(Where::config, "JSON text", "byte " + std::to_string(at_ - begin_), why_,
                      "send one strict JSON value (RFC 8259)");
  }

 private:
  bool fail(const char* at, std::string why) {
    at_ = at;
    why_ = std::move(why);
    return false;
  }
  bool wanted(const char* what) { return fail(p_, "found " + here() + ", wanted " + what); }

  // What stands at p_, in words; never raw bytes that would spoil the message.
  [[nodiscard]] std::string here() const {
    if (p_ == end_) return "the end of the text";
    const auto c = static_cast<unsigned char>(*p_);
    if (c >= 0x20 && c < 0x7f) return std::string("'") + *p_ + "'";
    static constexpr char kHex[] = "0123456789abcdef";
    return std::string("byte 0x") + kHex[c >> 4] + kHex[c & 15];
  }

  void space() {
    while (p_ != end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\t' || *p_ == '\r')) ++p_;
  }

  bool value(Value& out, int depth) {
    space();
    if (p_ == end_) return wanted("a value");
    if (++values_ > limits_.max_values)
      return fail(p_, "more than " + std::to_string(limits_.max_values) + " values, wanted fewer");
    switch (*p_) {
      case '{':
        return object(out, depth);
      case '[':
        return array(out, depth);
      case '"': {
        std::string text;
        if (!string(text)) return false;
        out = Value(std::move(text));
        return true;
      }
      case 't':
        return word("true", Value(true), out);
      case 'f':
        return word("false", Value(false), out);
      case 'n':
        return word("null", Value(), out);
      default:
        return number(out);
    }
  }

  bool word(std::string_view name, Value value, Value& out) {
    if (std::string_view(p_, static_cast<std::size_t>(end_ - p_)).substr(0, name.size()) != name)
      return wanted("a value (true, false and null are the only words)");
    p_ += name.size();
    out = std::move(value);
    return true;
  }

  bool too_deep(int depth) {
    if (depth < limits_.max_depth) return false;
    fail(p_, "nested deeper than " + std::to_string(limits_.max_depth) + ", wanted at most that");
    return true;
  }

  bool array(Value& out, int depth) {
    if (too_deep(depth)) return false;
    ++p_;
    Value::Array items;
    space();
    if (p_ != end_ && *p_ == ']') {
      ++p_;
      out = Value(std::move(items));
      return true;
    }
    for (;;) {
      items.emplace_back();
      if (!value(items.back(), depth + 1)) return false;
      space();
      if (p_ == end_ || (*p_ != ',' && *p_ != ']')) return wanted("',' or ']'");
      if (*p_++ == ']') break;
    }
    out = Value(std::move(items));
    return true;
  }

  bool object(Value& out, int depth) {
    if (too_deep(depth)) return false;
    const char* start = p_++;
    Value::Object members;
    space();
    if (p_ != end_ && *p_ == '}') {
      ++p_;
      out = Value(std::move(members));
      return true;
    }
    for (;;) {
      space();
      if (p_ == end_ || *p_ != '"') return wanted("a key in double quotes");
      members.emplace_back();
      if (!string(members.back().first)) return false;
      space();
      if (p_ == end_ || *p_ != ':') return wanted("':'");
      ++p_;
      if (!value(members.back().second, depth + 1)) return false;
      space();
      if (p_ == end_ || (*p_ != ',' && *p_ != '}')) return wanted("',' or '}'");
      if (*p_++ == '}') break;
    }
    if (const auto* key = duplicate_key(members))
      return fail(start, "key '" + *key + "' occurs twice in one object, wanted unique keys");
    out = Value(std::move(members));
    return true;
  }

  bool string(std::string& out) {
    const char* run = ++p_;
    for (;;) {
      if (p_ == end_) return wanted("the closing quote of a string");
      const auto c = static_cast<unsigned char>(*p_);
      if (c == '"') {
        out.append(run, p_);
        ++p_;
        return true;
      }
      if (c == '\\') {
        out.append(run, p_);
        if (!escape(out)) return false;
        run = p_;
      } else if (c < 0x20) {
        return wanted("an escaped control character");
      } else if (c < 0x80) {
        ++p_;
      } else {
        const auto length = utf8_length(p_, end_);
        if (length == 0) return wanted("valid UTF-8");
        p_ += length;
      }
    }
  }

  bool escape(std::string& out) {
    const char* start = p_++;
    if (p_ == end_) return wanted("an escape");
    switch (*p_++) {
      case '"':
        out.push_back('"');
        return true;
      case '\\':
        out.push_back('\\');
        return true;
      case '/':
        out.push_back('/');
        return true;
      case 'b':
        out.push_back('\b');
        return true;
      case 'f':
        out.push_back('\f');
        return true;
      case 'n':
        out.push_back('\n');
        return true;
      case 'r':
        out.push_back('\r');
        return true;
      case 't':
        out.push_back('\t');
        return true;
      case 'u':
        break;
      default:
        return fail(start,
                    "found an unknown escape, wanted one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u");
    }
    unsigned code = 0;
    if (!hex4(code)) return false;
    if (code >= 0xdc00 && code <= 0xdfff)
      return fail(start, "found a lone low surrogate, wanted a pair");
    if (code >= 0xd800 && code <= 0xdbff) {
      unsigned low = 0;
      if (end_ - p_ < 2 || p_[0] != '\\' || p_[1] != 'u')
        return fail(start, "found a lone high surrogate, wanted a pair");
      p_ += 2;
      if (!hex4(low)) return false;
      if (low < 0xdc00 || low > 0xdfff)
        return fail(start, "found a lone high surrogate, wanted a pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(out, code);
    return true;
  }

  bool hex4(unsigned& code) {
    code = 0;
    for (int i = 0; i < 4; ++i, ++p_) {
      if (p_ == end_) return wanted("four hex digits");
      const char c = *p_;
      unsigned digit = 0;
      if (is_digit(c))
        digit = static_cast<unsigned>(c - '0');
      else if (c >= 'a' && c <= 'f')
        digit = static_cast<unsigned>(c - 'a' + 10);
      else if (c >= 'A' && c <= 'F')
        digit = static_cast<unsigned>(c - 'A' + 10);
      else
        return wanted("four hex digits");
      code = code * 16 + digit;
    }
    return true;
  }

  bool digits(const char* what) {
    if (p_ == end_ || !is_digit(*p_)) return wanted(what);
    while (p_ != end_ && is_digit(*p_)) ++p_;
    return true;
  }

  bool number(Value& out) {
    const char* start = p_;
    if (*p_ == '-') ++p_;
    if (p_ == end_ || !is_digit(*p_)) return wanted(p_ == start ? "a value" : "a digit");
    if (*p_ == '0') {
      ++p_;
      if (p_ != end_ && is_digit(*p_)) return fail(start, "found a leading zero, wanted none");
    } else if (!digits("a digit")) {
      return false;
    }
    bool whole = true;
    if (p_ != end_ && *p_ == '.') {
      whole = false;
      ++p_;
      if (!digits("a digit after the point")) return false;
    }
    if (p_ != end_ && (*p_ == 'e' || *p_ == 'E')) {
      whole = false;
      ++p_;
      if (p_ != end_ && (*p_ == '+' || *p_ == '-')) ++p_;
      if (!digits("a digit of the exponent")) return false;
    }
    if (whole) {
      std::int64_t i = 0;
      if (std::from_chars(start, p_, i).ec == std::errc()) {
        out = Value(i);
        return true;
      }  // too big for int64: a double
    }
    double d = 0;
    if (std::from_chars(start, p_, d).ec != std::errc()) {
      if (!underflows(start, p_))
        return fail(start, "found a number beyond 1.8e308, wanted one in range");
      d = *start == '-' ? -0.0 : 0.0;
    }
    out = Value(d);
    return true;
  }

  // Of a number that from_chars calls out of range: too near zero rather than too big?
  static bool underflows(const char* start, const char* end) {
    long long exponent = 0;  // decimal position of the first digit that is not 0
    const char* p = *start == '-' ? start + 1 : start;
    const char* mark = std::find_if(p, end, [](char c) { return c == 'e' || c == 'E'; });
    const char* point = std::find(p, mark, '.');
    const char* first = std::find_if(p, mark, [](char c) { return c >= '1' && c <= '9'; });
    exponent = first < point ? point - first : point - first + 1;
    if (mark != end) {
      const char* digits = mark + 1;
      if (*digits == '+') ++digits;
      long long e = 0;
      if (std::from_chars(digits, end, e).ec != std::errc()) return *digits == '-';
      exponent += std::clamp(e, -(1LL << 40), 1LL << 40);
    }
    return exponent < 0;
  }

  const char* begin_;
  const char* p_;
  const char* end_;
  const ParseLimits& limits_;
  std::size_t values_ = 0;
  const char* at_ = nullptr;
  std::string why_;
};

}  // namespace

Result<Value> parse_json(std::string_view text, const ParseLimits& limits) {
  if (text.size() > limits.max_bytes)
    return make_error(Where::config, "JSON text", "byte " + std::to_string(limits.max_bytes),
                      "found " + std::to_string(text.size()) + " bytes, wanted at most " +
                          std::to_string(limits.max_bytes),
                      "send less");
  return Parser(text, limits).document();
}

}  // namespace seedbed::schemas
