#include "engine/chat/strict.h"

#include <algorithm>
#include <initializer_list>
#include <set>

#include "base/text.h"
#include "engine/chat/json_text.h"
#include "engine/chat/markers.h"
#include "engine/chat/tags.h"

namespace seedbed::engine::chat {
namespace {

constexpr std::string_view kCallsStart = "\n\n<｜DSML｜function_calls";
constexpr std::string_view kCallsEnd = "</｜DSML｜function_calls";
constexpr std::string_view kInvokeEnd = "</｜DSML｜invoke";
constexpr std::string_view kParameterEnd = "/｜DSML｜parameter";  // its '<' ends the value

class Reader {
 public:
  Reader(std::string_view text, bool thinking) : text_(text), thinking_(thinking) {}

  Step run(Completion& out) {
    if (thinking_)
      if (auto error = reasoning(out)) return error;
    const auto stop = until({kEos, kCallsStart});
    out.content = before_;
    if (stop == kCallsStart) {
      if (auto error = calls(out)) return error;
    } else if (stop.empty()) {
      return refuse("content without its end-of-sentence marker, wanted one after it");
    }
    if (stop == kEos) out.end = End::eos;
    if (at_ != text_.size()) return refuse("text after the end");
    return markers_inside(out);
  }

 private:
  Step refuse(const std::string& found) const {
    return make_error(Where::model, "completion", "byte " + std::to_string(at_), found,
                      "keep it out of training, or read it without --strict");
  }

  // Moves past the stop that comes first and gives it; "" and the rest where there is none.
  std::string_view until(std::initializer_list<std::string_view> stops) {
    std::size_t first = text_.size();
    std::string_view found;
    for (const auto stop : stops)
      if (const auto at = text_.find(stop, at_); at < first) {
        first = at;
        found = stop;
      }
    before_ = text_.substr(at_, first - at_);
    at_ = first + found.size();
    return found;
  }

  Step reasoning(Completion& out) {
    const auto stop = until({kEndThink, kCallsStart});
    if (stop != kEndThink) return refuse("reasoning that does not end, wanted </think>");
    out.reasoning = before_;
    return std::nullopt;
  }

  Step calls(Completion& out) {
    for (;;) {
      const auto stop = until({kOpenInvoke, kCallsEnd});
      if (stop.empty()) return refuse("a block of calls that does not end");
      if (before_ != ">\n")
        return refuse("something else than '>' and a line end between two tags");
      if (stop == kCallsEnd) break;
      if (auto error = call(out)) return error;
    }
    const auto stop = until({kEos});
    if (before_ != ">") return refuse("text after the calls, wanted the end");
    if (!stop.empty()) out.end = End::eos;
    return std::nullopt;
  }

  Step call(Completion& out) {
    auto stop = until({kOpenParameter, kInvokeEnd});
    if (stop.empty()) return refuse("a call that does not end");
    Call made;
    if (!invoke_name(made.name))
      return refuse("a call's tag, wanted name=\"...\">, then a line end");
    std::set<std::string> names;
    while (stop == kOpenParameter) {
      if (auto error = parameter(made, names)) return error;
      stop = until({kOpenParameter, kInvokeEnd});
      if (stop.empty()) return refuse("a call that does not end");
      if (before_ != ">\n")
        return refuse("something else than '>' and a line end between two tags");
    }
    made.arguments = "{" + made.arguments + "}";
    auto value = schemas::parse_json(made.arguments);
    made.whole = value.ok();
    if (made.whole) made.value = *std::move(value);
    out.calls.push_back(std::move(made));
    return std::nullopt;
  }

  // White space, name="N">, a line end; one more is what a call without parameters has.
  bool invoke_name(std::string& name) const {
    auto header = before_;
    while (!header.empty() && is_tag_space(header.front())) header.remove_prefix(1);
    if (header.ends_with("\n\n")) header.remove_suffix(1);
    constexpr std::string_view kBegin = "name=\"", kEnd = "\">\n";
    if (header.size() < kBegin.size() + kEnd.size() || !header.starts_with(kBegin) ||
        !header.ends_with(kEnd))
      return false;
    name = header.substr(kBegin.size(), header.size() - kBegin.size() - kEnd.size());
    return true;
  }

  Step parameter(Call& made, std::set<std::string>& names) {
    constexpr std::string_view kBegin = " name=\"", kYes = "\" string=\"true\">",
                               kNo = "\" string=\"false\">";
    if (until({kParameterEnd}).empty()) return refuse("a parameter that does not end");
    auto text = before_;
    const auto yes = text.find(kYes), no = text.find(kNo);
    const auto end = std::min(yes, no);
    if (!text.starts_with(kBegin) || end == std::string_view::npos || end < kBegin.size() ||
        !text.ends_with('<'))
      return refuse("a parameter, wanted name=\"...\" string=\"true|false\">value</...");
    text.remove_suffix(1);
    const std::string name(text.substr(kBegin.size(), end - kBegin.size()));
    const auto value = text.substr(end + (yes < no ? kYes : kNo).size());
    if (!names.insert(name).second) return refuse("parameter '" + name + "' twice in one call");
    if (!made.arguments.empty()) made.arguments += ", ";
    append_json_string(name, made.arguments);
    made.arguments += ": ";
    if (yes < no)
      append_json_string(value, made.arguments);
    else
      made.arguments += value;
    return std::nullopt;
  }

  Step markers_inside(const Completion& out) const {
    for (const auto* part : {&out.reasoning, &out.content})
      for (const auto marker : {kBos, kEos, kThink, kEndThink, kDsml})
        if (part->find(marker) != std::string::npos)
          return refuse("the marker " + std::string(marker) + " inside " +
                        (part == &out.content ? "content" : "reasoning"));
    return std::nullopt;
  }

  std::string_view text_, before_;
  std::size_t at_ = 0;
  bool thinking_;
};

}  // namespace

Result<Completion> parse_strict(std::string_view text, bool thinking) {
  if (!is_valid_utf8(text))
    return make_error(Where::model, "completion", "", "bytes that are no valid UTF-8, wanted text",
                      "keep it out of training, or read it without --strict");
  Completion out;
  if (auto error = Reader(text, thinking).run(out)) return *std::move(error);
  return out;
}

}  // namespace seedbed::engine::chat
