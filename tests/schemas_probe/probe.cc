// Answers tests/acceptance/json_schema_diff.py: one line {"schema": ..., "instance": ...} in, one
// word out: true, false, or refused where the schema does not compile.
#include <iostream>
#include <string>

#include "schemas/json_schema.h"

int main() {
  using namespace seedbed::schemas;
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    const auto read = parse_json(line);
    const Value* schema = read.ok() ? read->find("schema") : nullptr;
    const Value* instance = read.ok() ? read->find("instance") : nullptr;
    if (schema == nullptr || instance == nullptr) {
      std::cout << "unreadable: " << (read.ok() ? "a key is missing" : read.error().message)
                << "\n";
      continue;
    }
    const auto compiled = JsonSchema::compile(*schema);
    std::cout << (!compiled.ok()                          ? "refused"
                  : compiled->validate(*instance).empty() ? "true"
                                                          : "false")
              << "\n";
  }
  return 0;
}
