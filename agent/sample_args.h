// Values for a JSON Schema, drawn from what a client has read: the random client's hands.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "schemas/value.h"

namespace seedbed::agent {

// What was read so far; each value once, bounded. Equal reading gives equal pools.
class Pool {
 public:
  void read_text(std::string_view text);  // words, quoted strings, ids, whole numbers, dates
  void read_result(const schemas::Value& value);  // every string and integer inside
  [[nodiscard]] const std::vector<std::string>& strings() const { return strings_; }
  [[nodiscard]] const std::vector<std::int64_t>& integers() const { return integers_; }

 private:
  void add(std::string_view text);
  void add(std::int64_t number);
  std::vector<std::string> strings_;
  std::vector<std::int64_t> integers_;
  std::vector<std::uint64_t> seen_;  // sorted hashes
};

// A value meant to satisfy `schema` (type, enum, const, default, bounds, format, items, required,
// anyOf/oneOf/allOf, local $ref); the caller validates, since a pattern or `not` may still refuse
// it.
schemas::Value sample_value(const schemas::Value& schema, const Pool& pool, Rng& rng);

}  // namespace seedbed::agent
