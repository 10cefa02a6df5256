// The reference's own reading of a completion: well-formed text only, and nothing repaired.
// Trainers use it, since what passes here is exactly what the published encoder writes. Whatever it
// takes, the lenient parser reads the same way, but for one thing: there a value that holds a whole
// tag on a line of its own counts as unclosed.
#pragma once
#include <string_view>

#include "base/result.h"
#include "engine/chat/parse.h"

namespace seedbed::engine::chat {

// reasoning, content and calls; no spans. A call is `whole` where its arguments are a JSON object:
// the reference pastes string="false" values unread. Error{model} says the byte and the rule that
// was broken.
Result<Completion> parse_strict(std::string_view text, bool thinking);

}  // namespace seedbed::engine::chat
