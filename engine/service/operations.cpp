#include "engine/service/operations.h"

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "engine/service/chat.h"
#include "engine/service/chat_request.h"

namespace seedbed::engine::service {

using schemas::Value;

namespace {

namespace fs = std::filesystem;

void answer(const Exchange& exchange, const Value& value) {
  HttpReply reply;
  reply.body = dump(value);
  exchange.reply(std::move(reply));
}

Value policy_value(const Service& service) {
  Value out = Value::object();
  out.set("policy_version", service.engine.policy_version());
  out.set("policy", static_cast<std::int64_t>(service.engine.policy()));
  return out;
}

Value model_value(const Service& service, const std::string& name) {
  Value out = Value::object();
  out.set("id", name).set("object", "model").set("created", 0).set("owned_by", "seedbed");
  out.set("root", service.options.model_name).set("max_model_len", service.context);
  return out;
}

std::vector<std::string> model_names(const Service& service) {
  return {service.options.model_name};
}

// The folder that was asked for, with all links followed; refuses what lies outside the root.
Refusal weights_folder(const Service& service, const std::string& asked, std::string& out) {
  const auto refuse = [&](const std::string& found) {
    Fault fault = bad("path", "found " + found + ", wanted a folder inside the weights root",
                      "put the weights there, or serve with another --weights-root");
    return fault;
  };
  if (service.options.weights_root.empty()) return refuse("a server that takes no other weights");
  if (asked.empty() || asked.find('\0') != std::string::npos) return refuse("no path");
  std::error_code error;
  const fs::path root = fs::canonical(service.options.weights_root, error);
  if (error) return refuse("no weights root");
  const fs::path path = fs::canonical(root / asked, error);  // an absolute one replaces the root
  if (error) return refuse("no such folder '" + asked.substr(0, 200) + "'");
  const auto [end, _] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  if (end != root.end()) return refuse("'" + asked.substr(0, 200) + "'");
  if (!fs::is_directory(path, error)) return refuse("no folder at '" + asked.substr(0, 200) + "'");
  out = path.string();
  return std::nullopt;
}

Refusal prompt_ids(Service& service,
                   const Exchange& exchange,
                   const Value& body,
                   std::vector<std::int32_t>& out) {
  Fields fields(body);
  const Value* prompt = fields.find("prompt");
  bool add_special = true;
  fields.boolean("add_special_tokens", add_special);
  if (!fields.ok()) return fields.refusal();
  if (prompt != nullptr) {
    if (!prompt->is_string()) return bad("prompt", "found no string, wanted the text");
    out = service.vocabulary.tokenizer().encode(prompt->as_string(), {.add_special = add_special});
    return std::nullopt;
  }
  if (fields.find("messages") == nullptr)
    return bad("prompt", "found neither 'prompt' nor 'messages', wanted one of them");
  ChatRequest request;
  bool reasoner = false;
  if (auto refusal = check_model(service, body, reasoner)) return refusal;
  if (auto refusal = read_thinking(service, body, reasoner, request)) return refusal;
  if (auto refusal = read_messages(service, exchange.body, body, request)) return refusal;
  chat::Rendered rendered;
  if (auto refusal = render_chat(request, rendered)) return refusal;
  CommonRequest common;
  Fields delivery(body);
  read_delivery(exchange, delivery, common);
  if (!delivery.ok()) return delivery.refusal();
  out = make_prompt(service.vocabulary, request.messages, rendered, common.session, service.sampled)
            .ids;
  return std::nullopt;
}

}  // namespace

Refusal serve_models(Service& service, const ExchangePtr& exchange, const FlightPtr&) {
  constexpr std::string_view kOne = "/v1/models/";
  if (exchange->path.size() > kOne.size()) {
    const std::string name = exchange->path.substr(kOne.size());
    Value body = Value::object();
    body.set("model", replace_invalid_utf8(name));
    bool reasoner = false;
    if (auto refusal = check_model(service, body, reasoner)) return refusal;
    answer(*exchange, model_value(service, name));
    return std::nullopt;
  }
  Value list = Value::array();
  for (const auto& name : model_names(service)) list.push(model_value(service, name));
  Value out = Value::object();
  out.set("object", "list").set("data", std::move(list));
  answer(*exchange, out);
  return std::nullopt;
}

Refusal serve_version(Service& service, const ExchangePtr& exchange, const FlightPtr&) {
  Value out = Value::object();
  out.set("version", "seedbed 0.1.0");
  const Value policy = policy_value(service);
  for (const auto& [key, value] : policy.members()) out.set(key, value);
  out.set("tokenizer", service.vocabulary.hash());
  answer(*exchange, out);
  return std::nullopt;
}

Refusal serve_tokenize(Service& service, const ExchangePtr& exchange, const FlightPtr&) {
  Value body;
  if (auto refusal = read_body(*exchange, body)) return refusal;
  std::vector<std::int32_t> ids;
  if (auto refusal = prompt_ids(service, *exchange, body, ids)) return refusal;
  Value tokens = Value::array();
  for (const auto id : ids) tokens.push(static_cast<std::int64_t>(id));
  Value out = Value::object();
  out.set("count", static_cast<std::int64_t>(ids.size())).set("max_model_len", service.context);
  out.set("tokens", std::move(tokens));
  answer(*exchange, out);
  return std::nullopt;
}

Refusal serve_detokenize(Service& service, const ExchangePtr& exchange, const FlightPtr&) {
  Value body;
  if (auto refusal = read_body(*exchange, body)) return refusal;
  Fields fields(body);
  std::vector<std::int32_t> ids;
  if (!fields.ids("tokens", ids, service.engine.config().vocab_size, 8U << 20) && fields.ok())
    return bad("tokens", "found none, wanted a list of token ids");
  if (!fields.ok()) return fields.refusal();
  Value out = Value::object();
  out.set("prompt", replace_invalid_utf8(service.vocabulary.tokenizer().decode(ids)));
  answer(*exchange, out);
  return std::nullopt;
}

Refusal serve_abort_requests(Service& service, const ExchangePtr& exchange, const FlightPtr&) {
  Value out = Value::object();
  out.set("aborted", service.abort_all());
  answer(*exchange, out);
  return std::nullopt;
}

Refusal serve_update_weights(Service& service, const ExchangePtr& exchange, const FlightPtr&) {
  Value body;
  if (auto refusal = read_body(*exchange, body)) return refusal;
  Fields fields(body);
  std::string path, mode = "drain", folder;
  fields.text("path", path, 4'096);
  fields.text("mode", mode, 64);
  if (!fields.ok()) return fields.refusal();
  if (mode != "drain" && mode != "interrupt")
    return bad("mode", "found '" + mode + "', wanted 'drain' or 'interrupt'");
  if (auto refusal = weights_folder(service, path, folder)) return refusal;
  if (service.updating.exchange(true)) {
    Fault out =
        bad("", "found an update under way, wanted one at a time", "try again when it ends");
    out.status = 409;
    return out;
  }
  const Step failed =
      service.engine.reload(folder, mode == "drain" ? Reload::drain : Reload::interrupt);
  service.updating = false;
  if (failed) return bad("path", *failed);
  answer(*exchange, policy_value(service));
  return std::nullopt;
}

Refusal serve_pause(Service& service, const ExchangePtr& exchange, const FlightPtr&) {
  service.engine.pause();
  Value out = Value::object();
  out.set("status", "paused");
  answer(*exchange, out);
  return std::nullopt;
}

Refusal serve_resume(Service& service, const ExchangePtr& exchange, const FlightPtr&) {
  service.engine.resume();
  Value out = Value::object();
  out.set("status", "running");
  answer(*exchange, out);
  return std::nullopt;
}

Refusal serve_reset_prefix_cache(Service& service, const ExchangePtr& exchange, const FlightPtr&) {
  service.engine.drop_prefix_cache();
  Value out = Value::object();
  out.set("status", "reset");
  answer(*exchange, out);
  return std::nullopt;
}

}  // namespace seedbed::engine::service
