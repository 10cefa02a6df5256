// Terms of the World: typed expressions over facts. One meaning, two engines: eval() here (facts in
// memory) and sql_term() (term_sql.h, printed over the views). WORLD.md lists the language; the
// grammar is in docs/pack-format.md.
//
// Every value is one int64: a reference is the key of a fact, a word its index in its domain, cents
// are cents, a date is a day number, a boolean is 0 or 1, text is the ordinal of a name; kNone
// stands for no value.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/result.h"

namespace seedbed::envgen {

inline constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::min();

enum class Type : std::uint8_t { boolean, ref, word, integer, cents, date, text };

struct Domain {
  Type type = Type::integer;
  int target = -1;      // ref: concept
  int words = -1;       // word: index into World::words
  std::int64_t lo = 0;  // integer, cents: bounds of generated values; date: offsets from now
  std::int64_t hi = 0;
  bool nullable = false;
  std::int64_t step = 0;  // of generated values; 0: the type's own
};

enum class Op : std::uint8_t {
  constant,
  now,
  param,
  variable,
  attribute,
  load,
  reach,
  count,
  sum,
  min,
  max,
  argmin,
  argmax,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  both,
  either,
  negate,
  add,
  sub,
  mul,
  div
};

struct Term;
using TermPtr = std::shared_ptr<const Term>;

struct Term {
  Op op = Op::constant;
  Domain domain;
  std::int64_t value = 0;  // constant
  int index = -1;       // param, variable; attribute: index in the concept; load: interaction edge
  int concept_id = -1;  // attribute: of what; quantifiers: over what
  std::vector<TermPtr> kids;  // attribute: {of}; quantifiers: {condition, term?}; reach:
                              // {condition, from, to, start, goal}; operators: operands
};

inline constexpr std::size_t kMaxAttributes = 20;  // of a concept

// The values of one fact, held in place: facts are copied whole at every step that is tried out,
// and an allocation for each row was most of the cost.
class Values {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  std::int64_t& operator[](std::size_t i) { return at_[i]; }
  const std::int64_t& operator[](std::size_t i) const { return at_[i]; }
  [[nodiscard]] const std::int64_t* begin() const { return at_.data(); }
  [[nodiscard]] const std::int64_t* end() const { return at_.data() + size_; }
  [[nodiscard]] std::int64_t* begin() { return at_.data(); }
  [[nodiscard]] std::int64_t* end() { return at_.data() + size_; }
  void push_back(std::int64_t v) {
    SEEDBED_CHECK(size_ < kMaxAttributes, size_);
    at_[size_++] = v;
  }
  void assign(std::size_t n, std::int64_t v) {
    SEEDBED_CHECK(n <= kMaxAttributes, n);
    size_ = n;
    std::fill(begin(), end(), v);
  }
  friend bool operator==(const Values& a, const Values& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::size_t size_ = 0;
  std::array<std::int64_t, kMaxAttributes> at_{};
};

struct Row {
  std::int64_t key = 0;
  Values values;
  friend bool operator==(const Row&, const Row&) = default;
};
struct FactTable {
  std::vector<Row> rows;  // sorted by key
  std::int64_t next = 1;  // the key of the next new fact
  [[nodiscard]] const Row* find(std::int64_t key) const;
  [[nodiscard]] Row* find(std::int64_t key);
};
struct Facts {
  std::vector<FactTable> tables;  // by concept
};

// Interaction edges that are taken away (ablation), by index; empty: none.
struct Ablation {
  int edge = -1;
};

struct Scope {
  const Facts* facts = nullptr;
  std::int64_t now = 0;
  const std::vector<std::int64_t>* params = nullptr;
  std::vector<std::int64_t>* variables = nullptr;
  int ablated = -1;  // edge index or -1
  const std::vector<std::vector<int>>* attribute_edges =
      nullptr;  // [concept][attribute] -> unify edge or -1
};
std::int64_t eval(const Term& term, const Scope& scope);

// Convenience: no parameters, no variables bound.
std::int64_t eval_closed(const Term& term, const Facts& facts, std::int64_t now);

TermPtr constant_of(std::int64_t value, const Domain& domain);
TermPtr param_of(int index, const Domain& domain);
TermPtr attribute_of(TermPtr of, int concept_id, int attribute, const Domain& domain);
TermPtr binary(Op op, TermPtr a, TermPtr b);
TermPtr all_of(const std::vector<TermPtr>& terms);  // null where empty

// What the parser needs to know about names; bound by the composer.
struct Names {
  std::map<std::string, TermPtr> values;  // parameters, lets, variables, x, ?constants as "?name"
  std::function<int(std::string_view)> concept_named;         // -1: unknown
  std::function<int(int, std::string_view)> attribute_named;  // (concept, name) -> index or -1
  std::function<Domain(int, int)> attribute_domain;           // (concept, attribute)
  std::function<Result<TermPtr>(std::string_view, const TermPtr&, int)>
      derived;                                           // name, argument, first free variable
  std::function<int(int, std::string_view)> word_index;  // (words domain, word) -> index or -1
  int next_variable = 0;
};

// `what` names pack and place for messages.
Result<TermPtr> parse_term(std::string_view text, Names& names, const std::string& what);
// A literal word takes its domain from `domain`; used by effects ("state: 'held'").
Result<TermPtr> parse_term_as(std::string_view text,
                              Names& names,
                              const Domain& domain,
                              const std::string& what);

// The term with params 0..n-1 replaced by the values: closed where all were given.
TermPtr closed(const TermPtr& term, const std::vector<std::int64_t>& params);

// All (concept, attribute) pairs read; attribute -1 stands for the concept's existence.
void collect_reads(const Term& term, std::vector<std::pair<int, int>>& out);
void collect_loads(const Term& term, std::vector<int>& out);

}  // namespace seedbed::envgen
