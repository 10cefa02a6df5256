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

SystemTurn system_turn(const View& view) {
  SystemTurn out{system_text(view.environment), {}};
  for (const auto& tool : view.offered.tools()) out.tools.push_back(tool_def(tool));
  return out;
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
  conversation_ = {};
  mask_.reset();
  record_ = {};
}

void EngineClient::begin(const EpisodeStart& start) {
  forget();
  session_ = model_->engine().new_session();
  seed_ = episode_seed(start.seed, start.task_id, start.sample);
  const EngineOptions& o = model_->options();
  conversation_.begin(model_->vocabulary(), o.thinking, model_->window());
  record_.tokenizer = model_->vocabulary().hash();
  record_.thinking = o.thinking;
  record_.temperature = o.temperature;
  record_.top_p = o.top_p;
  record_.min_p = o.min_p;
  record_.top_k = o.top_k;
}

std::optional<schemas::TokenRecord> EngineClient::finish() {
  std::optional<schemas::TokenRecord> out;
  for (const auto& branch : conversation_.finish()) record_.branches.push_back(pack(branch));
  if (!record_.branches.empty()) out = std::move(record_);
  forget();
  return out;
}

Reply EngineClient::ended(Reply reply, Stop stop, std::string why) const {
  reply.stop = stop;
  reply.stop_detail = std::move(why);
  return reply;
}

// Functions whose schema no mask can hold take any object.
Step EngineClient::make_mask(const View& view) {
  engine::grammar::ChatFormat format;
  format.reasoning = model_->options().thinking;
  for (const auto& tool : view.offered.tools())
    format.functions.push_back({tool.name, tool.input, false});
  SEEDBED_TRY(mask_, model_->grammars().get(format));
  return std::nullopt;
}

// Nothing: the reply is being made. Else what it is without the model. `tell` is called once it is
// made, on the engine's thread.
std::optional<Result<Reply>> EngineClient::request(const View& view, std::function<void()> tell) {
  SEEDBED_CHECK(session_.has_value() && pending_ == nullptr);
  const Result<bool> fits = conversation_.started()
                                ? conversation_.go_on(view.turns)
                                : conversation_.start(system_turn(view), view.turns);
  if (!fits.ok()) return Result<Reply>(fits.error());
  if (!*fits)
    return Result<Reply>(ended({}, Stop::out_of_tokens,
                               "the conversation is longer than the window of " +
                                   std::to_string(model_->window()) + " tokens"));
  const EngineOptions& o = model_->options();
  const TokenArrays& arrays = conversation_.arrays();
  const auto length = static_cast<std::int64_t>(arrays.ids.size());
  const std::int64_t room = model_->window() - length;
  auto pending = std::make_shared<Pending>();
  pending->tell = std::move(tell);
  pending->prompt_tokens = length;
  pending->cut_by_window = o.max_tokens >= room;
  engine::Request request;
  request.prompt = arrays.ids;
  request.sampled = arrays.mask;
  request.session = *session_;
  request.params.sampling.temperature = o.temperature;
  request.params.sampling.top_p = o.top_p;
  request.params.sampling.min_p = o.min_p;
  request.params.sampling.top_k =
      static_cast<int>(std::min<std::int64_t>(o.top_k, model_->engine().config().vocab_size));
  request.params.sampling.seed = seed_;
  request.params.max_tokens = static_cast<int>(std::min(o.max_tokens, room));
  request.params.want_routing = true;
  if (o.constrain) {
    if (mask_ == nullptr)
      if (auto error = make_mask(view)) return Result<Reply>(*std::move(error));
    request.params.matcher = std::make_shared<engine::grammar::Matcher>(mask_);
  }
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
  TokenArrays& arrays = conversation_.arrays();
  const auto at = static_cast<std::int64_t>(arrays.ids.size());
  arrays.ids.push_back(token.id);
  arrays.mask.push_back(1);
  arrays.logprobs.push_back(token.logprob);
  arrays.raw_logprobs.push_back(token.raw_logprob);
  const bool whole = token.kept_count >= 0 && token.kept_count <= kMaxKeptSet &&
                     static_cast<std::size_t>(token.kept_count) == token.kept_ids.size();
  arrays.kept_counts.push_back(token.kept_count < 0 ? 0 : whole ? token.kept_count : -1);
  if (whole)
    arrays.kept_ids.insert(arrays.kept_ids.end(), token.kept_ids.begin(), token.kept_ids.end());
  if (arrays.spans.empty() || arrays.spans.back().role != "assistant" ||
      arrays.spans.back().end != at)
    arrays.spans.push_back({"assistant", at, at});
  arrays.spans.back().end = at + 1;
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
  TokenArrays& arrays = conversation_.arrays();
  arrays.moe_layers = generated.routing.layers;
  arrays.experts_per_token = generated.routing.experts;
  // A reply that was given up before it began knows less than the one before it.
  if (generated.routing.ids.size() >= arrays.routed_experts.size())
    arrays.routed_experts = std::move(generated.routing.ids);
  if (generated.finish == engine::Finish::no_token)
    return make_error(Where::model, "model", model_->options().model_dir,
                      "found no number to sample from at token " +
                          std::to_string(arrays.ids.size()) + ", wanted finite logits",
                      "check the weights with 'seedbed engine inspect'");
  if (generated.finish == engine::Finish::cancelled && !pending->out_of_time)
    return make_error(Where::model, "model", model_->options().model_dir,
                      "found a reply that somebody else ended, wanted all of it",
                      "run the episode again");
  return read(generated, *pending);
}

Reply EngineClient::read(const engine::Generated& generated, const Pending& pending) {
  const auto& vocabulary = model_->vocabulary();
  chat::Parser parser(vocabulary.parse_options(conversation_.reasons()));
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
  const bool malformed = stopped && !c.malformed.empty();
  conversation_.replied(malformed,
                        !generated.tokens.empty() && vocabulary.is_end(generated.tokens.back().id));
  out.what = Message{printable(c.content), printable(c.reasoning)};
  if (stopped) {
    if (malformed) {
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
