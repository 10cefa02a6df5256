#include "engine/service/chat.h"

#include <algorithm>

#include "base/check.h"
#include "engine/service/chat_choice.h"
#include "engine/service/chat_request.h"
#include "engine/service/job.h"
#include "engine/service/usage.h"

namespace seedbed::engine::service {

using schemas::Value;

namespace {

Value ids_value(const std::vector<std::int32_t>& ids) {
  Value out = Value::array();
  for (const auto id : ids) out.push(static_cast<std::int64_t>(id));
  return out;
}

class ChatAnswer : public Answer {
 public:
  ChatAnswer(Service& service, ChatRequest request, Prompt prompt)
      : service_(service),
        request_(std::move(request)),
        prompt_(std::move(prompt)),
        after_(hash_ids(prompt_.ids)),
        id_(service.new_id("chatcmpl-")),
        created_(unix_now()),
        fingerprint_(service.engine.policy_version()),
        usage_(static_cast<std::int64_t>(prompt_.ids.size())) {
    ChoiceOptions options;
    options.thinking = prompt_.opens == chat::Opens::reasoning;
    options.logprobs = request_.logprobs;
    options.processed_logprobs = request_.common.processed_logprobs;
    options.stop = request_.common.stop;
    options.stop_ids = request_.common.stop_ids;
    for (std::int64_t i = 0; i < request_.common.n; ++i) {
      options.call_key = id_ + "/" + std::to_string(i);
      choices_.push_back({std::make_unique<ChatChoice>(service.vocabulary, options), 0});
    }
  }

  void begin(Events& events) override {
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      Value delta = Value::object();
      delta.set("role", "assistant").set("content", "");
      if (prompt_.opens == chat::Opens::reasoning) delta.set("reasoning_content", "");
      Value chunk = chunk_of(i, std::move(delta));
      if (i == 0 && request_.return_token_ids)
        chunk.set("prompt_token_ids", ids_value(prompt_.ids));
      events.push_back(std::move(chunk));
    }
  }

  bool on_token(std::size_t i, const TokenOut& token, Events& events) override {
    std::vector<Value> deltas;
    const bool more = choices_[i].state->on_token(token, deltas);
    if (request_.common.stream) put(i, deltas, events);
    return more;
  }

  void on_end(std::size_t i, const Generated& generated, Events& events) override {
    ChatChoice& choice = *choices_[i].state;
    std::vector<Value> deltas;
    choice.on_end(generated, deltas);
    usage_.add(generated, choice.reasoning_tokens());
    ++service_.ended[static_cast<std::size_t>(choice.ended())];
    remember(choice, generated);
    if (!request_.common.stream) return;
    put(i, deltas, events);
    Value last = chunk_of(i, Value::object());
    Value& item = item_of(last);
    if (Value logprobs = choice.take_logprobs(); !logprobs.is_null())
      item.set("logprobs", std::move(logprobs));
    if (request_.return_token_ids) item.set("token_ids", unsent_ids(i));
    item.set("finish_reason", choice.finish_reason());
    if (!choice.malformed().is_null()) item.set("malformed", choice.malformed());
    events.push_back(std::move(last));
  }

  void finish(Events& events) override {
    if (!request_.common.include_usage) return;
    Value last = head("chat.completion.chunk");
    last.set("choices", Value::array()).set("usage", usage_.value());
    events.push_back(std::move(last));
  }

  Value body() override {
    Value out = head("chat.completion");
    Value list = Value::array();
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      ChatChoice& choice = *choices_[i].state;
      Value item = Value::object();
      item.set("index", static_cast<std::int64_t>(i)).set("message", choice.message());
      Value logprobs = choice.take_logprobs();
      if (request_.logprobs && logprobs.is_null())
        logprobs = Value::object().set("content", Value::array());
      item.set("logprobs", std::move(logprobs));
      item.set("finish_reason", choice.finish_reason());
      if (request_.return_token_ids) item.set("token_ids", ids_value(choice.ids()));
      if (!choice.malformed().is_null()) item.set("malformed", choice.malformed());
      list.push(std::move(item));
    }
    out.set("choices", std::move(list)).set("usage", usage_.value());
    if (request_.return_token_ids) out.set("prompt_token_ids", ids_value(prompt_.ids));
    return out;
  }

 private:
  struct Choice {
    std::unique_ptr<ChatChoice> state;
    std::size_t sent_ids = 0;
  };

  [[nodiscard]] Value head(std::string_view object) const {
    Value out = Value::object();
    out.set("id", id_).set("object", object).set("created", created_);
    out.set("model", request_.model).set("system_fingerprint", fingerprint_);
    return out;
  }

  [[nodiscard]] Value chunk_of(std::size_t i, Value delta) const {
    Value item = Value::object();
    item.set("index", static_cast<std::int64_t>(i)).set("delta", std::move(delta));
    item.set("logprobs", nullptr).set("finish_reason", nullptr);
    Value list = Value::array();
    list.push(std::move(item));
    Value out = head("chat.completion.chunk");
    out.set("choices", std::move(list));
    if (request_.common.include_usage) out.set("usage", nullptr);
    return out;
  }
  static Value& item_of(Value& chunk) {
    for (auto& [key, value] : chunk.members())
      if (key == "choices") return value.items()[0];
    SEEDBED_CHECK(false);
    return chunk;
  }

  // One event a delta; log probabilities and ids go with the first.
  void put(std::size_t i, std::vector<Value>& deltas, Events& events) {
    for (std::size_t k = 0; k < deltas.size(); ++k) {
      Value chunk = chunk_of(i, std::move(deltas[k]));
      Value& item = item_of(chunk);
      if (k == 0) {
        if (Value logprobs = choices_[i].state->take_logprobs(); !logprobs.is_null())
          item.set("logprobs", std::move(logprobs));
        if (request_.return_token_ids) item.set("token_ids", unsent_ids(i));
      }
      events.push_back(std::move(chunk));
    }
  }

  Value unsent_ids(std::size_t i) {
    Choice& choice = choices_[i];
    const auto& ids = choice.state->ids();
    Value out = Value::array();
    for (; choice.sent_ids < ids.size(); ++choice.sent_ids)
      out.push(static_cast<std::int64_t>(ids[choice.sent_ids]));
    return out;
  }

  // So that the next turn begins with the ids of this one.
  void remember(const ChatChoice& choice, const Generated& generated) {
    if (choice.stopped_by_string() || request_.common.ignore_eos) return;
    std::vector<std::int32_t> ids = choice.ids();
    if (ids.empty()) return;
    if (service_.vocabulary.is_end(ids.back()))
      ids.pop_back();
    else if (generated.finish != Finish::length)
      return;
    std::string text = text_when_sent_back(service_.vocabulary, choice.as_sent_back(),
                                           prompt_.opens == chat::Opens::reasoning);
    if (text.empty()) return;
    service_.sampled.put(request_.common.session, after_, std::move(text), std::move(ids));
  }

  Service& service_;
  const ChatRequest request_;
  const Prompt prompt_;
  const std::uint64_t after_;
  const std::string id_;
  const std::int64_t created_;
  const std::string fingerprint_;
  std::vector<Choice> choices_;
  Usage usage_;
};

}  // namespace

Refusal read_body(const Exchange& exchange, Value& out) {
  auto body = schemas::parse_json(exchange.body);
  if (!body.ok()) {
    Fault fault = bad("", "found a body that is no JSON (" + body.error().message +
                              "), wanted a JSON object in UTF-8");
    fault.code = "invalid_json";
    return fault;
  }
  if (!body->is_object())
    return bad("", std::string("found ") + kind_name(body->kind()) + ", wanted a JSON object");
  out = *std::move(body);
  return std::nullopt;
}

Refusal serve_chat(Service& service,
                   const std::shared_ptr<Exchange>& exchange,
                   const std::shared_ptr<Flight>& flight) {
  Value body;
  if (auto refusal = read_body(*exchange, body)) return refusal;
  ChatRequest request;
  if (auto refusal = read_chat(service, *exchange, exchange->body, body, request)) return refusal;
  chat::Rendered rendered;
  if (auto refusal = render_chat(request, rendered)) return refusal;
  Prompt prompt = make_prompt(service.vocabulary, request.messages, rendered,
                              request.common.session, service.sampled);
  if (auto refusal = check_room(service, prompt.ids.size())) return refusal;
  std::shared_ptr<const grammar::Grammar> mask;
  if (request.format) {
    request.format->reasoning = rendered.opens == chat::Opens::reasoning;
    auto made = service.grammars.get(*request.format);
    if (!made.ok()) return bad(request.format->json ? "response_format" : "tools", made.error());
    mask = *std::move(made);
  }
  std::vector<Request> requests;
  for (std::int64_t i = 0; i < request.common.n; ++i) {
    requests.push_back(
        request_of(service, request.common, prompt.ids, static_cast<std::size_t>(i)));
    if (mask != nullptr) requests.back().params.matcher = std::make_shared<grammar::Matcher>(mask);
  }
  const bool stream = request.common.stream;
  std::make_shared<Job>(
      service, exchange, flight,
      std::make_unique<ChatAnswer>(service, std::move(request), std::move(prompt)), stream)
      ->start(std::move(requests));
  return std::nullopt;
}

}  // namespace seedbed::engine::service
