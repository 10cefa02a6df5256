// Every record that files, frames and the store hold, by name: what `seedbed schema NAME` prints
// and what the golden files schemas/NAME.schema.json pin.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/value.h"

namespace seedbed::schemas {

struct SchemaEntry {
  std::string_view name;
  std::string_view about;  // one line
  Value (*schema)();       // JSON Schema 2020-12
};

const std::vector<SchemaEntry>& schema_registry();
// Error{usage} names the nearest.
Result<Value> schema_by_name(std::string_view name);

}  // namespace seedbed::schemas
