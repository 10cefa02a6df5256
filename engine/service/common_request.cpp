#include "engine/service/common_request.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/hash.h"

namespace seedbed::engine::service {
namespace {

using schemas::Value;

constexpr std::size_t kMostStops = 16, kMostStopBytes = 1'024;
constexpr std::int64_t kMostBiases = 4'096;

void read_bias(const Service& service, Fields& params, CommonRequest& out) {
  const Value* bias = params.object("logit_bias");
  if (bias == nullptr) return;
  const int vocab = service.engine.config().vocab_size;
  if (static_cast<std::int64_t>(bias->members().size()) > kMostBiases)
    return params.refuse("logit_bias", "found " + std::to_string(bias->members().size()) +
                                           " entries, wanted at most " +
                                           std::to_string(kMostBiases));
  for (const auto& [key, value] : bias->members()) {
    std::int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id >= vocab)
      return params.refuse("logit_bias", "found the key '" + key.substr(0, 40) +
                                             "', wanted a token id from 0 to " +
                                             std::to_string(vocab - 1));
    if (!value.is_number() || !(value.as_double() >= -100 && value.as_double() <= 100))
      return params.refuse("logit_bias", "found " + dump(value).substr(0, 40) + " for '" + key +
                                             "', wanted a number from -100 to 100");
    out.sampling.bias.emplace_back(id, static_cast<float>(value.as_double()));
  }
  std::sort(out.sampling.bias.begin(), out.sampling.bias.end());
}

void read_stops(Fields& params, CommonRequest& out) {
  if (!params.texts("stop", out.stop, kMostStops)) return;
  for (const auto& stop : out.stop)
    if (stop.empty() || stop.size() > kMostStopBytes)
      return params.refuse("stop", "found a string of " + std::to_string(stop.size()) +
                                       " bytes, wanted 1 to " + std::to_string(kMostStopBytes));
}

}  // namespace

void read_sampling(Service& service, Fields& params, CommonRequest& out) {
  SamplingParams& s = out.sampling;
  s.temperature = service.options.temperature;
  s.top_p = service.options.top_p;
  params.number("temperature", s.temperature, 0, 100);
  params.number("top_p", s.top_p, 0, 1);
  params.number("min_p", s.min_p, 0, 1);
  std::int64_t top_k = 0;
  params.integer("top_k", top_k, -1, std::numeric_limits<std::int32_t>::max());
  s.top_k = top_k < 0 ? 0 : static_cast<int>(top_k);
  params.number("repetition_penalty", s.repetition_penalty, 0.01, 100);
  params.number("presence_penalty", s.presence_penalty, -2, 2);
  params.number("frequency_penalty", s.frequency_penalty, -2, 2);
  read_bias(service, params, out);
  std::int64_t seed = 0;
  if (params.integer("seed", seed, std::numeric_limits<std::int64_t>::min(),
                     std::numeric_limits<std::int64_t>::max()))
    s.seed = static_cast<std::uint64_t>(seed);
  else
    s.seed = service.new_seed();
  out.max_tokens = service.options.max_tokens;
  constexpr std::int64_t kMost = 1 << 30;
  // The newer name wins where both stand.
  params.integer("max_tokens", out.max_tokens, 1, kMost);
  params.integer("max_completion_tokens", out.max_tokens, 1, kMost);
  params.integer("n", out.n, 1, service.options.max_choices);
  read_stops(params, out);
  params.ids("stop_token_ids", out.stop_ids, service.engine.config().vocab_size, 256);
  params.boolean("ignore_eos", out.ignore_eos);
}

void read_delivery(const Exchange& exchange, Fields& body, CommonRequest& out) {
  body.boolean("stream", out.stream);
  if (const Value* options = body.object("stream_options")) {
    Fields fields(*options, "stream_options.");
    fields.boolean("include_usage", out.include_usage);
    if (!fields.ok()) body.refuse(*fields.refusal());
  }
  std::string mode = "raw";
  if (body.text("logprobs_mode", mode)) {
    if (mode == "raw" || mode == "raw_logprobs")
      out.processed_logprobs = false;
    else if (mode == "processed" || mode == "processed_logprobs")
      out.processed_logprobs = true;
    else
      body.refuse("logprobs_mode", "found '" + mode + "', wanted 'raw' or 'processed'");
  }
  // Lower goes first on the wire, as vLLM has it; the engine's own numbers are the other way round.
  std::int64_t priority = 0;
  body.integer("priority", priority, -1'000'000, 1'000'000);
  out.priority = static_cast<int>(-priority);
  std::string session = exchange.session;
  body.text("session_id", session, 4'096);
  if (!session.empty()) out.session = (hash64(session) >> 1U) | 1U;  // below the engine's own
}

Refusal check_model(const Service& service, const Value& body, bool& says_reasoner) {
  Fields fields(body);
  std::string name;
  if (!fields.text("model", name)) return fields.refusal();
  const ApiOptions& options = service.options;
  says_reasoner = name == "deepseek-reasoner";
  if (name.empty() || name == options.model_name) {
    says_reasoner = false;
    return std::nullopt;
  }
  if (says_reasoner || (name == "deepseek-chat" && options.profile == Profile::chat))
    return std::nullopt;
  Fault out =
      bad("model", "found '" + name.substr(0, 200) + "', wanted '" + options.model_name + "'",
          "GET /v1/models lists what is served");
  out.status = 404;
  out.code = "model_not_found";
  return out;
}

Refusal check_room(const Service& service, std::size_t prompt_tokens) {
  const auto count = static_cast<std::int64_t>(prompt_tokens);
  if (count == 0) return bad("prompt", "found no token, wanted at least one");
  if (count < service.context) return std::nullopt;
  Fault out = bad("messages",
                  "found a prompt of " + std::to_string(count) +
                      " tokens, wanted fewer than the context length of " +
                      std::to_string(service.context) + " tokens of prompt and answer",
                  "shorten the conversation");
  out.code = "context_length_exceeded";
  return out;
}

Request request_of(const Service& service,
                   const CommonRequest& common,
                   std::vector<std::int32_t> prompt,
                   std::size_t choice) {
  Request out;
  const std::int64_t room = service.context - static_cast<std::int64_t>(prompt.size());
  out.prompt = std::move(prompt);
  out.params.sampling = common.sampling;
  out.params.max_tokens = static_cast<int>(std::min(common.max_tokens, room));
  out.params.stop_ids = common.stop_ids;
  out.params.ignore_eos = common.ignore_eos;
  out.key = choice;
  out.session = common.session;
  out.priority = common.priority;
  return out;
}

}  // namespace seedbed::engine::service
