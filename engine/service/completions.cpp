#include "engine/service/completions.h"

#include <algorithm>

#include "base/text.h"
#include "engine/service/chat.h"
#include "engine/service/common_request.h"
#include "engine/service/job.h"
#include "engine/service/text_choice.h"
#include "engine/service/usage.h"

namespace seedbed::engine::service {

using schemas::Value;

namespace {

constexpr std::size_t kMostPrompts = 256;

struct CompletionRequest {
  CommonRequest common;
  std::string model;
  std::vector<std::vector<std::int32_t>> prompts;
  std::vector<std::string> echoed;  // their texts, where asked for
  bool echo = false, skip_special = true, return_token_ids = false;
  std::int64_t logprobs = -1;
};

class CompletionAnswer : public Answer {
 public:
  CompletionAnswer(Service& service, CompletionRequest request)
      : service_(service),
        request_(std::move(request)),
        id_(service.new_id("cmpl-")),
        created_(unix_now()),
        fingerprint_(service.engine.policy_version()),
        usage_(0) {
    for (std::size_t p = 0; p < request_.prompts.size(); ++p) {
      usage_.add_prompt(static_cast<std::int64_t>(request_.prompts[p].size()));
      TextChoiceOptions options;
      options.stop = request_.common.stop;
      options.stop_ids = request_.common.stop_ids;
      options.skip_special = request_.skip_special;
      options.logprobs = static_cast<int>(request_.logprobs);
      options.processed_logprobs = request_.common.processed_logprobs;
      if (request_.echo) options.first_offset = request_.echoed[p].size();
      for (std::int64_t i = 0; i < request_.common.n; ++i)
        choices_.push_back(std::make_unique<TextChoice>(service.vocabulary, options));
    }
    sent_ids_.resize(choices_.size());
    cached_.assign(request_.prompts.size(), -1);
  }

  void begin(Events& events) override {
    if (!request_.echo) return;
    for (std::size_t i = 0; i < choices_.size(); ++i)
      events.push_back(chunk_of(i, request_.echoed[prompt_of(i)], nullptr, nullptr));
  }

  bool on_token(std::size_t i, const TokenOut& token, Events& events) override {
    std::string text;
    const bool more = choices_[i]->on_token(token, text);
    if (request_.common.stream && !text.empty())
      events.push_back(chunk_of(i, text, choices_[i]->take_logprobs(), nullptr));
    return more;
  }

  void on_end(std::size_t i, const Generated& generated, Events& events) override {
    const std::string rest = choices_[i]->on_end(generated);
    usage_.add(generated);
    std::int64_t& cached = cached_[prompt_of(i)];
    cached = cached < 0 ? generated.cached_tokens : std::min(cached, generated.cached_tokens);
    ++service_.ended[static_cast<std::size_t>(choices_[i]->ended())];
    if (request_.common.stream)
      events.push_back(
          chunk_of(i, rest, choices_[i]->take_logprobs(), choices_[i]->finish_reason()));
  }

  void finish(Events& events) override {
    if (!request_.common.include_usage) return;
    Value last = head();
    last.set("choices", Value::array()).set("usage", usage());
    events.push_back(std::move(last));
  }

  Value body() override {
    Value out = head();
    Value list = Value::array();
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      const std::string before = request_.echo ? request_.echoed[prompt_of(i)] : "";
      list.push(item_of(i, before + choices_[i]->text(), choices_[i]->take_logprobs(),
                        choices_[i]->finish_reason()));
    }
    out.set("choices", std::move(list)).set("usage", usage());
    return out;
  }

 private:
  [[nodiscard]] std::size_t prompt_of(std::size_t i) const {
    return i / static_cast<std::size_t>(request_.common.n);
  }
  Value usage() {
    std::int64_t cached = 0;
    for (const auto tokens : cached_) cached += std::max<std::int64_t>(tokens, 0);
    usage_.set_cached(cached);
    return usage_.value();
  }
  [[nodiscard]] Value head() const {
    Value out = Value::object();
    out.set("id", id_).set("object", "text_completion").set("created", created_);
    out.set("model", request_.model).set("system_fingerprint", fingerprint_);
    return out;
  }
  Value item_of(std::size_t i, const std::string& text, Value logprobs, Value finish) {
    Value item = Value::object();
    item.set("index", static_cast<std::int64_t>(i)).set("text", text);
    item.set("logprobs", std::move(logprobs)).set("finish_reason", std::move(finish));
    if (request_.return_token_ids) {
      Value ids = Value::array();
      for (; sent_ids_[i] < choices_[i]->ids().size(); ++sent_ids_[i])
        ids.push(static_cast<std::int64_t>(choices_[i]->ids()[sent_ids_[i]]));
      item.set("token_ids", std::move(ids));
    }
    return item;
  }
  Value chunk_of(std::size_t i, const std::string& text, Value logprobs, Value finish) {
    Value list = Value::array();
    list.push(item_of(i, text, std::move(logprobs), std::move(finish)));
    Value out = head();
    out.set("choices", std::move(list));
    if (request_.common.include_usage) out.set("usage", nullptr);
    return out;
  }

  Service& service_;
  const CompletionRequest request_;
  const std::string id_;
  const std::int64_t created_;
  const std::string fingerprint_;
  std::vector<std::unique_ptr<TextChoice>> choices_;
  std::vector<std::size_t> sent_ids_;
  std::vector<std::int64_t> cached_;  // by prompt
  Usage usage_;
};

bool is_ids(const Value& value) {
  return value.is_array() && !value.items().empty() && value.items()[0].is_number();
}

Refusal add_prompt(const Service& service,
                   const Value& prompt,
                   bool add_special,
                   CompletionRequest& out) {
  std::vector<std::int32_t> ids;
  if (prompt.is_string()) {
    ids = service.vocabulary.tokenizer().encode(prompt.as_string(), {.add_special = add_special});
  } else if (is_ids(prompt)) {
    Value holder = Value::object();
    holder.set("prompt", prompt);
    Fields fields(holder);
    fields.ids("prompt", ids, service.engine.config().vocab_size,
               static_cast<std::size_t>(service.context) + 1);
    if (!fields.ok()) return fields.refusal();
  } else {
    return bad("prompt", std::string("found ") + kind_name(prompt.kind()) +
                             ", wanted a string, token ids, or a list of either");
  }
  if (auto refusal = check_room(service, ids.size())) {
    refusal->param = "prompt";
    return refusal;
  }
  if (out.echo)
    out.echoed.push_back(prompt.is_string()
                             ? prompt.as_string()
                             : replace_invalid_utf8(service.vocabulary.tokenizer().decode(
                                   ids, {.skip_special = out.skip_special})));
  out.prompts.push_back(std::move(ids));
  return std::nullopt;
}

Refusal read_prompts(const Service& service,
                     const Value& body,
                     bool add_special,
                     CompletionRequest& out) {
  Fields fields(body);
  const Value* prompt = fields.find("prompt");
  if (prompt == nullptr) return bad("prompt", "found none, wanted a string or token ids");
  if (!prompt->is_array() || is_ids(*prompt)) return add_prompt(service, *prompt, add_special, out);
  if (prompt->items().empty() || prompt->items().size() > kMostPrompts)
    return bad("prompt", "found " + std::to_string(prompt->items().size()) +
                             " prompts, wanted 1 to " + std::to_string(kMostPrompts));
  for (const Value& one : prompt->items())
    if (auto refusal = add_prompt(service, one, add_special, out)) return refusal;
  return std::nullopt;
}

Refusal read_completion(Service& service,
                        const Exchange& exchange,
                        const Value& body,
                        CompletionRequest& out) {
  bool reasoner = false;
  if (auto refusal = check_model(service, body, reasoner)) return refusal;
  out.model = body.text("model", service.options.model_name);
  if (out.model.empty()) out.model = service.options.model_name;
  Fields fields(body);
  read_sampling(service, fields, out.common);
  if (fields.find("max_tokens") == nullptr && fields.find("max_completion_tokens") == nullptr)
    out.common.max_tokens = std::min<std::int64_t>(16, out.common.max_tokens);  // OpenAI's default
  read_delivery(exchange, fields, out.common);
  fields.boolean("echo", out.echo);
  fields.boolean("skip_special_tokens", out.skip_special);
  fields.boolean("return_token_ids", out.return_token_ids);
  fields.integer("logprobs", out.logprobs, 0, 20);
  out.common.sampling.top_logprobs = static_cast<int>(std::max<std::int64_t>(out.logprobs, 0));
  bool add_special = true;
  fields.boolean("add_special_tokens", add_special);
  std::int64_t best_of = out.common.n;
  fields.integer("best_of", best_of, 1, service.options.max_choices);
  std::string suffix;
  fields.text("suffix", suffix);
  if (!fields.ok()) return fields.refusal();
  if (!suffix.empty())
    return bad("suffix", "found one, wanted none: this model does not fill in the middle");
  if (best_of != out.common.n)
    return bad("best_of", "found " + std::to_string(best_of) + ", wanted the same as 'n'");
  if (out.echo && out.logprobs >= 0)
    return bad("echo",
               "found it together with 'logprobs', wanted one of them: the prompt's own "
               "log probabilities are not computed");
  if (auto refusal = read_prompts(service, body, add_special, out)) return refusal;
  if (static_cast<std::int64_t>(out.prompts.size()) * out.common.n > service.options.max_choices)
    return bad("n", "found " + std::to_string(out.prompts.size()) + " prompts times " +
                        std::to_string(out.common.n) + ", wanted at most " +
                        std::to_string(service.options.max_choices) + " choices");
  return std::nullopt;
}

}  // namespace

Refusal serve_completions(Service& service,
                          const std::shared_ptr<Exchange>& exchange,
                          const std::shared_ptr<Flight>& flight) {
  Value body;
  if (auto refusal = read_body(*exchange, body)) return refusal;
  CompletionRequest request;
  if (auto refusal = read_completion(service, *exchange, body, request)) return refusal;
  std::vector<Request> requests;
  for (const auto& prompt : request.prompts)
    for (std::int64_t i = 0; i < request.common.n; ++i)
      requests.push_back(request_of(service, request.common, prompt, static_cast<std::size_t>(i)));
  const bool stream = request.common.stream;
  std::make_shared<Job>(service, exchange, flight,
                        std::make_unique<CompletionAnswer>(service, std::move(request)), stream)
      ->start(std::move(requests));
  return std::nullopt;
}

}  // namespace seedbed::engine::service
