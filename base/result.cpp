#include "base/result.h"

namespace seedbed {

Error make_error(Where where,
                 std::string_view what,
                 std::string_view at,
                 std::string_view found_and_wanted,
                 std::string_view todo) {
  std::string message(what);
  if (!at.empty()) message.append(" '").append(at).append("'");
  message.append(": ").append(found_and_wanted);
  if (!todo.empty()) message.append("; ").append(todo);
  return {where, std::move(message)};
}

}  // namespace seedbed
