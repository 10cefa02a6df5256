// Schema-valid random arguments: what a caller without any plan would send. Values come from the
// schema (enums, bounds), from the state's columns and from what results have shown; a parameter
// prefers values that were seen under its own name.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "schemas/call.h"
#include "schemas/value.h"
#include "tasks/judge.h"

namespace seedbed::tasks {

class Draw {
 public:
  Draw() = default;
  Draw(const std::vector<FactColumn>& columns, std::int64_t now_minutes);

  void learn(const schemas::Value& seen);  // scalars of a result, by the names of their members
  void learn(const schemas::ToolResult& result);
  // A value for the schema; valid in most cases, so the caller validates and draws again.
  [[nodiscard]] schemas::Value value(const schemas::Value& schema,
                                     const std::string& name,
                                     Rng& rng,
                                     int depth = 0) const;

 private:
  struct Pool {
    std::vector<std::int64_t> integers;
    std::vector<std::string> texts;
  };
  void add(const std::string& name, const schemas::Value& scalar);
  [[nodiscard]] const Pool* pool_for(const std::string& name) const;
  [[nodiscard]] schemas::Value text(const schemas::Value& schema,
                                    const std::string& name,
                                    Rng& rng) const;
  [[nodiscard]] schemas::Value integer(const schemas::Value& schema,
                                       const std::string& name,
                                       Rng& rng) const;
  [[nodiscard]] schemas::Value object(const schemas::Value& schema, Rng& rng, int depth) const;

  std::map<std::string, Pool> by_name_;
  Pool all_;
  std::int64_t now_minutes_ = 0;
};

// "2031-03-05 14:30" for minutes since 2000-01-01 00:00.
std::string minutes_text(std::int64_t minutes);

}  // namespace seedbed::tasks
