#include "envgen/from_db/model.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "envgen/from_db/columns.h"
#include "envgen/from_db/words.h"
#include "envgen/general/skin.h"

namespace seedbed::envgen {
namespace {

using tasks::ForeignCell;
using tasks::ForeignTable;

constexpr std::size_t kMinRows = 3, kKeyBytes = 60, kLongKey = 16;
constexpr std::int64_t kMaxKey = 1'000'000'000'000;  // new rows count on from the highest
constexpr int kMaxRefs = 5, kMaxWordColumns = 4, kMaxNumbers = 4, kMaxDates = 2, kMaxTexts = 2;

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

struct Candidate {
  const ForeignTable* from = nullptr;
  DbTable table;
  std::vector<std::size_t> key;                   // columns in `from`, in the key's order
  std::vector<std::int64_t> keys;                 // by row
  std::set<std::int64_t> numbers;                 // number keys
  std::map<std::string, std::int64_t> text_keys;  // text keys -> fact
  std::vector<bool> dropped;                      // rows that lead nowhere
  std::vector<std::vector<std::int64_t>> values;  // [column][row]
  std::string why_not;

  [[nodiscard]] bool long_keys() const {
    return table.key == KeyKind::text &&
           std::all_of(text_keys.begin(), text_keys.end(),
                       [](const auto& k) { return k.first.size() >= kLongKey; });
  }
  // The fact that a cell refers to, kNone where there is none.
  [[nodiscard]] std::int64_t fact_of(const ForeignCell& cell) const {
    if (table.key == KeyKind::number) {
      const auto* n = std::get_if<std::int64_t>(&cell);
      return n != nullptr && numbers.count(*n) != 0 ? *n : kNone;
    }
    if (table.key == KeyKind::text)
      if (const auto* t = std::get_if<std::string>(&cell))
        if (const auto it = text_keys.find(*t); it != text_keys.end()) return it->second;
    return kNone;
  }
};

struct Builder {
  const tasks::ForeignDb& db;
  DbModel model;
  std::vector<Candidate> all;

  void leave_out(const std::string& table, const std::string& why) {
    model.left_out.emplace_back(table, why);
  }
  void candidates();
  static std::string read_key(Candidate& c);
  [[nodiscard]] int named(const std::string& table) const;
  [[nodiscard]] int target_of(const Candidate& c, std::size_t column, bool& guessed) const;
  static bool fits(const Candidate& c, std::size_t column, const Candidate& target);
  static bool fits_wholly(const Candidate& c, std::size_t column, const Candidate& target);
  void read_columns(Candidate& c);
  void add_name(Candidate& c, const std::vector<std::size_t>& columns) const;
  bool add_reference(Candidate& c, std::size_t column);
  static void note_uniques(Candidate& c);
  static void name_attributes(DbTable& t);
  bool drop_rows();
  void finish();
};

// "" where the key can be used.
std::string Builder::read_key(Candidate& c) {
  std::vector<std::pair<int, std::size_t>> parts;
  for (std::size_t i = 0; i < c.from->columns.size(); ++i)
    if (c.from->columns[i].key > 0) parts.emplace_back(c.from->columns[i].key, i);
  std::sort(parts.begin(), parts.end());
  for (const auto& [place, column] : parts) c.key.push_back(column);
  if (c.key.empty()) return "no primary key";
  if (c.key.size() > 2) return "a primary key of more than two columns";
  if (c.from->rows.size() < kMinRows) return "fewer than three rows";
  c.dropped.assign(c.from->rows.size(), false);
  if (c.key.size() == 2) {
    c.table.key = KeyKind::pair;
    for (std::size_t r = 0; r < c.from->rows.size(); ++r) {
      c.keys.push_back(static_cast<std::int64_t>(r) + 1);
      c.numbers.insert(c.keys.back());
    }
    return "";
  }
  std::vector<std::string> texts;
  std::set<std::string> folded;
  for (const auto& row : c.from->rows) {
    const ForeignCell& cell = row[c.key[0]];
    if (const auto* n = std::get_if<std::int64_t>(&cell); n != nullptr && *n >= 0 && *n < kMaxKey) {
      c.keys.push_back(*n);
      c.numbers.insert(*n);
    } else if (const auto* t = std::get_if<std::string>(&cell);
               t != nullptr && plain_text(*t, kKeyBytes) && folded.insert(lower_ascii(*t)).second) {
      texts.push_back(*t);
    } else {
      return "key values that are neither whole numbers from 0 nor short texts";
    }
  }
  if (!texts.empty() && !c.numbers.empty()) return "a key of numbers and texts";
  if (c.numbers.size() == c.from->rows.size()) return "";
  c.table.key = KeyKind::text;
  c.table.key_texts = texts;
  std::sort(c.table.key_texts.begin(), c.table.key_texts.end());
  for (std::size_t i = 0; i < c.table.key_texts.size(); ++i)
    c.text_keys[c.table.key_texts[i]] = static_cast<std::int64_t>(i) + 1;
  for (const auto& t : texts) c.keys.push_back(c.text_keys[t]);
  return "";
}

void Builder::candidates() {
  std::set<std::string> symbols;
  for (const auto& t : db.tables) {
    Candidate c;
    c.from = &t;
    c.table.name = t.name;
    c.table.rows_total = t.rows_total;
    c.table.singular = singular_of(phrase_of_name(t.name));
    c.table.plural = plural_of_phrase(c.table.singular);
    const std::string symbol = slug(c.table.singular);
    c.table.symbol = symbol;
    if (const auto why = read_key(c); !why.empty()) {
      leave_out(t.name, why);
      continue;
    }
    for (int i = 2; !symbols.insert(c.table.symbol).second; ++i) {
      c.table.symbol = symbol + "_" + std::to_string(i);
      c.table.singular += " " + std::to_string(i);
      c.table.plural = c.table.singular + " records";
    }
    all.push_back(std::move(c));
  }
}

int Builder::named(const std::string& table) const {
  for (std::size_t i = 0; i < all.size(); ++i)
    if (lower_ascii(all[i].from->name) == lower_ascii(table)) return static_cast<int>(i);
  return -1;
}

bool Builder::fits_wholly(const Candidate& c, std::size_t column, const Candidate& target) {
  return fits(c, column, target) &&
         std::all_of(c.from->rows.begin(), c.from->rows.end(), [&](const auto& r) {
           return std::holds_alternative<std::monostate>(r[column]) ||
                  target.fact_of(r[column]) != kNone;
         });
}

// Whether the column's values are keys of the target, or most of them: not all rows may be read.
bool Builder::fits(const Candidate& c, std::size_t column, const Candidate& target) {
  std::size_t values = 0, found = 0;
  for (const auto& row : c.from->rows) {
    if (std::holds_alternative<std::monostate>(row[column])) continue;
    ++values;
    found += target.fact_of(row[column]) != kNone ? 1U : 0U;
  }
  return values > 0 && 10 * found >= 8 * values;
}

int Builder::target_of(const Candidate& c, std::size_t column, bool& guessed) const {
  guessed = false;
  const std::string name = lower_ascii(c.from->columns[column].name);
  for (const auto& r : c.from->references) {
    if (lower_ascii(r.column) != name) continue;
    const int t = named(r.table);
    if (t < 0 || all[at(t)].table.key == KeyKind::pair) return -1;
    const auto& key = all[at(t)].from->columns[all[at(t)].key[0]].name;
    if (!r.to.empty() && lower_ascii(r.to) != lower_ascii(key)) return -1;
    return fits(c, column, all[at(t)]) ? t : -1;
  }
  if (c.key.size() == 1 && c.key[0] == column) return -1;
  // Not declared: the name is another table's key, or the table with its key or "id"; or the values
  // are such long keys as no two tables share. Every value must be there.
  const std::string words = join(words_of_name(c.from->columns[column].name), "");
  int by_value = -1;
  for (std::size_t t = 0; t < all.size(); ++t) {
    const Candidate& target = all[t];
    if (target.table.key == KeyKind::pair || (&target == &c && !target.long_keys())) continue;
    const std::string key = join(words_of_name(target.from->columns[target.key[0]].name), "");
    const std::string table = replace_all(target.table.singular, " ", "");
    const bool named_so = words == table + "id" || words == table + key ||
                          (words == key && key != "id" && key != "code" && key != "guid");
    if (!(named_so || target.long_keys()) || !fits_wholly(c, column, target)) continue;
    if (named_so) {
      guessed = true;
      return static_cast<int>(t);
    }
    by_value = by_value == -1 ? static_cast<int>(t) : -2;
  }
  guessed = by_value >= 0;
  return by_value >= 0 ? by_value : -1;
}

bool Builder::add_reference(Candidate& c, std::size_t column) {
  bool guessed = false;
  const int target = target_of(c, column, guessed);
  if (target < 0) return false;
  const Candidate& to = all[at(target)];
  DbColumn out;
  out.name = c.from->columns[column].name;
  out.type = Type::ref;
  out.target = target;
  out.guessed = guessed;
  auto words = words_of_name(out.name);
  if (words.size() > 1 &&
      (words.back() == "id" || words.back() == "code" || words.back() == "guid"))
    words.pop_back();
  out.noun = join(words, " ");
  if (out.noun.empty() || out.noun == "id" ||
      out.noun == replace_all(to.table.singular, " ", "") + "id")
    out.noun = to.table.singular;
  for (const auto& u : c.from->uniques)
    out.unique = out.unique || (u.size() == 1 && lower_ascii(u[0]) == lower_ascii(out.name));
  std::vector<std::int64_t> values;
  for (std::size_t r = 0; r < c.from->rows.size(); ++r) {
    const ForeignCell& cell = c.from->rows[r][column];
    const bool none = std::holds_alternative<std::monostate>(cell);
    out.nullable = out.nullable || none;
    values.push_back(to.fact_of(cell));
    if (!none && values.back() == kNone) c.dropped[r] = true;
  }
  c.table.columns.push_back(std::move(out));
  c.values.push_back(std::move(values));
  return true;
}

void Builder::add_name(Candidate& c, const std::vector<std::size_t>& columns) const {
  if (columns.empty()) return;
  DbColumn out;
  out.type = Type::text;
  out.noun = "name";
  if (columns.size() == 1) {
    out.name = c.from->columns[columns[0]].name;
    out.noun = phrase_of_name(out.name);
  } else {
    c.table.person = true;
  }
  std::vector<std::int64_t> values;
  for (const auto& row : c.from->rows) {
    std::string text = std::get<std::string>(row[columns[0]]);
    if (columns.size() > 1) text += " " + std::get<std::string>(row[columns[1]]);
    values.push_back(static_cast<std::int64_t>(c.table.texts.size()));
    c.table.texts.push_back(std::move(text));
  }
  c.table.name_column = static_cast<int>(c.table.columns.size());
  out.attribute = "name";
  c.table.columns.push_back(std::move(out));
  c.values.push_back(std::move(values));
}

void Builder::read_columns(Candidate& c) {
  const auto naming = naming_columns(*c.from, c.table);
  add_name(c, naming);
  std::map<Type, int> count;
  const auto most = [](Type t) {
    return t == Type::ref    ? kMaxRefs
           : t == Type::word ? kMaxWordColumns
           : t == Type::date ? kMaxDates
           : t == Type::text ? kMaxTexts
                             : kMaxNumbers;
  };
  for (std::size_t i = 0; i < c.from->columns.size(); ++i) {
    if (std::find(naming.begin(), naming.end(), i) != naming.end()) continue;
    const auto& name = c.from->columns[i].name;
    const auto left = [&](const std::string& why) {
      c.table.left_out.push_back(name + " (" + why + ")");
    };
    const auto part = std::find(c.key.begin(), c.key.end(), i);
    const bool whole_key = part != c.key.end() && c.key.size() == 1;
    if (count[Type::ref] < kMaxRefs && add_reference(c, i)) {
      ++count[Type::ref];
      c.table.key_refers = c.table.key_refers || whole_key;
    } else if (whole_key) {
      continue;
    } else {
      const std::size_t texts = c.table.texts.size();
      ColumnRead read = read_column(*c.from, i, c.table);
      if (read.column && ++count[read.column->type] > most(read.column->type)) {
        read.why_not = "more columns of its kind than are taken";
        read.column.reset();
      }
      if (!read.column) {
        c.table.texts.resize(texts);
        left(read.why_not);
        continue;
      }
      c.table.columns.push_back(*std::move(read.column));
      c.values.push_back(std::move(read.values));
    }
    if (part != c.key.end() && c.key.size() == 2)
      (part == c.key.begin() ? c.table.pair.first : c.table.pair.second) =
          static_cast<int>(c.table.columns.size()) - 1;
  }
  note_uniques(c);
  if (c.table.columns.empty()) c.why_not = "no column that can be used beside the key";
  if (c.key.size() == 2 && (c.table.pair.first < 0 || c.table.pair.second < 0))
    c.why_not = "a key of two columns of which one cannot be used";
}

// What must stay unique among the columns taken.
void Builder::note_uniques(Candidate& c) {
  if (c.table.pair.first >= 0) c.table.uniques.push_back({c.table.pair.first, c.table.pair.second});
  for (const auto& u : c.from->uniques) {
    std::vector<int> columns;
    for (const auto& name : u)
      for (std::size_t k = 0; k < c.table.columns.size(); ++k)
        if (lower_ascii(c.table.columns[k].name) == lower_ascii(name))
          columns.push_back(static_cast<int>(k));
    if (columns.size() == u.size()) c.table.uniques.push_back(std::move(columns));
  }
}

// Symbols and words, each once in its table.
void Builder::name_attributes(DbTable& t) {
  std::set<std::string> symbols{"name", "id",    "now", "none", "not", "and", "or",
                                "true", "false", "x",   "p",    "k",   "o",   "c"},
      nouns;
  for (auto& c : t.columns) {
    if (c.attribute.empty()) {
      const std::string base = slug(phrase_of_name(c.name));
      c.attribute = base;
      for (int i = 2; !symbols.insert(c.attribute).second; ++i)
        c.attribute = base + "_" + std::to_string(i);
    }
    const std::string noun = c.noun;
    if (nouns.count(c.noun) != 0) c.noun = phrase_of_name(c.name);
    for (int i = 2; !nouns.insert(c.noun).second; ++i) c.noun = noun + " " + std::to_string(i);
  }
}

// Rows that refer to rows left out go as well; true where some did.
bool Builder::drop_rows() {
  bool any = false;
  for (auto& c : all) {
    if (!c.why_not.empty()) continue;
    for (std::size_t k = 0; k < c.table.columns.size(); ++k) {
      const DbColumn& column = c.table.columns[k];
      if (column.type != Type::ref) continue;
      const Candidate& to = all[at(column.target)];
      for (std::size_t r = 0; r < c.keys.size(); ++r) {
        const std::int64_t v = c.values[k][r];
        if (c.dropped[r] || v == kNone) continue;
        const auto row = std::find(to.keys.begin(), to.keys.end(), v) - to.keys.begin();
        if (!to.dropped[static_cast<std::size_t>(row)]) continue;
        c.dropped[r] = true;
        any = true;
      }
    }
  }
  return any;
}

void Builder::finish() {
  std::vector<int> place(all.size(), -1);
  for (std::size_t i = 0; i < all.size(); ++i) {
    Candidate& c = all[i];
    const auto rows =
        static_cast<std::size_t>(std::count(c.dropped.begin(), c.dropped.end(), false));
    if (c.why_not.empty() && rows < kMinRows)
      c.why_not = "fewer than three rows whose references lead to rows";
    if (!c.why_not.empty()) {
      leave_out(c.table.name, c.why_not);
      continue;
    }
    place[i] = static_cast<int>(model.tables.size());
    for (std::size_t r = 0; r < c.keys.size(); ++r) {
      if (c.dropped[r]) continue;
      DbRow row;
      row.key = c.keys[r];
      for (const auto& column : c.values) row.values.push_back(column[r]);
      c.table.rows.push_back(std::move(row));
    }
    std::sort(c.table.rows.begin(), c.table.rows.end(),
              [](const DbRow& a, const DbRow& b) { return a.key < b.key; });
    model.tables.push_back(std::move(c.table));
  }
  for (auto& t : model.tables) {
    name_attributes(t);
    for (auto& column : t.columns)
      if (column.type == Type::ref) column.target = place[at(column.target)];
  }
}

}  // namespace

Result<DbModel> model_of(const tasks::ForeignDb& db) {
  // A table that turns out to be unusable takes the references to it along: begin again without it.
  std::vector<std::pair<std::string, std::string>> reasons;
  tasks::ForeignDb rest = db;
  for (;;) {
    Builder b{rest, {}, {}};
    b.candidates();
    for (auto& c : b.all) b.read_columns(c);
    while (b.drop_rows()) {
    }
    const std::size_t known = b.model.left_out.size();
    b.model.name = db.name;
    b.model.hash = db.hash;
    b.finish();
    if (b.model.left_out.size() > known) {
      for (std::size_t i = known; i < b.model.left_out.size(); ++i) {
        reasons.push_back(b.model.left_out[i]);
        std::erase_if(rest.tables,
                      [&](const ForeignTable& t) { return t.name == b.model.left_out[i].first; });
      }
      continue;
    }
    DbModel out = std::move(b.model);
    out.left_out.insert(out.left_out.end(), reasons.begin(), reasons.end());
    out.left_out.insert(out.left_out.end(), db.skipped.begin(), db.skipped.end());
    std::sort(out.left_out.begin(), out.left_out.end());
    if (!out.tables.empty()) return out;
    std::string why;
    for (const auto& [table, reason] : out.left_out)
      why += (why.empty() ? "" : "; ") + table + ": " + reason;
    return make_error(
        Where::pack, "foreign database", db.name,
        "no table that can be used (" + why.substr(0, 600) +
            "), wanted one with a primary key of one or two columns, three rows and a "
            "column beside the key",
        "give a database with such tables");
  }
}

}  // namespace seedbed::envgen
