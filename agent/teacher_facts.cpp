#include "agent/teacher_facts.h"

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "tasks/solvers/words.h"

namespace seedbed::agent {
namespace {

using schemas::Value;

bool is_word(char c) {
  const auto u = static_cast<unsigned char>(c);
  return (u >= '0' && u <= '9') || (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || u >= 0x80;
}

bool has_word(std::string_view text, std::string_view word) {
  if (word.empty()) return false;
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const auto end = at + word.size();
    if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end])))
      return true;
  }
  return false;
}

// Of two numbers, or of two dates: whether a is less. Nothing where they do not compare.
std::optional<bool> less(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return a.as_double() < b.as_double();
  if (a.is_string() && b.is_string() && is_date(a.as_string()) && is_date(b.as_string()))
    return a.as_string() < b.as_string();
  return std::nullopt;
}

bool is_key(const Value& item, const std::string& field) {
  return !item.members().empty() && item.members().front().first == field;
}
bool is_measure(const Value& item, const std::string& field, const Value& value) {
  const bool reference = field.size() > 3 && field.ends_with("_id");
  return !is_key(item, field) && !reference && less(value, value).has_value();
}

std::vector<std::string> dates_and_numbers(const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  for (const auto& text : texts)
    for (std::size_t i = 0; i < text.size();) {
      std::size_t end = i;
      const auto inside = [&](char sign) {
        return text[end] == sign && end > i && end + 1 < text.size() && is_word(text[end + 1]);
      };
      while (end < text.size() && (is_word(text[end]) || inside('-') || inside(','))) ++end;
      const std::string word = replace_all(text.substr(i, end - i), ",", "");  // 1,950
      const bool number = !word.empty() && std::all_of(word.begin(), word.end(),
                                                       [](char c) { return c >= '0' && c <= '9'; });
      if ((number && word.size() < 16) || (word.size() == 10 && is_date(word))) out.push_back(word);
      i = end + 1;
    }
  return out;
}

}  // namespace

std::string value_text(const Value& value) {
  if (value.is_string()) return value.as_string();
  return value.is_number() || value.is_bool() ? dump(value) : std::string();
}

std::string key_of(const Value& record) {
  return record.members().empty() ? std::string() : value_text(record.members().front().second);
}

bool is_date(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-dd";
  if (text.size() < kForm.size()) return false;
  for (std::size_t i = 0; i < kForm.size(); ++i)
    if (kForm[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != '-') return false;
  return true;
}

std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> out(1);
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool upper = c >= 'A' && c <= 'Z';
    if (c == '_' || c == '-' || (upper && !out.back().empty())) out.emplace_back();
    if (c != '_' && c != '-') out.back() += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  out.erase(std::remove(out.begin(), out.end(), std::string()), out.end());
  return out;
}

void Facts::clear() {
  calls_.clear();
  request_.clear();
  user_.clear();
  turns_ = 0;
}

void Facts::read(const std::vector<schemas::Turn>& turns) {
  for (; turns_ < turns.size(); ++turns_) {
    const schemas::Turn& turn = turns[turns_];
    if (turn.role == "user") {
      if (user_.empty()) request_ = turn.text;
      user_.push_back(lower_ascii(turn.text));
    }
    for (const auto& call : turn.calls) {
      if (call.reserved) continue;
      SeenCall& seen = calls_.emplace_back();
      seen.tool = call.tool;
      seen.args = call.args;
      auto parsed = schemas::parse_json(call.result.out);
      if (!parsed.ok() || !parsed->is_object()) continue;
      seen.result = *std::move(parsed);
      if (const Value* error = seen.result.find("error"); error != nullptr) {
        seen.error = error->text("code");
        continue;
      }
      const Value* items = seen.result.find("items");
      if (items == nullptr || !items->is_array()) {
        seen.items.push_back(&seen.result);
        continue;
      }
      for (const auto& item : items->items())
        if (item.is_object()) seen.items.push_back(&item);
    }
  }
}

bool Facts::user_says(std::string_view text) const {
  const std::string low = lower_ascii(text);
  const std::string spaced = replace_all(low, "_", " ");
  return std::any_of(user_.begin(), user_.end(), [&](const std::string& said) {
    return has_word(said, low) || (spaced != low && has_word(said, spaced));
  });
}

int Facts::user_names(std::string_view identifier) const {
  int known = 0, all = 0;
  for (const auto& word : words_of(identifier)) {
    if (word.size() < 3 || word == "cents" || word == "date" || word == "the") continue;
    ++all;
    known += std::any_of(user_.begin(), user_.end(),
                         [&](const std::string& said) { return has_word(said, word); });
  }
  return all == 0 ? 0 : known * 100 / all;
}

bool Facts::user_ranks(bool least) const {
  constexpr std::string_view kLeast[] = {"lowest",  "least",    "smallest", "fewest",   "cheapest",
                                         "first",   "earliest", "oldest",   "shortest", "lightest",
                                         "minimum", "soonest",  "nearest"};
  constexpr std::string_view kGreatest[] = {
      "highest", "most",    "largest",  "greatest", "dearest", "last",     "latest",
      "newest",  "longest", "heaviest", "maximum",  "biggest", "youngest", "farthest"};
  const auto said = [this](std::string_view word) { return user_says(word); };
  return least ? std::any_of(std::begin(kLeast), std::end(kLeast), said)
               : std::any_of(std::begin(kGreatest), std::end(kGreatest), said);
}

std::vector<std::string> Facts::user_limits() const {
  return dates_and_numbers(user_);
}

bool Facts::user_gives(const std::string& text) const {
  const auto limits = user_limits();
  return user_says(text) || std::find(limits.begin(), limits.end(), text) != limits.end();
}

std::vector<std::string> Facts::names() const {
  const std::vector<tasks::solvers::Token> words = tasks::solvers::tokens_of(request_);
  const auto named = [](const tasks::solvers::Token& word) {  // no word of a telegram
    return word.capital && std::any_of(word.text.begin() + 1, word.text.end(),
                                       [](char c) { return c < 'A' || c > 'Z'; });
  };
  std::vector<std::string> out;
  for (std::size_t i = 0, end = 0; i < words.size(); i = std::max(end, i + 1)) {
    if (!named(words[i]) || words[i].begins_sentence) continue;
    for (end = i + 1; end < words.size() && named(words[end]); ++end)
      if (words[end].begins_sentence || words[end].begin != words[end - 1].end + 1) break;
    if (end > i + 1)
      out.push_back(request_.substr(words[i].begin, words[end - 1].end - words[i].begin));
  }
  return out;
}

bool Facts::told(const std::string& value) const {
  if (user_says(value)) return true;
  for (const auto& call : calls_)
    if (call.items.size() == 1 && !call.items[0]->members().empty() &&
        value_text(call.items[0]->members().front().second) == value)
      return true;
  for (const auto& call : calls_)
    if (call.error.empty() && call.args.is_object())
      for (const auto& [name, arg] : call.args.members())
        if (name != "offset" && value_text(arg) == value) return true;
  return false;
}

std::optional<Place> Facts::named(const std::string& key) const {
  for (std::size_t c = 0; c < calls_.size(); ++c)
    for (const Value* item : calls_[c].items) {
      if (key_of(*item) != key) continue;
      for (const auto& [field, held] : item->members()) {
        const bool capital = held.is_string() && !held.as_string().empty() &&
                             held.as_string().front() >= 'A' && held.as_string().front() <= 'Z';
        if (capital && held.as_string() != key && user_says(held.as_string()))
          return Place{c, item, field};
      }
    }
  return std::nullopt;
}

std::optional<Place> Facts::find(const std::string& value,
                                 const std::vector<std::size_t>& preferred,
                                 const std::vector<std::string>& owners) const {
  std::optional<Place> best;
  int best_rank = -1;
  if (value.empty()) return best;
  for (std::size_t c = 0; c < calls_.size(); ++c) {
    const bool wanted = std::find(preferred.begin(), preferred.end(), c) != preferred.end();
    for (const Value* item : calls_[c].items) {
      const bool owned = !item->members().empty() &&
                         std::find(owners.begin(), owners.end(),
                                   value_text(item->members().front().second)) != owners.end();
      for (const auto& [field, held] : item->members()) {
        if (value_text(held) != value) continue;
        const int rank = (owned ? 4000 : 0) + (wanted ? 2000 : 0) +
                         (is_key(*item, field) ? 1000 : user_names(field));
        // Of equal ones the latest call, and in it the first.
        if (rank < best_rank || (rank == best_rank && best->call == c)) continue;
        best = Place{c, item, field};
        best_rank = rank;
      }
    }
  }
  return best;
}

std::vector<const Value*> Facts::beside(std::size_t call) const {
  const auto without_offset = [](const Value& args) {
    Value out = Value::object();
    if (args.is_object())
      for (const auto& [name, value] : args.members())
        if (name != "offset") out.set(name, value);
    return out;
  };
  const Value args = without_offset(calls_[call].args);
  std::vector<const Value*> out;
  for (const auto& other : calls_)
    if (other.tool == calls_[call].tool && without_offset(other.args) == args)
      out.insert(out.end(), other.items.begin(), other.items.end());
  return out;
}

Pick Facts::pick(const Place& place) const {
  Pick out;
  std::vector<const Value*> rest = beside(place.call);
  if (rest.size() <= 1) {
    out.only = true;
    return out;
  }
  for (const auto& [field, value] : place.item->members()) {
    const std::string text = value_text(value);
    if (is_key(*place.item, field) || text.empty() || out.match.size() == 2) continue;
    // A number means something where its name is spoken of; a reference to another record always.
    if (is_measure(*place.item, field, value) && user_names(field) == 0) continue;
    const auto same = [&, &name = field](const Value* other) {
      const Value* theirs = other->find(name);
      return theirs != nullptr && value_text(*theirs) == text;
    };
    if (std::all_of(rest.begin(), rest.end(), same) || !told(text)) continue;
    out.match.emplace_back(field, text);
    rest.erase(std::remove_if(rest.begin(), rest.end(), [&](const Value* v) { return !same(v); }),
               rest.end());
  }
  if (rest.size() <= 1) return out;
  pick_extreme(place, std::move(rest), out);
  if (out.by.empty()) pick_limit(place, out);
  return out;
}

// The field that the user names best of those in which the record stands at an end alone.
void Facts::pick_extreme(const Place& place, std::vector<const Value*> rest, Pick& out) const {
  int best = 0;
  for (const auto& [field, value] : place.item->members()) {
    if (!is_measure(*place.item, field, value)) continue;
    bool least = true, greatest = true;
    for (const Value* other : rest) {
      if (other == place.item) continue;
      const Value* theirs = other->find(field);
      const auto below = theirs == nullptr ? std::nullopt : less(value, *theirs);
      const auto above = theirs == nullptr ? std::nullopt : less(*theirs, value);
      least = least && below == true;
      greatest = greatest && above == true;
    }
    const int named = user_names(field);
    if (!(least && user_ranks(true)) && !(greatest && user_ranks(false))) continue;
    if (named <= best) continue;
    best = named;
    out.by = field;
    out.least = least;
    out.among.clear();
    for (const Value* other : rest)
      if (other != place.item) out.among.push_back(value_text(*other->find(field)));
  }
}

// A date or number of the user's that the record lies on one side of.
void Facts::pick_limit(const Place& place, Pick& out) const {
  const auto limits = user_limits();
  int best = 0;
  for (const auto& [field, value] : place.item->members()) {
    if (!is_measure(*place.item, field, value)) continue;
    const int named = user_names(field) + (value.is_string() ? 1 : 0);
    if (named <= best) continue;
    for (const auto& limit : limits) {
      const Value bound = value.is_string()
                              ? Value(limit)
                              : Value(static_cast<std::int64_t>(std::atoll(limit.c_str())));
      if (is_date(limit) != value.is_string()) continue;
      const auto below = less(value, bound), above = less(bound, value);
      if (!below || !above) continue;
      best = named;
      out.by = field;
      out.limit = limit;
      out.side = *below ? -1 : *above ? 1 : 0;
      break;
    }
  }
}

}  // namespace seedbed::agent
