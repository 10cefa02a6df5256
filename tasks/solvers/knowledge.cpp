#include "tasks/solvers/knowledge.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace seedbed::tasks::solvers {
namespace {

using schemas::Value;
using Stems = std::vector<std::string>;

constexpr std::size_t kMaxRows = 400;  // of one kind
constexpr std::array<std::string_view, 12> kMost = {"highest", "largest", "greatest", "most",
                                                    "latest",  "longest", "biggest",  "maximum",
                                                    "dearest", "last",    "newest",   "furthest"};
constexpr std::array<std::string_view, 12> kLeast = {"lowest",   "smallest", "least",   "earliest",
                                                     "shortest", "cheapest", "fewest",  "minimum",
                                                     "first",    "oldest",   "soonest", "nearest"};

bool among(const auto& words, const std::string& text) {
  const std::string lower = lower_ascii(text);
  return std::find(words.begin(), words.end(), lower) != words.end();
}

// A value that tells kinds of rows apart, "confirmed" say: short, without digits, not a name.
bool is_word_value(const std::string& column, const std::string& text) {
  return column != "name" && !column.ends_with("_name") && text.size() >= 3 && text.size() <= 24 &&
         std::all_of(text.begin(), text.end(),
                     [](char ch) { return (ch >= 'a' && ch <= 'z') || ch == '-' || ch == '_'; });
}

// Rows whose value in the column is the extreme one.
std::vector<std::size_t> extreme_of(const std::vector<Row>& rows,
                                    const std::vector<std::size_t>& from,
                                    const std::string& column,
                                    bool most) {
  std::vector<std::size_t> out;
  std::optional<std::int64_t> best;
  for (const std::size_t i : from) {
    const auto n = quantity(rows[i].column(column));
    if (!n) continue;
    if (!best || (most ? *n > *best : *n < *best)) best = n, out.clear();
    if (*n == *best) out.push_back(i);
  }
  return out;
}

void apply_superlative(const Catalog& c,
                       const std::vector<Row>& rows,
                       const Clause& clause,
                       Selection& out) {
  for (std::size_t i = 0; i < clause.tokens.size(); ++i) {
    const bool most = among(kMost, clause.tokens[i].text);
    if (!most && !among(kLeast, clause.tokens[i].text)) continue;
    Stems after;
    for (std::size_t j = i + 1; j < clause.stems.size() && j < i + 5; ++j)
      after.push_back(clause.stems[j]);
    const std::string* column = column_like(c, rows, after, true);
    if (column == nullptr) continue;
    auto best = extreme_of(rows, out.rows, *column, most);
    if (best.empty()) continue;
    out.rows = std::move(best);
    out.superlative = true;
    return;
  }
}

const Value* id_of(Stems noun, const Value& result) {
  if (const Value* id = result.find("id")) return id;
  noun.emplace_back("id");
  for (const auto& [name, v] : result.members())
    if (name.ends_with("id") && stems_of_name(name) == noun) return &v;
  return nullptr;
}

}  // namespace

const Value* Row::column(std::string_view name) const {
  for (const auto& [key, v] : columns)
    if (key == name) return &v;
  return nullptr;
}

std::string Row::name() const {
  const Value* v = column("name");
  return v != nullptr && v->is_string() ? v->as_string() : "";
}

std::string text_of(const Value& scalar) {
  if (scalar.is_string()) return scalar.as_string();
  if (scalar.is_int()) return std::to_string(scalar.as_int());
  return "";
}

std::optional<std::int64_t> quantity(const Value* value) {
  if (value == nullptr) return std::nullopt;
  if (value->is_int()) return value->as_int();
  return value->is_string() ? day_of(value->as_string()) : std::nullopt;
}

void Knowledge::learn(int noun, const Value& result) {
  if (noun < 0 || noun >= static_cast<int>(rows.size()) || !result.is_object()) return;
  if (const Value* items = result.find("items"); items != nullptr && items->is_array()) {
    for (const auto& item : items->items()) learn(noun, item);
    return;
  }
  ++learned;
  const Value* id = id_of(nouns[static_cast<std::size_t>(noun)], result);
  auto& table = rows[static_cast<std::size_t>(noun)];
  if (id == nullptr || text_of(*id).empty()) return;
  const std::string text = text_of(*id);
  auto at = std::find_if(table.begin(), table.end(), [&](const Row& r) { return r.id == text; });
  if (at == table.end()) {
    if (table.size() >= kMaxRows) return;
    table.push_back({.id = text, .value = *id, .columns = {}});
    at = table.end() - 1;
  }
  for (const auto& [name, v] : result.members()) {
    if (name == "id") continue;
    auto column = std::find_if(at->columns.begin(), at->columns.end(),
                               [&](const auto& p) { return p.first == name; });
    if (column == at->columns.end())
      at->columns.emplace_back(name, v);
    else
      column->second = v;
  }
}

const Row* Knowledge::row(int noun, std::string_view id) const {
  if (noun < 0 || noun >= static_cast<int>(rows.size())) return nullptr;
  for (const auto& r : rows[static_cast<std::size_t>(noun)])
    if (r.id == id) return &r;
  return nullptr;
}

bool Knowledge::points(const Row& from, const Row& to) {
  const std::string name = to.name();
  for (const auto& [column, v] : from.columns) {
    if (v.is_string() ? v.as_string() == to.id || (!name.empty() && v.as_string() == name)
                      : v.is_int() && to.value.is_int() && v.as_int() == to.value.as_int() &&
                            column.ends_with("id"))
      return true;
  }
  return false;
}

std::vector<Mention> mentions_of(const Knowledge& known, std::string_view prompt) {
  std::vector<Mention> found;
  for (std::size_t n = 0; n < known.rows.size(); ++n)
    for (std::size_t r = 0; r < known.rows[n].size(); ++r)
      for (const std::string& said : {known.rows[n][r].name(), known.rows[n][r].id}) {
        if (said.size() < 3) continue;
        for (std::size_t at = find_phrase(prompt, said); at != std::string_view::npos;
             at = find_phrase(prompt, said, at + 1))
          found.push_back({{static_cast<int>(n), r}, at, at + said.size()});
      }
  std::vector<Mention> out;
  for (const auto& m : found) {
    const bool inside = std::any_of(found.begin(), found.end(), [&](const Mention& o) {
      return o.begin <= m.begin && o.end >= m.end && o.end - o.begin > m.end - m.begin;
    });
    if (!inside) out.push_back(m);
  }
  std::sort(out.begin(), out.end(), [](const Mention& a, const Mention& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.what < b.what;
  });
  return out;
}

Clause clause_of(std::string_view prompt, std::string_view text, const std::vector<Mention>& all) {
  Clause out;
  out.text = text;
  out.tokens = tokens_of(text);
  for (const auto& token : out.tokens) out.stems.push_back(token.stem);
  const auto begin = static_cast<std::size_t>(text.data() - prompt.data());
  for (const auto& m : all)
    if (m.begin >= begin && m.end <= begin + text.size()) out.mentions.push_back(m);
  for (const std::string_view word :
       {"tell me", "report", "find out", "look up", "give me", "list", "let me know", "how many",
        "which", "what", "I need to know", "I would like to know", "say"})
    out.asks = out.asks || find_phrase(text, word) != std::string_view::npos;
  for (const std::string_view word : {"every", "each", "all"})
    out.each = out.each || find_phrase(text, word) != std::string_view::npos;
  return out;
}

bool describes(const Catalog& c, const Clause& clause, std::size_t token) {
  const std::string word = lower_ascii(clause.tokens[token].text);
  if (!c.choices.contains(word)) return false;
  return word.ends_with("ed") || c.noun_at(clause.stems, token + 1) >= 0;
}

Selection select_rows(const Catalog& c, const Knowledge& known, const Clause& clause, int noun) {
  Selection out;
  const auto& rows = known.rows[static_cast<std::size_t>(noun)];
  const auto said = [&](std::string word) {
    std::replace(word.begin(), word.end(), '_', ' ');
    return find_phrase(clause.text, word) != std::string_view::npos;
  };
  std::vector<RowRef> best_used;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::vector<RowRef> used;
    std::size_t last_end = 0;
    int score = 0;
    for (const auto& m : clause.mentions) {
      const Row& other = known.rows[static_cast<std::size_t>(m.what.noun)][m.what.row];
      if (m.what == RowRef{noun, r} || !Knowledge::points(rows[r], other)) continue;
      used.push_back(m.what);
      if (m.end > last_end) score += 4;  // two kinds of the same name count once
      last_end = m.end;
    }
    for (const auto& [column, v] : rows[r].columns)
      if (v.is_string() && is_word_value(column, v.as_string()) && said(v.as_string())) score += 2;
    if (score > out.score) out.score = score, out.rows.clear(), best_used.clear();
    if (score != out.score) continue;
    out.rows.push_back(r);
    for (const auto& u : used)
      if (std::find(best_used.begin(), best_used.end(), u) == best_used.end())
        best_used.push_back(u);
  }
  out.used = std::move(best_used);
  apply_superlative(c, rows, clause, out);
  return out;
}

const std::string* column_like(const Catalog& c,
                               const std::vector<Row>& rows,
                               const Stems& stems,
                               bool numeric) {
  const std::string* best = nullptr;
  int best_score = 0;
  for (const auto& row : rows) {
    for (const auto& [name, v] : row.columns) {
      if (numeric && !quantity(&v)) continue;
      if (numeric && name.ends_with("_id")) continue;
      int score = 0;
      const Stems parts = stems_of_name(name);
      for (const auto& part : parts)
        if (part != "cent" && std::find(stems.begin(), stems.end(), part) != stems.end())
          score += 8;
      if (score == 0 && numeric && v.is_string())  // "the earliest one": some date
        for (const char* time : {"dat", "day"})
          if (std::find(stems.begin(), stems.end(), time) != stems.end()) score += 4;
      score -= score > 0 ? static_cast<int>(parts.size()) : 0;
      if (score > best_score) best = &name, best_score = score;
    }
    if (&row - rows.data() > 8) break;  // columns are alike
  }
  static_cast<void>(c);
  return best;
}

}  // namespace seedbed::tasks::solvers
