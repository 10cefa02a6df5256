#include "engine/grammar/numbers.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <string>
#include <tuple>

namespace seedbed::engine::grammar {
namespace {

using schemas::Value;
__extension__ using Wide = __int128;

constexpr int kWholeDigits = 18, kDoubleDigits = 15;
constexpr std::int64_t kMaxDivisor = 1000;
constexpr std::int64_t kMaxListed = 512;

std::int64_t power(int n) {
  std::int64_t out = 1;
  while (n-- > 0) out *= 10;
  return out;
}

// digits * 10^exponent, as the shortest text of the number says.
struct Decimal {
  std::int64_t digits = 0;
  int exponent = 0;
};

Decimal decimal_of(const Value& v) {
  if (v.is_int()) return {v.as_int(), 0};
  char buffer[48];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, v.as_double(), std::chars_format::scientific)
          .ptr;
  Decimal out;
  bool fraction = false, negative = false;
  for (const char* p = buffer; p != end; ++p) {
    if (*p == '-') {
      negative = true;
    } else if (*p == '.') {
      fraction = true;
    } else if (*p == 'e') {
      int e = 0;
      std::from_chars(p + (p[1] == '+' ? 2 : 1), end, e);
      out.exponent += e;
      break;
    } else {
      out.digits = out.digits * 10 + (*p - '0');
      if (fraction) --out.exponent;
    }
  }
  while (out.digits != 0 && out.digits % 10 == 0) {
    out.digits /= 10;
    ++out.exponent;
  }
  if (negative) out.digits = -out.digits;
  return out;
}

// The number times 10^places, rounded up or down; cut off at +-10^19.
Wide scaled(const Value& v, int places, bool up) {
  constexpr Wide kMost = Wide{1'000'000'000'000'000'000} * 10;
  auto d = decimal_of(v);
  Wide n = d.digits;
  int shift = d.exponent + places;
  for (; shift > 0 && n < kMost && n > -kMost && n != 0; --shift) n *= 10;
  bool exact = true;
  for (; shift < 0 && n != 0; ++shift) {
    exact = exact && n % 10 == 0;
    const bool negative = n < 0;
    n /= 10;  // toward zero
    if (n == 0 && !exact) {
      if (up) return negative ? 0 : 1;
      return negative ? -1 : 0;
    }
  }
  if (!exact && up && n > 0) ++n;
  if (!exact && !up && n < 0) --n;
  return std::clamp(n, -kMost, kMost);
}

// What remains to be written: whole texts are `n`, others have `places` digits after the point.
struct Plan {
  int int_digits = kWholeDigits, places = 0;
  std::int64_t lo = 0, hi = 0;  // times 10^places
  std::int64_t divisor = 1;     // of n
  bool none = false, too_hard = false;
};

int fraction_digits(const Value& v) {
  return std::max(0, -decimal_of(v).exponent);
}

Plan plan_of(const NumberRange& range) {
  Plan out;
  int places = 0;
  for (const auto& m : range.multiples) places = std::max(places, fraction_digits(m));
  if (places > 9) return {.too_hard = true};
  Wide divisor = 1;
  for (const auto& m : range.multiples) {
    const auto c = scaled(m, places, true);
    if (c <= 0 || c > power(17)) return {.too_hard = true};
    divisor =
        divisor / std::gcd(static_cast<std::int64_t>(divisor), static_cast<std::int64_t>(c)) * c;
    if (divisor > power(17)) return {.too_hard = true};
  }
  if (range.whole) {
    const auto unit = power(places);
    divisor = divisor / std::gcd(static_cast<std::int64_t>(divisor), unit);
    places = 0;
  } else {
    if (range.multiples.empty()) {
      places = 4;
      for (const auto* bound : {&range.min, &range.max, &range.above, &range.below})
        if (*bound) places = std::clamp(fraction_digits(**bound), places, 9);
    }
    out.int_digits = kDoubleDigits - places;
  }
  out.places = places;
  out.divisor = static_cast<std::int64_t>(divisor);
  const Wide most = power(out.int_digits + places) - 1;
  Wide lo = -most, hi = most;
  if (range.min) lo = std::max(lo, scaled(*range.min, places, true));
  if (range.above) lo = std::max(lo, scaled(*range.above, places, false) + 1);
  if (range.max) hi = std::min(hi, scaled(*range.max, places, false));
  if (range.below) hi = std::min(hi, scaled(*range.below, places, true) - 1);
  // Beyond 15 digits a double is no longer what its shortest text says.
  for (const auto* bound : {&range.min, &range.max, &range.above, &range.below})
    if (*bound && !(*bound)->is_int() && std::abs((*bound)->as_double()) >= 1e15) {
      lo = std::max<Wide>(lo, -power(15) + 1);
      hi = std::min<Wide>(hi, power(15) - 1);
    }
  if (lo > hi) return {.none = true};
  out.lo = static_cast<std::int64_t>(lo);
  out.hi = static_cast<std::int64_t>(hi);
  return out;
}

class Digits {
 public:
  Digits(RuleBuilder& rule, int to, const Plan& plan, std::int64_t lo, std::int64_t hi)
      : rule_(rule), to_(to), plan_(plan) {
    for (int length = 1; length <= plan.int_digits; ++length) {
      const auto least = length == 1 ? 0 : power(length - 1 + plan.places);
      const auto most = power(length + plan.places) - 1;
      lo_.push_back(text(std::max(lo, least), length + plan.places));
      hi_.push_back(text(std::min(hi, most), length + plan.places));
      possible_.push_back(std::max(lo, least) <= std::min(hi, most));
    }
  }

  void from(int state) {
    for (int length = 1; length <= plan_.int_digits; ++length)
      if (possible_[static_cast<std::size_t>(length) - 1])
        rule_.skip(state, node({length, 0, true, true, 0}));
  }

 private:
  using Key = std::tuple<int, int, bool, bool, std::int64_t>;
  // Of a number of `length` digits before the point: digits written, whether they are still those
  // of the bounds, the remainder of what they say.
  struct At {
    int length, done;
    bool at_lo, at_hi;
    std::int64_t rest;
    [[nodiscard]] Key key() const {
      return Key(at_lo || at_hi ? length : 0, at_lo || at_hi ? done : done - length, at_lo, at_hi,
                 rest);
    }
  };

  [[nodiscard]] static std::string text(std::int64_t n, int digits) {
    auto out = std::to_string(n);
    if (out.size() < static_cast<std::size_t>(digits))
      out.insert(0, static_cast<std::size_t>(digits) - out.size(), '0');
    return out;
  }
  [[nodiscard]] const std::string& lo(const At& at) const {
    return lo_[static_cast<std::size_t>(at.length) - 1];
  }
  [[nodiscard]] const std::string& hi(const At& at) const {
    return hi_[static_cast<std::size_t>(at.length) - 1];
  }

  int node(const At& at) {
    const auto [it, fresh] = nodes_.emplace(at.key(), 0);
    if (!fresh) return it->second;
    const int state = it->second = rule_.add();
    if (at.done >= at.length) {
      if (may_end(at)) rule_.skip(state, to_);
      if (at.done == at.length && plan_.places > 0) {
        const int point = rule_.add();
        rule_.edge(state, '.', '.', point);
        digits(at, point);
      }
    }
    if (at.done != at.length && at.done < at.length + plan_.places) digits(at, state);
    return state;
  }

  void digits(const At& at, int state) {
    const auto place = static_cast<std::size_t>(at.done);
    const char least = at.at_lo ? lo(at)[place] : '0';
    const char most = at.at_hi ? hi(at)[place] : '9';
    for (char c = least; c <= most; ++c) {
      At next = at;
      ++next.done;
      next.at_lo = at.at_lo && c == least;
      next.at_hi = at.at_hi && c == most;
      next.rest = (at.rest * 10 + (c - '0')) % plan_.divisor;
      rule_.edge(state, static_cast<Symbol>(c), static_cast<Symbol>(c), node(next));
    }
  }

  // The digits that are left out are zeros.
  [[nodiscard]] bool may_end(const At& at) const {
    const auto place = static_cast<std::size_t>(at.done);
    if (at.at_lo && lo(at).find_first_not_of('0', place) != std::string::npos) return false;
    Wide rest = at.rest;
    for (int i = at.done; i < at.length + plan_.places; ++i) rest = rest * 10 % plan_.divisor;
    return rest == 0;
  }

  RuleBuilder& rule_;
  int to_;
  Plan plan_;
  std::vector<std::string> lo_, hi_;
  std::vector<bool> possible_;
  std::map<Key, int> nodes_;
};

std::string shown(std::int64_t n, int places) {
  const auto magnitude = std::to_string(n < 0 ? -n : n);
  std::string digits(std::max<std::size_t>(static_cast<std::size_t>(places) + 1, magnitude.size()) -
                         magnitude.size(),
                     '0');
  digits += magnitude;
  std::string fraction = digits.substr(digits.size() - static_cast<std::size_t>(places));
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  return (n < 0 ? "-" : "") + digits.substr(0, digits.size() - static_cast<std::size_t>(places)) +
         (fraction.empty() ? "" : "." + fraction);
}

void any_number(RuleBuilder& rule, int from, int to) {
  const int digits = rule.add();
  rule.skip(from, digits);
  rule.edge(from, '-', '-', digits);
  const int whole = rule.add();
  rule.edge(digits, '0', '0', whole);
  int at = rule.add();
  rule.edge(digits, '1', '9', at);
  rule.skip(at, whole);
  const auto run = [&rule](int state, int count, int end) {
    for (int i = 0; i < count; ++i) {
      const int next = rule.add();
      rule.edge(state, '0', '9', next);
      rule.skip(next, end);
      state = next;
    }
  };
  run(at, kDoubleDigits - 1, whole);
  rule.skip(whole, to);
  const int point = rule.add(), fraction = rule.add(), mark = rule.add(), exponent = rule.add();
  rule.edge(whole, '.', '.', point);
  run(point, kDoubleDigits, fraction);
  rule.skip(fraction, to);
  for (const int state : {whole, fraction})
    for (const Symbol e : {Symbol{'e'}, Symbol{'E'}}) rule.edge(state, e, e, mark);
  rule.skip(mark, exponent);
  rule.edge(mark, '+', '+', exponent);
  rule.edge(mark, '-', '-', exponent);
  run(exponent, 2, to);
}

}  // namespace

Numbers add_numbers(RuleBuilder& rule, int from, int to, const NumberRange& range) {
  if (!range.whole && !range.bounded()) {
    any_number(rule, from, to);
    return Numbers::ok;
  }
  const auto plan = plan_of(range);
  if (plan.none) return Numbers::none;
  if (plan.too_hard) return Numbers::too_hard;
  const auto floor_of = [&](std::int64_t n) {
    return n / plan.divisor - (n % plan.divisor < 0 ? 1 : 0);
  };
  const auto first = -floor_of(-plan.lo), last = floor_of(plan.hi);  // multiples of the divisor
  if (first > last) return Numbers::none;
  if (plan.divisor > kMaxDivisor) {
    if (last - first >= kMaxListed) return Numbers::too_hard;
    for (auto n = first; n <= last; ++n)
      rule.skip(rule.text(from, shown(n * plan.divisor, plan.places)), to);
    return Numbers::ok;
  }
  if (plan.hi >= 0) Digits(rule, to, plan, std::max<std::int64_t>(plan.lo, 0), plan.hi).from(from);
  if (plan.lo < 0) {
    const int minus = rule.add();
    rule.edge(from, '-', '-', minus);
    Digits(rule, to, plan, std::max<std::int64_t>(1, -plan.hi), -plan.lo).from(minus);
  }
  return Numbers::ok;
}

}  // namespace seedbed::engine::grammar
