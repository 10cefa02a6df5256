// JSON Schema 2020-12 for tool arguments: type, enum, const, properties, required,
// additionalProperties, items, prefixItems, min/max*, multipleOf, uniqueItems, pattern, format
// (date, date-time), anyOf/oneOf/allOf/not, $ref/$defs (local), bounded depth. Compiled once; a
// compiled schema is immutable and may be shared by threads.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "schemas/value.h"

namespace seedbed::schemas {

struct Violation {
  std::string pointer;  // JSON pointer into the instance, "" for the whole
  std::string message;  // found and wanted, in words; names the nearest key for an unknown one
};

class JsonSchema {
 public:
  // Refuses unknown keywords' wrong kinds, unresolvable or non-local $ref, and patterns that do not
  // compile.
  static Result<JsonSchema> compile(const Value& schema);
  // The first violations found (at most `max`), in document order; empty where the instance is
  // valid.
  [[nodiscard]] std::vector<Violation> validate(const Value& instance, std::size_t max = 1) const;

  struct Node;

 private:
  explicit JsonSchema(std::shared_ptr<const Node> root) : root_(std::move(root)) {}
  std::shared_ptr<const Node> root_;
};

}  // namespace seedbed::schemas
