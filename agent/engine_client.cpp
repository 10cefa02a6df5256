#include "agent/engine_client.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "agent/episode_seed.h"
#include "agent/printable.h"
#include "base/check.h"

namespace seedbed::agent {
namespace {

namespace chat = engine::chat;
using schemas::Stop;
using schemas::Value;

std::vector<chat::ToolDef> tool_defs(const std::vector<schemas::Tool>& tools) {
  std::vector<chat::ToolDef> out;
  for (const auto& tool : tools) {
    Value function = Value::object();
    function.set("name", tool.name)
        .set("description", tool.description)
        .set("parameters", tool.input);
    out.emplace_back(std::move(function));
  }
  return out;
}

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

// The bytes after the reasoning and the marker that ends it.
std::string after_reasoning(const chat::Completion& completion, const std::string& text) {
  std::size_t begin = 0;
  bool reasoned = false;
  for (const auto& span : completion.spans) {
    if (span.part != chat::Part::reasoning && !(reasoned && span.part == chat::Part::markup)) break;
    reasoned = span.part == chat::Part::reasoning;
    begin = span.end;
  }
  return text.substr(std::min(begin, text.size()));
}

std::string why_of(const chat::Completion& completion) {
  std::string out;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, completion.malformed.size()); ++i)
    out += (i == 0 ? "" : "; ") + completion.malformed[i].why;
  return printable(std::move(out));
}

}  // namespace

// What the engine's thread and the client share of one reply.
struct EngineClient::Pending {
  std::mutex mutex;
  std::condition_variable made;
  std::optional<Result<engine::Generated>> generated;
  std::function<void()> tell;  // that it is made; empty once nobody waits
  bool dropped = false;
  // The client's alone.
  engine::Engine::RequestId id = 0;
  std::int64_t prompt_tokens = 0;
  bool cut_by_window = false, out_of_time = false;

  void put(Result<engine::Generated> result) {
    {
      const std::lock_guard lock(mutex);
      generated = std::move(result);
      // Under the lock: who drops this may take the loop away right afterwards.
      if (tell) tell();
      tell = nullptr;
    }
    made.notify_all();
  }
  bool is_dropped() {
    const std::lock_guard lock(mutex);
    return dropped;
  }
};

// Nobody waits for the reply that is being made any longer.
void EngineClient::drop() {
  done_ = nullptr;
  if (pending_ == nullptr) return;
  model_->engine().abort(pending_->id);
  std::function<void()> tell;
  {
    const std::lock_guard lock(pending_->mutex);
    pending_->dropped = true;
    tell.swap(pending_->tell);
  }
  pending_.reset();
}

void EngineClient::forget() {
  drop();
  if (session_) model_->engine().end_session(*session_);
  session_.reset();
  messages_.clear();
  seen_ = stable_ = 0;
  malformed_ = false;
  arrays_ = {};
  record_ = {};
}

void EngineClient::begin(const EpisodeStart& start) {
  forget();
  session_ = model_->engine().new_session();
  seed_ = episode_seed(start.seed, start.task_id, start.sample);
  const EngineOptions& o = model_->options();
  record_.tokenizer = model_->vocabulary().hash();
  record_.thinking = o.thinking;
  record_.temperature = o.temperature;
  record_.top_p = o.top_p;
  record_.min_p = o.min_p;
  record_.top_k = o.top_k;
}

// What the episode trained on so far: nothing is kept of a branch without a sampled token.
void EngineClient::close_branch() {
  if (std::find(arrays_.mask.begin(), arrays_.mask.end(), std::uint8_t{1}) == arrays_.mask.end())
    return;
  record_.branches.push_back(pack(arrays_));
}

std::optional<schemas::TokenRecord> EngineClient::finish() {
  std::optional<schemas::TokenRecord> out;
  close_branch();
  if (!record_.branches.empty()) out = std::move(record_);
  forget();
  return out;
}

// False: the window does not hold them, and nothing was added.
Result<bool> EngineClient::add(const chat::Segments& segments,
                               std::size_t stable,
                               chat::Opens opens) {
  struct Piece {
    std::string_view role;
    std::vector<std::int32_t> ids;
  };
  std::vector<Piece> pieces;
  std::size_t tokens = 0, stable_tokens = 0;
  for (std::size_t i = 0; i < segments.size();) {
    // Up to the next change of role, or the stable border: text is tokenised by whole segments.
    std::size_t end = i + 1;
    const std::string_view role = role_of(messages_, segments[i].message, arrays_.ids.empty());
    while (end < segments.size() && end != stable &&
           role_of(messages_, segments[end].message, arrays_.ids.empty()) == role)
      ++end;
    const auto begin = segments.begin() + static_cast<std::ptrdiff_t>(i);
    pieces.push_back(
        {role, model_->vocabulary().encode({begin, begin + static_cast<std::ptrdiff_t>(end - i)})});
    tokens += pieces.back().ids.size();
    if (end == stable) stable_tokens = tokens;
    i = end;
  }
  const auto length = arrays_.ids.size();
  if (static_cast<std::int64_t>(length + tokens) >= model_->window()) return false;
  for (const auto& piece : pieces) arrays_.add_given(piece.role, piece.ids);
  if (stable > 0) stable_ = length + stable_tokens;
  thinking_ = opens == chat::Opens::reasoning;
  return true;
}

Result<bool> EngineClient::start_conversation(const View& view) {
  for (const auto& turn : view.turns) {
    const bool system = turn.role == "system";
    chat::Message message = message_of(system ? chat::Role::system : chat::Role::user, turn.text);
    if (system) {
      if (turn.text.empty()) message.content = system_text(view.environment);
      message.tools = tool_defs(view.offered.tools());
    }
    messages_.push_back(std::move(message));
  }
  seen_ = view.turns.size();
  SEEDBED_TRY(const auto rendered,
              chat::render(messages_, {.thinking = model_->options().thinking, .bos = true}));
  return add(rendered.segments, rendered.stable, rendered.opens);
}

// Appends what came since the last reply: results, the user's answer, or what was wrong with it.
Result<bool> EngineClient::go_on(const View& view) {
  SEEDBED_CHECK(seen_ < view.turns.size() && view.turns[seen_].role == "assistant", seen_);
  const bool thinking = model_->options().thinking;
  const schemas::Turn& said = view.turns[seen_];
  messages_.push_back(assistant_message(said));
  if (malformed_) {
    SEEDBED_CHECK(seen_ + 2 == view.turns.size(), seen_, view.turns.size());
    const std::string& notice = view.turns[seen_ + 1].text;
    seen_ = view.turns.size();
    // Rendered again, it is text: there is no call that the notice could be the result of.
    messages_.back().content += "\n\n" + notice;
    chat::Segments segments = chat::render_results({notice}, thinking);
    for (auto& segment : segments) segment.message = kNotice;
    if (!end_written_) segments.insert(segments.begin(), {std::string(chat::kEos), true, -1});
    return add(segments, 0, thinking ? chat::Opens::reasoning : chat::Opens::answer);
  }
  const std::size_t rendered = messages_.size();
  for (const auto& call : said.calls) {
    chat::Message result = message_of(chat::Role::tool, call.result.out);
    result.tool_call_id = call.id;
    messages_.push_back(std::move(result));
  }
  for (++seen_; seen_ < view.turns.size(); ++seen_)
    messages_.push_back(message_of(chat::Role::user, view.turns[seen_].text));
  SEEDBED_TRY(
      const auto suffix,
      chat::render_suffix(messages_, rendered, {.thinking = thinking, .bos = true}, end_written_));
  if (!suffix.append) {
    close_branch();
    arrays_ = arrays_.given_prefix(stable_);
  }
  return add(suffix.segments, suffix.stable, suffix.opens);
}

Reply EngineClient::ended(Reply reply, Stop stop, std::string why) const {
  reply.stop = stop;
  reply.stop_detail = std::move(why);
  return reply;
}

// Nothing: the reply is being made. Else what it is without the model. `tell` is called once it is
// made, on the engine's thread.
std::optional<Result<Reply>> EngineClient::request(const View& view, std::function<void()> tell) {
  SEEDBED_CHECK(session_.has_value() && pending_ == nullptr);
  const Result<bool> fits = messages_.empty() ? start_conversation(view) : go_on(view);
  if (!fits.ok()) return Result<Reply>(fits.error());
  if (!*fits)
    return Result<Reply>(ended({}, Stop::out_of_tokens,
                               "the conversation is longer than the window of " +
                                   std::to_string(model_->window()) + " tokens"));
  const EngineOptions& o = model_->options();
  const auto length = static_cast<std::int64_t>(arrays_.ids.size());
  const std::int64_t room = model_->window() - length;
  auto pending = std::make_shared<Pending>();
  pending->tell = std::move(tell);
  pending->prompt_tokens = length;
  pending->cut_by_window = o.max_tokens >= room;
  engine::Request request;
  request.prompt = arrays_.ids;
  request.sampled = arrays_.mask;
  request.session = *session_;
  request.params.sampling.temperature = o.temperature;
  request.params.sampling.top_p = o.top_p;
  request.params.sampling.min_p = o.min_p;
  request.params.sampling.top_k =
      static_cast<int>(std::min<std::int64_t>(o.top_k, model_->engine().config().vocab_size));
  request.params.sampling.seed = seed_;
  request.params.max_tokens = static_cast<int>(std::min(o.max_tokens, room));
  request.params.want_routing = true;
  pending_ = pending;
  auto id = model_->engine().submit(
      std::move(request),
      [pending](Result<engine::Generated> generated) { pending->put(std::move(generated)); });
  if (!id.ok()) {
    pending_.reset();
    return Result<Reply>(std::move(id).error());
  }
  pending->id = *id;
  return std::nullopt;
}

Result<Reply> EngineClient::reply(const View& view) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(view.wall_ms_left);
  if (auto already = request(view, {})) return *std::move(already);
  {
    Pending& p = *pending_;
    std::unique_lock lock(p.mutex);
    if (!p.made.wait_until(lock, deadline, [&] { return p.generated.has_value(); })) {
      lock.unlock();
      give_up();
      lock.lock();
      p.made.wait(lock, [&] { return p.generated.has_value(); });
    }
  }
  return take();
}

void EngineClient::ask(const View& view, std::function<void(Result<Reply>)> done) {
  SEEDBED_CHECK(post_ != nullptr);
  done_ = std::move(done);
  auto already = request(view, [this, post = post_] {
    // The engine's thread holds `pending_` and its lock here: what is posted runs afterwards, and
    // only while nobody dropped it.
    post([this, pending = pending_] {
      if (pending->is_dropped()) return;
      const auto answer = std::exchange(done_, nullptr);
      answer(take());
    });
  });
  if (!already) return;
  // Never from within ask().
  auto kept = std::make_shared<Result<Reply>>(*std::move(already));
  post_([answer = std::exchange(done_, nullptr), kept] { answer(std::move(*kept)); });
}

void EngineClient::give_up() {
  if (pending_ == nullptr) return;
  pending_->out_of_time = true;
  model_->engine().abort(pending_->id);
}

void EngineClient::record(const engine::TokenOut& token) {
  const auto at = static_cast<std::int64_t>(arrays_.ids.size());
  arrays_.ids.push_back(token.id);
  arrays_.mask.push_back(1);
  arrays_.logprobs.push_back(token.logprob);
  arrays_.raw_logprobs.push_back(token.raw_logprob);
  const bool whole = token.kept_count >= 0 && token.kept_count <= kMaxKeptSet &&
                     static_cast<std::size_t>(token.kept_count) == token.kept_ids.size();
  arrays_.kept_counts.push_back(token.kept_count < 0 ? 0 : whole ? token.kept_count : -1);
  if (whole)
    arrays_.kept_ids.insert(arrays_.kept_ids.end(), token.kept_ids.begin(), token.kept_ids.end());
  if (arrays_.spans.empty() || arrays_.spans.back().role != "assistant" ||
      arrays_.spans.back().end != at)
    arrays_.spans.push_back({"assistant", at, at});
  arrays_.spans.back().end = at + 1;
}

// What was made, added to the sequence and read.
Result<Reply> EngineClient::take() {
  const std::shared_ptr<Pending> pending = std::exchange(pending_, nullptr);
  Result<engine::Generated> made = [&] {
    const std::lock_guard lock(pending->mutex);
    return *std::move(pending->generated);
  }();
  if (!made.ok()) return std::move(made).error();
  engine::Generated generated = *std::move(made);
  for (const auto& token : generated.tokens) record(token);
  arrays_.moe_layers = generated.routing.layers;
  arrays_.experts_per_token = generated.routing.experts;
  // A reply that was given up before it began knows less than the one before it.
  if (generated.routing.ids.size() >= arrays_.routed_experts.size())
    arrays_.routed_experts = std::move(generated.routing.ids);
  if (generated.finish == engine::Finish::no_token)
    return make_error(Where::model, "model", model_->options().model_dir,
                      "found no number to sample from at token " +
                          std::to_string(arrays_.ids.size()) + ", wanted finite logits",
                      "check the weights with 'seedbed engine inspect'");
  if (generated.finish == engine::Finish::cancelled && !pending->out_of_time)
    return make_error(Where::model, "model", model_->options().model_dir,
                      "found a reply that somebody else ended, wanted all of it",
                      "run the episode again");
  return read(generated, *pending);
}

Reply EngineClient::read(const engine::Generated& generated, const Pending& pending) {
  const auto& vocabulary = model_->vocabulary();
  chat::Parser parser(vocabulary.parse_options(thinking_));
  std::string text;  // all bytes
  for (const auto& token : generated.tokens) {
    const chat::Piece piece = vocabulary.piece(token.id);
    parser.feed(piece);
    if (!vocabulary.is_end(token.id)) text.append(piece.bytes);
  }
  const bool stopped = generated.finish == engine::Finish::stop;
  const chat::Completion& c = parser.finish(stopped ? chat::End::eos : chat::End::cut);
  Reply out;
  out.prompt_tokens = pending.prompt_tokens;
  out.completion_tokens = static_cast<std::int64_t>(generated.tokens.size());
  end_written_ = !generated.tokens.empty() && vocabulary.is_end(generated.tokens.back().id);
  malformed_ = false;
  out.what = Message{printable(c.content), printable(c.reasoning)};
  if (stopped) {
    malformed_ = !c.malformed.empty();
    if (malformed_) {
      out.what = Malformed{printable(after_reasoning(c, text)), why_of(c), printable(c.reasoning)};
    } else if (!c.calls.empty()) {
      Calls made{printable(c.content), printable(c.reasoning), {}};
      for (const auto& call : c.calls)
        made.calls.push_back({"", printable(call.name), printable(call.value)});
      out.what = std::move(made);
    }
    return out;
  }
  if (generated.finish == engine::Finish::cancelled)
    return ended(std::move(out), Stop::out_of_time, "the reply took too long");
  return ended(std::move(out), Stop::out_of_tokens,
               pending.cut_by_window
                   ? "the window of " + std::to_string(model_->window()) + " tokens is full"
                   : "the reply was cut at " + std::to_string(out.completion_tokens) + " tokens");
}

}  // namespace seedbed::agent
