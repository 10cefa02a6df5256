// The chat format: completions (the laws of every parse, for each way of cutting them) and
// conversations.
#include "engine/chat/message.h"
#include "engine/chat/render.h"
#include "fuzz/targets.h"
#include "tests/engine_chat/laws.h"

namespace seedbed::fuzz {
namespace {

using namespace engine::chat;

// The first byte chooses the mode and how the completion ends.
std::string completion(std::string_view input) {
  if (input.empty()) return "";
  const auto mode = static_cast<unsigned char>(input[0]);
  const bool thinking = (mode & 1U) != 0;
  constexpr End kEnds[] = {End::unknown, End::eos, End::cut, End::unknown};
  input.remove_prefix(1);
  if (auto why = check_all(input, {.thinking = thinking}, kEnds[(mode >> 1U) & 3U]); !why.empty())
    return why;
  return check_strict(input, thinking);
}

// What can be read can be cut after any message that ends a turn: the pieces join to the whole.
std::string conversation(std::string_view input) {
  const auto messages = parse_conversation(input);
  if (!messages.ok()) return "";
  for (const bool thinking : {true, false}) {
    const RenderOptions options{.thinking = thinking};
    const auto whole = render(*messages, options);
    if (!whole.ok()) continue;
    for (std::size_t i = 1; i < whole->segments.size(); ++i)
      if (!whole->segments[i].special && !whole->segments[i - 1].special)
        return "two plain segments follow each other";
    const auto half = messages->size() / 2;
    const auto head =
        render({messages->begin(), messages->begin() + static_cast<std::ptrdiff_t>(half)}, options);
    const auto suffix = render_suffix(*messages, half, options);
    if (half == 0 || !head.ok() || !suffix.ok()) continue;
    auto kept = head->segments;
    if (!suffix->append) kept.resize(head->stable);
    if (text_of(kept) + text_of(suffix->segments) != text_of(whole->segments))
      return "a suffix does not join to the whole";
  }
  return "";
}

}  // namespace

std::vector<Target> chat_targets() {
  return {
      {"dsml",
       completion,
       {"\x01r</think>Well.\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n"
        "<｜DSML｜parameter name=\"a\" string=\"true\">x < y 2>&1</｜DSML｜parameter>\n"
        "<｜DSML｜parameter name=\"b\" string=\"false\">[1, {\"k\": null}]</｜DSML｜parameter>\n"
        "</｜DSML｜invoke>\n<｜DSML｜invoke name=\"g\">\n\n</｜DSML｜invoke>\n"
        "</｜DSML｜function_calls><｜end▁of▁sentence｜>",
        "\x02Look:<｜DSML｜invoke name='f' x=y>\n</｜DSML｜invoke></｜DSML｜function_calls>\nMore"
        "<｜DSML｜function_calls>and</｜DSML｜invoke></｜DSML｜parameter></｜DSML｜function_calls>",
        std::string(1, '\0') + "é漢😀</think>plain<｜end▁of▁sentence｜>"}},
      {"chat",
       conversation,
       {R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","reasoning_content":"r","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": 1e-7, \"s\": \"<\"}"}},{"id":"b","type":"function","function":{"name":"g","arguments":""}}]},{"role":"tool","tool_call_id":"b","content":"2"},{"role":"tool","tool_call_id":"a","content":"1"},{"role":"assistant","reasoning_content":"t","content":"c"},{"role":"user","content":"v"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"maximum":18446744073709551615}}}],"response_format":{"type":"json_object"}})",
        R"([{"role":"developer","content":"d"},{"role":"assistant","content":[{"type":"text","text":"a"}],"reasoning_content":"r"}])"}},
  };
}

}  // namespace seedbed::fuzz
