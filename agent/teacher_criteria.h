// What tells some records of a list from the others: the fewest conditions that hold for just
// those, of the user's words rather than of others.
#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/teacher_facts.h"

namespace seedbed::agent {

struct Condition {
  enum class Is : std::uint8_t { equal, among, below, above } is = Is::equal;
  std::string field;
  std::vector<std::string> values;  // equal, below, above: one; null is "null"
};

struct Criteria {
  std::vector<Condition> conditions;  // all hold
  std::string by;                     // and of the records left the least or greatest in this
  bool least = false;
  std::vector<const schemas::Value*> left;  // the records that the conditions leave, in their order
};

// Of a row's field; "null" for null, "" where there is none.
std::string text_in(const schemas::Value& row, const std::string& field);
// As numbers or as dates: a < b. Nothing where they do not compare.
std::optional<bool> below(const std::string& a, const std::string& b);
bool holds(const Condition& condition, const schemas::Value& row);

// rows: objects, the first member of each is its key. chosen: keys. today: YYYY-MM-DD. Nothing
// where two conditions and an end do not tell them apart.
std::optional<Criteria> criteria(const Facts& facts,
                                 const std::vector<const schemas::Value*>& rows,
                                 const std::set<std::string>& chosen,
                                 const std::string& today);

// "running state, delivery_date before 2027-04-11, reader_id of those"
std::string text_of(const std::vector<Condition>& conditions);
// The end that is meant: earliest, latest, lowest or highest.
std::string_view end_of(const Criteria& criteria, const schemas::Value& value);

}  // namespace seedbed::agent
