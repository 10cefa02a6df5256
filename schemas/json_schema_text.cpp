#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "schemas/json_schema_node.h"

namespace seedbed::schemas {

namespace {

// PCRE2 counts its match limit anew for each starting position, so the limit of one position
// shrinks with the subject: the product stays near kMatchSteps.
constexpr std::size_t kMatchSteps = 5'000'000;
constexpr std::size_t kMaxSubjectBytes = 64U << 10;

struct Scratch {  // one a thread: a search allocates nothing
  Scratch()
      : data(pcre2_match_data_create(1, nullptr)), context(pcre2_match_context_create(nullptr)) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
  pcre2_match_data* data;
  pcre2_match_context* context;
};

bool digits(std::string_view text, std::size_t at, std::size_t count, int& out) {
  if (text.size() < at + count) return false;
  out = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  return true;
}

int days_in(int year, int month) {
  static constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[static_cast<std::size_t>(month - 1)];
}

}  // namespace

Result<Pattern> Pattern::compile(const std::string& text) {
  int code = 0;
  PCRE2_SIZE offset = 0;
  const auto options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX | PCRE2_NEVER_BACKSLASH_C |
                       PCRE2_MATCH_UNSET_BACKREF;
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                       options, &code, &offset, nullptr);
  if (compiled == nullptr) {
    PCRE2_UCHAR why[160];
    pcre2_get_error_message(code, why, sizeof why);
    return make_error(
        Where::config, "pattern", text,
        "at byte " + std::to_string(offset) + ": " + reinterpret_cast<const char*>(why),
        "correct the regular expression");
  }
  return Pattern(text, std::shared_ptr<const pcre2_code>(compiled, [](const pcre2_code* c) {
                   pcre2_code_free(const_cast<pcre2_code*>(c));
                 }));
}

Pattern::Found Pattern::search(const std::string& text) const {
  thread_local const Scratch scratch;
  if (text.size() > kMaxSubjectBytes || scratch.data == nullptr || scratch.context == nullptr)
    return Found::too_costly;
  const auto limit = std::clamp<std::size_t>(kMatchSteps / (text.size() + 1), 500, 100'000);
  pcre2_set_match_limit(scratch.context, static_cast<std::uint32_t>(limit));
  pcre2_set_heap_limit(scratch.context, 4096);  // KiB
  const int rc = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                             0, scratch.data, scratch.context);
  if (rc >= 0) return Found::yes;
  return rc == PCRE2_ERROR_NOMATCH ? Found::no : Found::too_costly;
}

bool is_date(std::string_view text) {
  int year = 0, month = 0, day = 0;
  return text.size() == 10 && text[4] == '-' && text[7] == '-' && digits(text, 0, 4, year) &&
         digits(text, 5, 2, month) && digits(text, 8, 2, day) && year >= 1 && month >= 1 &&
         month <= 12 && day >= 1 && day <= days_in(year, month);
}

bool is_date_time(std::string_view text) {
  int hour = 0, minute = 0, second = 0;
  if (text.size() < 20 || !is_date(text.substr(0, 10)) || (text[10] != 'T' && text[10] != 't'))
    return false;
  if (text[13] != ':' || text[16] != ':' || !digits(text, 11, 2, hour) ||
      !digits(text, 14, 2, minute) || !digits(text, 17, 2, second) || hour > 23 || minute > 59 ||
      second > 60)
    return false;
  std::size_t at = 19;
  if (text[at] == '.') {
    const auto begin = ++at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    if (at == begin) return false;
  }
  const auto zone = text.substr(at);
  int offset = 0;  // minutes east
  if (zone != "Z" && zone != "z") {
    int h = 0, m = 0;
    if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':' ||
        !digits(zone, 1, 2, h) || !digits(zone, 4, 2, m) || h > 23 || m > 59)
      return false;
    offset = (zone[0] == '-' ? -1 : 1) * (h * 60 + m);
  }
  return second < 60 || (hour * 60 + minute - offset + 2 * 1440) % 1440 == 1439;
}

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

int compare_numbers(const Value& a, const Value& b) {
  const auto order = [](auto x, auto y) { return x < y ? -1 : (x > y ? 1 : 0); };
  if (a.is_int() && b.is_int()) return order(a.as_int(), b.as_int());
  if (!a.is_int() && !b.is_int()) return order(a.as_double(), b.as_double());
  if (!a.is_int()) return -compare_numbers(b, a);
  const double d = b.as_double();
  if (d >= 0x1p63) return -1;
  if (d < -0x1p63) return 1;
  const auto whole = static_cast<std::int64_t>(d);  // toward zero
  if (a.as_int() != whole) return order(a.as_int(), whole);
  return order(0.0, d - static_cast<double>(whole));
}

namespace {

__extension__ using Wide = unsigned __int128;

struct Decimal {  // digits * 10^exponent
  std::uint64_t digits = 0;
  int exponent = 0;
};

Decimal decimal_of(const Value& v) {
  if (v.is_int()) {
    const auto u = static_cast<std::uint64_t>(v.as_int());
    return {v.as_int() < 0 ? ~u + 1 : u, 0};
  }
  char buffer[48];  // shortest scientific form: d.ddde+xx
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, v.as_double(), std::chars_format::scientific)
          .ptr;
  Decimal out;
  bool fraction = false;
  for (const char* p = buffer; p != end; ++p) {
    if (*p == '.') {
      fraction = true;
    } else if (*p == 'e') {
      int e = 0;
      std::from_chars(p + (p[1] == '+' ? 2 : 1), end, e);
      out.exponent += e;
      break;
    } else if (*p != '-') {
      out.digits = out.digits * 10 + static_cast<std::uint64_t>(*p - '0');
      if (fraction) --out.exponent;
    }
  }
  return out;
}

}  // namespace

bool is_multiple(const Value& number, const Value& divisor) {
  if (number.is_int() && divisor.is_int()) return number.as_int() % divisor.as_int() == 0;
  const Decimal a = decimal_of(number);
  const Decimal b = decimal_of(divisor);
  if (a.digits == 0) return true;
  int shift = a.exponent - b.exponent;
  if (shift < 0) {  // b * 10^-shift must divide a's digits, which are fewer than 10^20
    Wide whole = b.digits;
    for (; shift < 0; ++shift) {
      whole *= 10;
      if (whole > a.digits) return false;
    }
    return a.digits % whole == 0;
  }
  Wide rest = a.digits % b.digits;
  for (; shift > 0 && rest != 0; --shift) rest = rest * 10 % b.digits;
  return rest == 0;
}

}  // namespace seedbed::schemas
