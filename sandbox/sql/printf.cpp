#include "sandbox/sql/printf.h"

#include <sqlite3.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "sandbox/sql/guard.h"

namespace seedbed::sandbox::sql {
namespace {

class Format {
 public:
  Format(int count, sqlite3_value** values) : left_(count), next_(values) {}

  // False: error() says why.
  bool whole(const char* format) {
    for (const char* at = format; *at != '\0';) {
      if (*at != '%') {
        out_ += *at++;
      } else if (!conversion(++at)) {
        return false;
      }
      if (out_.size() > static_cast<std::size_t>(kMaxLength)) return fail("a text over 1 MiB");
    }
    return true;
  }
  [[nodiscard]] const std::string& out() const { return out_; }
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  bool fail(std::string why) {
    error_ = "printf: " + std::move(why);
    return false;
  }
  sqlite3_value* take() {  // an argument that is not there counts as NULL
    if (left_ == 0) return nullptr;
    --left_;
    return *next_++;
  }
  static std::int64_t integer(sqlite3_value* v) {
    return v == nullptr ? 0 : sqlite3_value_int64(v);
  }
  static const char* text(sqlite3_value* v) {
    const auto* t = v == nullptr ? nullptr : reinterpret_cast<const char*>(sqlite3_value_text(v));
    return t == nullptr ? "" : t;
  }

  // A number or '*', appended to `spec` as digits. '*' takes an argument; a negative width means
  // left.
  bool number(const char*& at, std::string& spec, bool is_width) {
    std::int64_t n = 0;
    if (*at == '*') {
      ++at;
      n = integer(take());
      if (n < 0 && is_width) spec += '-';
      if (n < -kMaxPrintfWidth || n > kMaxPrintfWidth) return fail("a width over 1000");
      n = std::abs(n);
    } else {
      for (; *at >= '0' && *at <= '9'; ++at) {
        n = n * 10 + (*at - '0');
        if (n > kMaxPrintfWidth) return fail("a width over 1000");
      }
    }
    if (n > 0 || !is_width) spec += std::to_string(n);
    return true;
  }

  bool conversion(const char*& at) {
    std::string spec = "%";
    while (*at != '\0' && std::string_view("-+ 0#,!").find(*at) != std::string_view::npos)
      spec += *at++;
    if (!number(at, spec, true)) return false;
    bool is_precise = false;
    if (*at == '.') {
      spec += *at++;
      is_precise = true;
      if (!number(at, spec, false)) return false;
    }
    while (*at == 'l') ++at;
    const char kind = *at;
    if (kind == '\0') return fail("a format that ends in a conversion");
    ++at;
    return apply(kind, std::move(spec), is_precise);
  }

  bool apply(char kind, std::string spec, bool is_precise) {
    char* made = nullptr;
    switch (kind) {
      case '%':
        out_ += '%';
        return true;
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        made = sqlite3_mprintf((spec + "ll" + kind).c_str(), integer(take()));
        break;
      case 's':
        made = sqlite3_mprintf((spec + kind).c_str(), text(take()));
        break;
      case 'q':
      case 'w':
      case 'Q': {  // these show NULL
        sqlite3_value* v = take();
        const bool is_null = v == nullptr || sqlite3_value_type(v) == SQLITE_NULL;
        made = sqlite3_mprintf((spec + kind).c_str(), is_null ? nullptr : text(v));
        break;
      }
      case 'c': {
        if (is_precise) return fail("a precision for %c");
        const std::string_view all = text(take());
        std::size_t size = all.empty() ? 0 : 1;
        while (size < all.size() && (static_cast<unsigned char>(all[size]) & 0xc0U) == 0x80) ++size;
        made = sqlite3_mprintf((spec + "s").c_str(), std::string(all.substr(0, size)).c_str());
        break;
      }
      default:
        return fail(std::string("the conversion '%") + kind +
                    "' is not among those that tools may use");
    }
    if (made == nullptr) return fail("no memory");
    out_ += made;
    sqlite3_free(made);
    return true;
  }

  int left_;
  sqlite3_value** next_;
  std::string out_;
  std::string error_;
};

void run_printf(sqlite3_context* context, int count, sqlite3_value** values) {
  if (count == 0 || sqlite3_value_type(values[0]) == SQLITE_NULL)
    return sqlite3_result_null(context);
  Format format(count - 1, values + 1);
  if (!format.whole(reinterpret_cast<const char*>(sqlite3_value_text(values[0]))))
    return sqlite3_result_error(context, format.error().c_str(),
                                static_cast<int>(format.error().size()));
  sqlite3_result_text64(context, format.out().data(), format.out().size(), SQLITE_TRANSIENT,
                        SQLITE_UTF8);
}

}  // namespace

bool add_printf(sqlite3* db) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  return sqlite3_create_function_v2(db, "printf", -1, kFlags, nullptr, run_printf, nullptr, nullptr,
                                    nullptr) == SQLITE_OK &&
         sqlite3_create_function_v2(db, "format", -1, kFlags, nullptr, run_printf, nullptr, nullptr,
                                    nullptr) == SQLITE_OK;
}

}  // namespace seedbed::sandbox::sql
