// What somebody who has read a text and some results knows: the values that may be said without
// guessing (G10, G11).
#pragma once
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "schemas/call.h"
#include "schemas/environment.h"
#include "schemas/value.h"

namespace seedbed::tasks {

class Known {
 public:
  void read(std::string_view prose);
  void see(const schemas::Value& value);  // every scalar inside, not the names of members
  void see(const schemas::ToolResult& result);
  // Enums, constants and defaults of a JSON Schema, wherever they stand in it.
  void see_choices(const schemas::Value& schema);
  // The scalar as a whole word of the prose (case and repeated space aside; 1250 also as 1,250 or,
  // up to twelve, in words) or among the values. Booleans, null and the empty text are always
  // known.
  [[nodiscard]] bool has(const schemas::Value& scalar) const;

 private:
  [[nodiscard]] bool says(const std::string& word) const;
  std::vector<std::string> prose_;  // in lower case, runs of space made one
  std::unordered_set<std::string> values_;
};

// Words of a prompt that a caller could echo: quoted texts, ids, numbers, capitalised names; each
// once, in order.
std::vector<std::string> echo_words(std::string_view prompt);
bool is_id_like(std::string_view word);  // has a digit and, beside digits, letters or a dash

}  // namespace seedbed::tasks
