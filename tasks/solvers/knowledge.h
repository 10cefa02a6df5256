// What a solver has been shown, by kind of record; and how a clause of the prompt picks from it.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schemas/call.h"
#include "tasks/solvers/sight.h"
#include "tasks/solvers/words.h"

namespace seedbed::tasks::solvers {

struct Row {
  std::string id;        // as text
  schemas::Value value;  // of the member id
  std::vector<std::pair<std::string, schemas::Value>> columns;
  [[nodiscard]] const schemas::Value* column(std::string_view name) const;
  [[nodiscard]] std::string name() const;  // of the member name; "" where none
};
std::string text_of(const schemas::Value& scalar);  // "" for what is neither text nor integer

struct Knowledge {
  std::vector<std::vector<Row>> rows;           // by noun
  std::vector<std::vector<std::string>> nouns;  // their stems
  std::size_t learned = 0;                      // results, so far: tells whether anything is new

  // The records of a result: each object with a member `id`, or one named like the noun and id.
  void learn(int noun, const schemas::Value& result);
  [[nodiscard]] const Row* row(int noun, std::string_view id) const;
  // Whether a column of `from` holds the other's id or, where it is of text, its name.
  static bool points(const Row& from, const Row& to);
};

struct RowRef {
  int noun = -1;
  std::size_t row = 0;
  friend auto operator<=>(const RowRef&, const RowRef&) = default;
};
struct Mention {  // a record named in the prompt
  RowRef what;
  std::size_t begin = 0, end = 0;
};
// By name or id; of two that overlap the longer one.
std::vector<Mention> mentions_of(const Knowledge& known, std::string_view prompt);

struct Clause {
  std::string_view text;
  std::vector<Token> tokens;
  std::vector<std::string> stems;  // of the tokens
  std::vector<Mention> mentions;   // positions within the prompt
  bool asks = false;               // wants to be told something
  bool each = false;               // every, each, all
};
Clause clause_of(std::string_view prompt, std::string_view text, const std::vector<Mention>& all);

// Whether the token says what a record is ("the open loan", "cancelled orders") rather than what is
// to be done.
bool describes(const Catalog& c, const Clause& clause, std::size_t token);

struct Selection {
  std::vector<std::size_t> rows;
  std::vector<RowRef> used;  // mentions that it rests on
  int score = 0;             // of the best rows; 0: nothing in the clause tells rows apart
  bool superlative = false;
};
// The records of the kind that fit the clause best: those that point to what it names, hold the
// words that it says, and have the extreme that it asks for.
Selection select_rows(const Catalog& c, const Knowledge& known, const Clause& clause, int noun);

// The column whose name shares most words with the stems; nullptr where none shares any.
// `numeric`: integers and dates only.
const std::string* column_like(const Catalog& c,
                               const std::vector<Row>& rows,
                               const std::vector<std::string>& stems,
                               bool numeric);
// Integers as they are, dates as days.
std::optional<std::int64_t> quantity(const schemas::Value* value);

}  // namespace seedbed::tasks::solvers
