#include "envgen/from_db/columns.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "envgen/from_db/words.h"
#include "envgen/general/skin.h"

namespace seedbed::envgen {
namespace {

using tasks::ForeignCell;
using tasks::ForeignTable;

constexpr std::size_t kWordBytes = 40, kNameBytes = 60, kTextBytes = 90;
constexpr std::size_t kMaxWords = 12;
constexpr std::int64_t kMaxNumber = 1'000'000'000'000;

bool any_of_words(const std::string& name, const std::set<std::string>& known) {
  const auto words = words_of_name(name);
  return std::any_of(words.begin(), words.end(),
                     [&](const std::string& w) { return known.count(w) != 0; });
}

bool about_money(const std::string& name) {
  return any_of_words(name,
                      {"price", "amount", "total",   "subtotal", "cost",    "fee",    "salary",
                       "pay",   "wage",   "freight", "balance",  "revenue", "budget", "charge",
                       "rate",  "credit", "debit",   "tax",      "paid",    "due",    "value"});
}
bool about_time(const std::string& declared, const std::string& name) {
  const std::string type = lower_ascii(declared);
  return type.find("date") != std::string::npos || type.find("time") != std::string::npos ||
         any_of_words(name, {"date", "timestamp", "time"});
}
bool about_change(const std::string& name) {
  const std::string words = phrase_of_name(name);
  return words == "last update" || words == "updated at" || words == "modified" ||
         words == "modified at" || words == "modified date" || words == "last modified" ||
         words == "rowguid";
}

// The day of an ISO date, its time of day cut off; kNone where it is none.
std::int64_t day_of(const std::string& text) {
  if (text.size() < 10 || (text.size() > 10 && text[10] != ' ' && text[10] != 'T')) return kNone;
  if (std::any_of(text.begin() + 10, text.end(), [](char c) {
        return (c < '0' || c > '9') && std::string(" T:.Z+-").find(c) == std::string::npos;
      }))
    return kNone;
  return day_of_iso(text.substr(0, 10));
}

// Everything that the decision hangs on, in one pass over the cells.
struct Seen {
  std::size_t rows = 0, nulls = 0, ints = 0, reals = 0, texts = 0, unread = 0;
  std::size_t plain = 0, days = 0, whole = 0, hundredths = 0, bits = 0;
  std::set<std::string> distinct_texts;
  std::set<std::int64_t> distinct_ints;
  std::size_t longest = 0;
};

std::int64_t hundredths_of(double v) {
  return static_cast<std::int64_t>(v < 0 ? v * 100 - 0.5 : v * 100 + 0.5);
}
bool is_hundredths(double v) {
  if (!(v > -1e10 && v < 1e10)) return false;
  const double scaled = v * 100, back = static_cast<double>(hundredths_of(v));
  return scaled - back < 1e-4 && back - scaled < 1e-4;
}
bool is_whole(double v) {
  return v > -1e12 && v < 1e12 && static_cast<double>(static_cast<std::int64_t>(v)) == v;
}

Seen look_at(const ForeignTable& from, std::size_t column) {
  Seen s;
  for (const auto& row : from.rows) {
    const ForeignCell& cell = row[column];
    ++s.rows;
    if (std::holds_alternative<std::monostate>(cell)) {
      ++s.nulls;
    } else if (const auto* n = std::get_if<std::int64_t>(&cell)) {
      ++s.ints;
      s.bits += *n == 0 || *n == 1 ? 1U : 0U;
      s.whole += *n > -kMaxNumber && *n < kMaxNumber ? 1U : 0U;
      s.hundredths += *n > -kMaxNumber && *n < kMaxNumber ? 1U : 0U;
      s.distinct_ints.insert(*n);
    } else if (const auto* d = std::get_if<double>(&cell)) {
      ++s.reals;
      s.whole += is_whole(*d) ? 1U : 0U;
      s.hundredths += is_hundredths(*d) ? 1U : 0U;
      if (is_hundredths(*d)) s.distinct_ints.insert(hundredths_of(*d));
    } else if (const auto* t = std::get_if<std::string>(&cell)) {
      ++s.texts;
      s.plain += plain_text(*t, kTextBytes) ? 1U : 0U;
      s.days += day_of(*t) != kNone ? 1U : 0U;
      s.longest = std::max(s.longest, t->size());
      if (s.distinct_texts.size() <= from.rows.size()) s.distinct_texts.insert(*t);
    } else {
      ++s.unread;
    }
  }
  return s;
}

// Values by row through f(cell).
template <class F>
std::vector<std::int64_t> converted(const ForeignTable& from, std::size_t column, const F& f) {
  std::vector<std::int64_t> out;
  for (const auto& row : from.rows)
    out.push_back(std::holds_alternative<std::monostate>(row[column]) ? kNone : f(row[column]));
  return out;
}

void bounds(const std::vector<std::int64_t>& values, DbColumn& out) {
  out.lo = kMaxNumber;
  out.hi = -kMaxNumber;
  for (const auto v : values) {
    if (v == kNone) continue;
    out.lo = std::min(out.lo, v);
    out.hi = std::max(out.hi, v);
  }
}

void read_numbers(const ForeignTable& from, std::size_t column, const Seen& s, ColumnRead& out) {
  const auto& name = from.columns[column].name;
  DbColumn c = *out.column;
  const std::size_t n = s.ints + s.reals;
  if (s.bits == n && s.reals == 0) {
    if (s.distinct_ints.size() < 2) {
      out.why_not = "the same value everywhere";
      return;
    }
    c.type = Type::word;
    c.words = {"no", "yes"};
    out.values =
        converted(from, column, [](const ForeignCell& v) { return std::get<std::int64_t>(v); });
    out.column = c;
    return;
  }
  if (s.reals == 0 && about_time(from.columns[column].declared, name)) {
    out.why_not = "a time kept as a number";
    return;
  }
  if (s.distinct_ints.size() < 3) {
    out.why_not = "fewer than three values";
    return;
  }
  const bool cents = s.reals > 0 && s.hundredths == n && about_money(name);
  if (!cents && s.whole != n) {
    out.why_not = "fractions that are no amounts of money";
    return;
  }
  c.type = cents ? Type::cents : Type::integer;
  out.values = converted(from, column, [&](const ForeignCell& v) -> std::int64_t {
    if (const auto* d = std::get_if<double>(&v))
      return cents ? hundredths_of(*d) : static_cast<std::int64_t>(*d);
    return std::get<std::int64_t>(v) * (cents ? 100 : 1);
  });
  bounds(out.values, c);
  out.column = c;
}

void read_texts(
    const ForeignTable& from, std::size_t column, const Seen& s, DbTable& table, ColumnRead& out) {
  DbColumn c = *out.column;
  if (s.days == s.texts) {
    if (s.distinct_texts.size() < 3) {
      out.why_not = "fewer than three dates";
      return;
    }
    c.type = Type::date;
    out.values = converted(from, column,
                           [](const ForeignCell& v) { return day_of(std::get<std::string>(v)); });
    out.column = c;
    return;
  }
  if (s.plain != s.texts) {
    out.why_not = "texts that are long or of several lines";
    return;
  }
  std::set<std::string> folded;
  for (const auto& t : s.distinct_texts) folded.insert(lower_ascii(t));
  const std::size_t distinct = s.distinct_texts.size();
  if (distinct == folded.size() && distinct >= 2 && distinct <= kMaxWords &&
      s.texts >= 2 * distinct && s.longest <= kWordBytes) {
    c.type = Type::word;
    c.words.assign(s.distinct_texts.begin(), s.distinct_texts.end());
    out.values = converted(from, column, [&](const ForeignCell& v) {
      const auto it = std::lower_bound(c.words.begin(), c.words.end(), std::get<std::string>(v));
      return static_cast<std::int64_t>(it - c.words.begin());
    });
    out.column = c;
    return;
  }
  if (distinct < 2) {
    out.why_not = "the same value everywhere";
    return;
  }
  c.type = Type::text;
  out.values = converted(from, column, [&](const ForeignCell& v) {
    table.texts.push_back(std::get<std::string>(v));
    return static_cast<std::int64_t>(table.texts.size()) - 1;
  });
  out.column = c;
}

// How well a column's name says that it names the row; 0: not at all.
int naming_rank(const std::string& column, const DbTable& table) {
  const std::string words = phrase_of_name(column);
  if (words == "name") return 9;
  if (words == table.singular + " name" || words == "title") return 8;
  if (words == table.singular || words == "full name" || words == "label") return 7;
  if (words == table.singular + " title" || words == "company name") return 6;
  const auto list = words_of_name(column);
  if (list.size() >= 2 && list.back() == "name" && list.front() != "first" &&
      list.front() != "last" && list.front() != "middle" && list.front() != "user" &&
      list.front() != "file")
    return 4;
  if (list.back() == "title" || words == "description" || words == "company") return 2;
  return 0;
}

bool names_rows(const std::vector<std::string>& names) {
  std::set<std::string> folded;
  for (const auto& n : names) {
    if (!plain_text(n, kNameBytes)) return false;
    folded.insert(lower_ascii(n));
  }
  return 10 * folded.size() >= 9 * names.size();
}

std::vector<std::string> texts_in(const ForeignTable& from, std::size_t column) {
  std::vector<std::string> out;
  for (const auto& row : from.rows) {
    const auto* t = std::get_if<std::string>(&row[column]);
    out.push_back(t == nullptr ? "" : *t);
  }
  return out;
}

}  // namespace

bool plain_text(const std::string& text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max && trim(text) == text &&
         std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == '{' || c == '}' || c == 0x7F;
         });
}

ColumnRead read_column(const ForeignTable& from, std::size_t column, DbTable& table) {
  ColumnRead out;
  const auto& name = from.columns[column].name;
  const Seen s = look_at(from, column);
  DbColumn c;
  c.name = name;
  c.noun = phrase_of_name(name);
  c.nullable = s.nulls > 0;
  for (const auto& u : from.uniques)
    c.unique = c.unique || (u.size() == 1 && lower_ascii(u[0]) == lower_ascii(name));
  out.column = c;
  if (s.unread > 0)
    out.why_not = "blobs or long texts";
  else if (s.nulls == s.rows)
    out.why_not = "no values";
  else if (3 * s.nulls > 2 * s.rows)
    out.why_not = "hardly any values";
  else if (about_change(name))
    out.why_not = "a note of the last change";
  else if (s.texts > 0 && s.ints + s.reals > 0)
    out.why_not = "values of several types";
  else if (s.texts > 0)
    read_texts(from, column, s, table, out);
  else
    read_numbers(from, column, s, out);
  if (!out.why_not.empty()) out.column.reset();
  return out;
}

std::vector<std::size_t> naming_columns(const ForeignTable& from, const DbTable& table) {
  std::size_t first = from.columns.size(), last = first, best = first;
  int rank = 0;
  for (std::size_t i = 0; i < from.columns.size(); ++i) {
    const std::string words = phrase_of_name(from.columns[i].name);
    if (words == "first name" || words == "given name") first = i;
    if (words == "last name" || words == "family name" || words == "surname") last = i;
    const int r = naming_rank(from.columns[i].name, table);
    if (r > rank && names_rows(texts_in(from, i))) {
      rank = r;
      best = i;
    }
  }
  if (first < from.columns.size() && last < from.columns.size()) {
    auto names = texts_in(from, first);
    const auto family = texts_in(from, last);
    for (std::size_t i = 0; i < names.size(); ++i) names[i] += " " + family[i];
    if (names_rows(names)) return {first, last};
  }
  if (best < from.columns.size()) return {best};
  return {};
}

}  // namespace seedbed::envgen
