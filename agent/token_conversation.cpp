#include "agent/token_conversation.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "engine/chat/markers.h"

namespace seedbed::agent {
namespace {

namespace chat = engine::chat;
using schemas::Value;

// Enough for the forms of result that the tasks of one environment ask for.
constexpr std::size_t kSystemTurns = 16;

chat::Message message_of(chat::Role role, const std::string& content) {
  chat::Message out;
  out.role = role;
  out.content = content;
  return out;
}

// The reply as it stands in the record, for the case that it has to be rendered again without its
// reasoning.
chat::Message assistant_message(const schemas::Turn& turn) {
  chat::Message out = message_of(chat::Role::assistant, turn.text);
  out.reasoning_content = turn.reasoning;
  for (const auto& call : turn.calls)
    out.tool_calls.push_back({call.id, call.tool, chat::python_json(call.args)});
  return out;
}

constexpr std::int32_t kNotice = -2;  // in place of a message: what was wrong with a reply

// Markers that belong to no message begin the sequence or end a reply.
std::string_view role_of(const std::vector<chat::Message>& messages,
                         std::int32_t message,
                         bool begins) {
  if (message == kNotice) return "tool";
  if (message < 0 || static_cast<std::size_t>(message) >= messages.size())
    return begins ? "system" : "assistant";
  return chat::role_name(messages[static_cast<std::size_t>(message)].role);
}

}  // namespace

chat::ToolDef tool_def(const schemas::Tool& tool) {
  Value function = Value::object();
  function.set("name", tool.name)
      .set("description", tool.description)
      .set("parameters", tool.input);
  return {std::move(function)};
}

const std::vector<std::int32_t>& SystemCache::encode(
    const engine::service::ChatVocabulary& vocabulary, chat::Segments segments) {
  auto found = std::find_if(entries_.begin(), entries_.end(),
                            [&](const Entry& e) { return e.segments == segments; });
  if (found == entries_.end()) {
    if (entries_.size() == kSystemTurns) entries_.pop_back();
    std::vector<std::int32_t> ids = vocabulary.encode(segments);
    found = entries_.insert(entries_.end(), {std::move(segments), std::move(ids)});
  }
  std::rotate(entries_.begin(), found, found + 1);
  return entries_.front().ids;
}

void TokenConversation::begin(const engine::service::ChatVocabulary& vocabulary,
                              bool thinking,
                              std::int64_t window,
                              SystemCache* cache) {
  *this = {};
  vocabulary_ = &vocabulary;
  cache_ = cache;
  thinking_ = thinking;
  window_ = window;
}

// What the episode trained on so far: nothing is kept of a branch without a sampled token.
void TokenConversation::close_branch() {
  if (std::find(arrays_.mask.begin(), arrays_.mask.end(), std::uint8_t{1}) == arrays_.mask.end())
    return;
  closed_.push_back(arrays_);
}

std::vector<TokenArrays> TokenConversation::finish() {
  close_branch();
  std::vector<TokenArrays> out = std::move(closed_);
  *this = {};
  return out;
}

// False: the window does not hold them, and nothing was added.
Result<bool> TokenConversation::add(const chat::Segments& segments,
                                    std::size_t stable,
                                    chat::Opens opens) {
  struct Piece {
    std::string_view role;
    std::vector<std::int32_t> ids;
  };
  std::vector<Piece> pieces;
  const bool begins = arrays_.ids.empty();
  std::size_t tokens = 0, stable_tokens = 0;
  for (std::size_t i = 0; i < segments.size();) {
    // Up to the next change of role, or the stable border: text is tokenised by whole segments.
    std::size_t end = i + 1;
    const std::string_view role = role_of(messages_, segments[i].message, begins);
    while (end < segments.size() && end != stable &&
           role_of(messages_, segments[end].message, begins) == role)
      ++end;
    chat::Segments part(segments.begin() + static_cast<std::ptrdiff_t>(i),
                        segments.begin() + static_cast<std::ptrdiff_t>(end));
    const bool cached = cache_ != nullptr && role == "system";
    pieces.push_back(
        {role, cached ? cache_->encode(*vocabulary_, std::move(part)) : vocabulary_->encode(part)});
    tokens += pieces.back().ids.size();
    if (end == stable) stable_tokens = tokens;
    i = end;
  }
  const auto length = arrays_.ids.size();
  if (static_cast<std::int64_t>(length + tokens) >= window_) return false;
  for (const auto& piece : pieces) {
    if (begins && piece.role == "system")
      system_tokens_ += static_cast<std::int64_t>(piece.ids.size());
    arrays_.add_given(piece.role, piece.ids);
  }
  if (stable > 0) stable_ = length + stable_tokens;
  reasons_ = opens == chat::Opens::reasoning;
  return true;
}

Result<bool> TokenConversation::start(const SystemTurn& system, Turns turns) {
  for (const auto& turn : turns) {
    const bool is_system = turn.role == "system";
    chat::Message message =
        message_of(is_system ? chat::Role::system : chat::Role::user, turn.text);
    if (is_system) {
      if (turn.text.empty()) message.content = system.text;
      message.tools = system.tools;
    }
    messages_.push_back(std::move(message));
  }
  seen_ = turns.size();
  SEEDBED_TRY(const auto rendered, chat::render(messages_, {.thinking = thinking_, .bos = true}));
  return add(rendered.segments, rendered.stable, rendered.opens);
}

Result<bool> TokenConversation::go_on(Turns turns) {
  SEEDBED_CHECK(seen_ < turns.size() && turns[seen_].role == "assistant", seen_);
  const schemas::Turn& said = turns[seen_];
  messages_.push_back(assistant_message(said));
  if (malformed_) {
    SEEDBED_CHECK(seen_ + 2 == turns.size(), seen_, turns.size());
    const std::string& notice = turns[seen_ + 1].text;
    seen_ = turns.size();
    // Rendered again, it is text: there is no call that the notice could be the result of.
    messages_.back().content += "\n\n" + notice;
    chat::Segments segments = chat::render_results({notice}, thinking_);
    for (auto& segment : segments) segment.message = kNotice;
    if (!end_written_) segments.insert(segments.begin(), {std::string(chat::kEos), true, -1});
    return add(segments, 0, thinking_ ? chat::Opens::reasoning : chat::Opens::answer);
  }
  const std::size_t rendered = messages_.size();
  for (const auto& call : said.calls) {
    chat::Message result = message_of(chat::Role::tool, call.result.out);
    result.tool_call_id = call.id;
    messages_.push_back(std::move(result));
  }
  for (++seen_; seen_ < turns.size(); ++seen_)
    messages_.push_back(message_of(chat::Role::user, turns[seen_].text));
  SEEDBED_TRY(
      const auto suffix,
      chat::render_suffix(messages_, rendered, {.thinking = thinking_, .bos = true}, end_written_));
  if (!suffix.append) {
    close_branch();
    arrays_ = arrays_.given_prefix(stable_);
  }
  return add(suffix.segments, suffix.stable, suffix.opens);
}

void TokenConversation::replied(bool malformed, bool end_written) {
  malformed_ = malformed;
  end_written_ = end_written;
}

Step TokenConversation::say(const schemas::Turn& turn, bool learn) {
  auto segments = chat::render_reply(assistant_message(turn), reasons_);
  if (!segments.ok()) return std::move(segments).error();
  const auto start = arrays_.ids.size();
  arrays_.add_given("assistant", vocabulary_->encode(*segments));
  if (learn)
    std::fill(arrays_.mask.begin() + static_cast<std::ptrdiff_t>(start), arrays_.mask.end(),
              std::uint8_t{1});
  replied(false, true);
  return std::nullopt;
}

}  // namespace seedbed::agent
