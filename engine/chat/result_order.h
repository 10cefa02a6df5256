// Which tool message answers which call: by id, in the order of the calls.
#pragma once
#include <cstddef>
#include <vector>

#include "base/result.h"
#include "engine/chat/message.h"

namespace seedbed::engine::chat {

// messages[first..) begins with tool messages, of which all before `end` that follow each other
// belong together. Gives their indices in the order of the calls of the assistant message before
// them. By position where none of them names an id. Error{model}: no such assistant message, an
// unknown id, one answered twice, a call without result.
Result<std::vector<std::size_t>> order_results(const std::vector<Message>& messages,
                                               std::size_t first,
                                               std::size_t end);

Error refuse_message(std::size_t index, const std::string& found, const std::string& todo);

}  // namespace seedbed::engine::chat
