#include "engine/chat/result_order.h"

#include <algorithm>
#include <unordered_map>

namespace seedbed::engine::chat {
namespace {

using Order = std::vector<std::size_t>;

constexpr std::size_t kOpen = static_cast<std::size_t>(-1);

Result<std::unordered_map<std::string, std::size_t>> calls_by_id(const Message& assistant,
                                                                 std::size_t index) {
  std::unordered_map<std::string, std::size_t> out;
  for (std::size_t k = 0; k < assistant.tool_calls.size(); ++k) {
    const auto& id = assistant.tool_calls[k].id;
    if (!id.empty() && !out.emplace(id, k).second)
      return refuse_message(index, "two calls have the id '" + id + "', wanted unique ids",
                            "give each call an id of its own");
  }
  return out;
}

Result<Order> by_id(const std::vector<Message>& messages, std::size_t first, std::size_t last) {
  const auto& calls = messages[first - 1].tool_calls;
  SEEDBED_TRY(const auto place, calls_by_id(messages[first - 1], first - 1));
  Order order(calls.size(), kOpen);
  for (std::size_t i = first; i < last; ++i) {
    const auto& id = messages[i].tool_call_id;
    if (id.empty())
      return refuse_message(i, "a tool result without tool_call_id beside others that have one",
                            "give every result the id of its call, or none");
    const auto found = place.find(id);
    if (found == place.end())
      return refuse_message(
          i, "tool_call_id '" + id + "' names no call of the assistant message before it",
          "send the id that the call had");
    if (order[found->second] != kOpen)
      return refuse_message(i, "tool_call_id '" + id + "' is answered twice, wanted one result",
                            "send one result for each call");
    order[found->second] = i;
  }
  for (std::size_t k = 0; k < order.size(); ++k)
    if (order[k] == kOpen)
      return refuse_message(first - 1,
                            "call '" + calls[k].name + "' (id '" + calls[k].id +
                                "') has no result, wanted one for each call",
                            "send a tool message for it, too");
  return order;
}

Result<Order> by_position(const std::vector<Message>& messages,
                          std::size_t first,
                          std::size_t last) {
  const auto wanted = messages[first - 1].tool_calls.size();
  if (last - first != wanted)
    return refuse_message(first - 1,
                          std::to_string(wanted) + " calls are followed by " +
                              std::to_string(last - first) + " results, wanted one for each call",
                          "send the results with the ids of their calls");
  Order order;
  for (std::size_t i = first; i < last; ++i) order.push_back(i);
  return order;
}

}  // namespace

Error refuse_message(std::size_t index, const std::string& found, const std::string& todo) {
  return make_error(Where::model, "chat messages", "message " + std::to_string(index), found, todo);
}

Result<Order> order_results(const std::vector<Message>& messages,
                            std::size_t first,
                            std::size_t end) {
  std::size_t last = first;
  while (last < end && messages[last].role == Role::tool) ++last;
  if (first == 0 || messages[first - 1].tool_calls.empty())
    return refuse_message(
        first, "a tool result that follows no tool call",
        "send the assistant message with the calls before it, and all its results "
        "together");
  const bool any_id = std::any_of(messages.begin() + static_cast<std::ptrdiff_t>(first),
                                  messages.begin() + static_cast<std::ptrdiff_t>(last),
                                  [](const Message& m) { return !m.tool_call_id.empty(); });
  return any_id ? by_id(messages, first, last) : by_position(messages, first, last);
}

}  // namespace seedbed::engine::chat
