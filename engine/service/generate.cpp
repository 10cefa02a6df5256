#include "engine/service/generate.h"

#include <algorithm>

#include "base/text.h"
#include "engine/service/base64.h"
#include "engine/service/chat.h"
#include "engine/service/common_request.h"
#include "engine/service/job.h"
#include "engine/service/text_choice.h"
#include "engine/service/token_text.h"
#include "engine/service/usage.h"

namespace seedbed::engine::service {

using schemas::Value;

namespace {

struct GenerateRequest {
  CommonRequest common;
  std::string id, model;
  std::vector<std::int32_t> prompt;
  std::int64_t logprobs = -1;  // alternatives; -1: no log probabilities
  bool routed_experts = false, kept_tokens = false;
};

template <class T>
std::string packed(const std::vector<T>& values) {
  static_assert(sizeof(T) <= 4);
  return base64(std::as_bytes(std::span(values)));  // little-endian, as every machine here is
}

// {"data", "shape": [tokens, layers, experts], "start", "dtype"}: the experts of each token in
// pages, from the first of the prompt on.
Value routing_value(const Routing& routing, int experts) {
  const std::int64_t row = static_cast<std::int64_t>(routing.layers) * routing.experts;
  const std::int64_t tokens = row == 0 ? 0 : static_cast<std::int64_t>(routing.ids.size()) / row;
  Value shape = Value::array();
  shape.push(tokens);
  shape.push(routing.layers);
  shape.push(routing.experts);
  Value out = Value::object();
  if (experts > 256) {
    out.set("data", packed(routing.ids)).set("dtype", "uint16");
  } else {
    std::vector<std::uint8_t> bytes(routing.ids.size());
    std::transform(routing.ids.begin(), routing.ids.end(), bytes.begin(),
                   [](std::uint16_t id) { return static_cast<std::uint8_t>(id); });
    out.set("data", packed(bytes)).set("dtype", "uint8");
  }
  out.set("shape", std::move(shape)).set("start", 0);
  return out;
}

// {"ids", "counts"}: the tokens that were left to draw from, one after the other; a count of 0 says
// that nothing was cut off, -1 that the set is too large to be listed.
Value kept_value(const std::vector<TokenOut>& tokens) {
  std::vector<std::int32_t> ids, counts;
  for (const auto& token : tokens) {
    const bool whole = token.kept_count >= 0 &&
                       static_cast<std::size_t>(token.kept_count) == token.kept_ids.size();
    counts.push_back(token.kept_count < 0 ? 0 : whole ? token.kept_count : -1);
    if (whole) ids.insert(ids.end(), token.kept_ids.begin(), token.kept_ids.end());
  }
  Value out = Value::object();
  out.set("ids", packed(ids)).set("counts", packed(counts));
  return out;
}

class GenerateAnswer : public Answer {
 public:
  GenerateAnswer(Service& service, GenerateRequest request)
      : service_(service),
        request_(std::move(request)),
        fingerprint_(service.engine.policy_version()),
        choices_(static_cast<std::size_t>(request_.common.n)),
        usage_(static_cast<std::int64_t>(request_.prompt.size())) {
    for (std::size_t i = 0; i < choices_.size(); ++i)
      choices_[i].stop = std::make_unique<StopFinder>(request_.common.stop);
  }

  void begin(Events&) override {}

  bool on_token(std::size_t i, const TokenOut& token, Events& events) override {
    Choice& choice = choices_[i];
    if (choice.stop->found()) return false;
    if (!request_.common.stop.empty())
      (void)choice.stop->push(service_.vocabulary.piece(token.id).bytes);
    if (request_.common.stream) {
      Value item = item_of(i, {token});
      item.set("finish_reason", nullptr);
      events.push_back(chunk_of(std::move(item)));
    }
    return !choice.stop->found();
  }

  void on_end(std::size_t i, const Generated& generated, Events& events) override {
    Choice& choice = choices_[i];
    choice.ended = ended_of(generated.finish, choice.stop->found());
    ++service_.ended[static_cast<std::size_t>(choice.ended)];
    usage_.add(generated);
    Value item = item_of(i, request_.common.stream ? std::vector<TokenOut>{} : generated.tokens);
    item.set("finish_reason", ended_name(choice.ended));
    if (request_.routed_experts)
      item.set("routed_experts",
               routing_value(generated.routing, service_.engine.config().n_routed_experts));
    if (request_.kept_tokens) item.set("kept_tokens", kept_value(generated.tokens));
    item.set("num_cached_tokens", generated.cached_tokens);
    if (request_.common.stream)
      events.push_back(chunk_of(std::move(item)));
    else
      choice.item = std::move(item);
  }

  void finish(Events& events) override {
    if (!request_.common.include_usage) return;
    Value last = head();
    last.set("choices", Value::array()).set("usage", usage_.value());
    events.push_back(std::move(last));
  }

  Value body() override {
    Value list = Value::array();
    for (Choice& choice : choices_) list.push(std::move(choice.item));
    Value out = head();
    out.set("choices", std::move(list)).set("prompt_logprobs", nullptr);
    out.set("usage", usage_.value());
    return out;
  }

 private:
  struct Choice {
    std::unique_ptr<StopFinder> stop;
    Ended ended = Ended::stop;
    Value item;
  };

  [[nodiscard]] Value head() const {
    Value out = Value::object();
    out.set("request_id", request_.id).set("model", request_.model);
    out.set("weights_version", fingerprint_);
    return out;
  }
  [[nodiscard]] Value chunk_of(Value item) const {
    Value list = Value::array();
    list.push(std::move(item));
    Value out = head();
    out.set("choices", std::move(list));
    if (request_.common.include_usage) out.set("usage", nullptr);
    return out;
  }
  [[nodiscard]] Value item_of(std::size_t i, const std::vector<TokenOut>& tokens) const {
    Value ids = Value::array(), policies = Value::array(), entries = Value::array();
    Value raw = Value::array(), entropies = Value::array();
    for (const auto& token : tokens) {
      ids.push(static_cast<std::int64_t>(token.id));
      policies.push(static_cast<std::int64_t>(token.policy));
      if (request_.logprobs < 0) continue;
      entries.push(logprob_entry(service_.vocabulary, token, true));
      raw.push(finite(static_cast<double>(token.raw_logprob)));
      entropies.push(static_cast<double>(token.entropy));
    }
    Value out = Value::object();
    out.set("index", static_cast<std::int64_t>(i)).set("token_ids", std::move(ids));
    if (request_.logprobs < 0) {
      out.set("logprobs", nullptr);
    } else {
      Value logprobs = Value::object();
      logprobs.set("content", std::move(entries));
      out.set("logprobs", std::move(logprobs));
      out.set("raw_logprobs", std::move(raw)).set("entropies", std::move(entropies));
    }
    out.set("policy_version", std::move(policies));
    return out;
  }

  Service& service_;
  const GenerateRequest request_;
  const std::string fingerprint_;
  std::vector<Choice> choices_;
  Usage usage_;
};

// Asked for beside the prompt or among the sampling parameters: clients differ.
void read_flag(Fields& body, Fields& params, std::string_view key, bool& out) {
  body.boolean(key, out);
  params.boolean(key, out);
}

Refusal read_generate(Service& service,
                      const Exchange& exchange,
                      const Value& body,
                      GenerateRequest& out) {
  bool reasoner = false;
  if (auto refusal = check_model(service, body, reasoner)) return refusal;
  out.model = body.text("model", service.options.model_name);
  Fields fields(body);
  fields.text("request_id", out.id, 256);
  if (out.id.empty()) out.id = service.new_id("gen-");
  fields.ids("token_ids", out.prompt, service.engine.config().vocab_size,
             static_cast<std::size_t>(service.context) + 1);
  const Value* params_value = fields.object("sampling_params");
  if (!fields.ok()) return fields.refusal();
  const Value none = Value::object();
  Fields params(params_value == nullptr ? none : *params_value, "sampling_params.");
  read_sampling(service, params, out.common);
  // Nothing is cut off where nothing says so, whatever chat clients get.
  if (params.find("temperature") == nullptr) out.common.sampling.temperature = 1.0;
  if (params.find("top_p") == nullptr) out.common.sampling.top_p = 1.0;
  params.integer("logprobs", out.logprobs, 0, 20);
  out.common.sampling.top_logprobs = static_cast<int>(std::max<std::int64_t>(out.logprobs, 0));
  read_delivery(exchange, fields, out.common);
  read_flag(fields, params, "return_routed_experts", out.routed_experts);
  read_flag(fields, params, "routed_experts", out.routed_experts);
  read_flag(fields, params, "return_kept_tokens", out.kept_tokens);
  read_flag(fields, params, "kept_tokens", out.kept_tokens);
  if (!fields.ok()) return fields.refusal();
  if (!params.ok()) return params.refusal();
  if (fields.find("token_ids") == nullptr)
    return bad("token_ids", "found none, wanted the prompt's token ids");
  if (fields.find("features") != nullptr || fields.find("kv_transfer_params") != nullptr)
    return bad("features", "found images or a transfer of pages, wanted token ids alone");
  if (auto refusal = check_room(service, out.prompt.size())) {
    refusal->param = "token_ids";
    return refusal;
  }
  return std::nullopt;
}

}  // namespace

Refusal serve_generate(Service& service,
                       const std::shared_ptr<Exchange>& exchange,
                       const std::shared_ptr<Flight>& flight) {
  Value body;
  if (auto refusal = read_body(*exchange, body)) return refusal;
  GenerateRequest request;
  if (auto refusal = read_generate(service, *exchange, body, request)) return refusal;
  std::vector<Request> requests;
  for (std::int64_t i = 0; i < request.common.n; ++i) {
    requests.push_back(
        request_of(service, request.common, request.prompt, static_cast<std::size_t>(i)));
    requests.back().params.want_routing = request.routed_experts;
  }
  const bool stream = request.common.stream;
  std::make_shared<Job>(service, exchange, flight,
                        std::make_unique<GenerateAnswer>(service, std::move(request)), stream)
      ->start(std::move(requests));
  return std::nullopt;
}

}  // namespace seedbed::engine::service
