#include "engine/service/chat_choice.h"

#include <algorithm>

#include "base/text.h"
#include "engine/chat/markers.h"
#include "engine/service/token_text.h"

namespace seedbed::engine::service {

using schemas::Value;

namespace {

Value text_delta(const char* key, const std::string& text) {
  Value out = Value::object();
  out.set(key, text);
  return out;
}

// {"tool_calls": [{"index", ...}]}
Value call_delta(std::int32_t index, Value call) {
  Value item = Value::object();
  item.set("index", static_cast<std::int64_t>(index));
  for (auto& [key, value] : call.members()) item.set(key, std::move(value));
  Value list = Value::array();
  list.push(std::move(item));
  Value out = Value::object();
  out.set("tool_calls", std::move(list));
  return out;
}

Value call_value(const std::string& id, const std::string& name, const std::string& arguments) {
  Value function = Value::object();
  function.set("name", name).set("arguments", arguments);
  Value out = Value::object();
  out.set("id", id).set("type", "function").set("function", std::move(function));
  return out;
}

}  // namespace

ChatChoice::ChatChoice(const ChatVocabulary& vocabulary, const ChoiceOptions& options)
    : vocabulary_(vocabulary),
      options_(options),
      parser_(vocabulary.parse_options(options.thinking)),
      stop_(options.stop),
      end_think_(vocabulary.marker(chat::kEndThink).value_or(-1)),
      reasoning_now_(options.thinking) {}

void ChatChoice::note_logprob(const TokenOut& token) {
  if (token.id == end_think_ && reasoning_now_) {
    reasoning_now_ = false;  // the marker belongs to neither
    return;
  }
  if (vocabulary_.is_end(token.id)) return;
  if (reasoning_now_) ++reasoning_tokens_;
  if (!options_.logprobs) return;
  Value& to = reasoning_now_ ? reasoning_logprobs_ : content_logprobs_;
  if (to.is_null()) to = Value::array();
  to.push(logprob_entry(vocabulary_, token, options_.processed_logprobs));
}

bool ChatChoice::on_token(const TokenOut& token, std::vector<Value>& deltas) {
  if (stop_.found()) return false;
  ids_.push_back(token.id);
  if (std::find(options_.stop_ids.begin(), options_.stop_ids.end(), token.id) !=
      options_.stop_ids.end())
    return true;  // the engine ends it
  note_logprob(token);
  parser_.feed(vocabulary_.piece(token.id));
  parser_.drain([&](const chat::Delta& delta) { take(delta, deltas); });
  return !stop_.found();
}

void ChatChoice::add_content(std::string_view text, std::vector<Value>& deltas) {
  const std::string certain = stop_.push(replace_invalid_utf8(text));
  if (certain.empty()) return;
  content_ += certain;
  deltas.push_back(text_delta("content", certain));
}

void ChatChoice::take(const chat::Delta& delta, std::vector<Value>& deltas) {
  if (stop_.found()) return;
  const std::string text =
      delta.kind == chat::DeltaKind::content ? "" : replace_invalid_utf8(delta.text);
  switch (delta.kind) {
    case chat::DeltaKind::content:
      add_content(delta.text, deltas);
      return;
    case chat::DeltaKind::reasoning:
      reasoning_ += text;
      deltas.push_back(text_delta("reasoning_content", text));
      return;
    case chat::DeltaKind::call_begin: {
      Call call{chat::call_id(options_.call_key, calls_.size()), text, ""};
      deltas.push_back(call_delta(delta.call, call_value(call.id, call.name, "")));
      calls_.push_back(std::move(call));
      return;
    }
    case chat::DeltaKind::arguments: {
      calls_[static_cast<std::size_t>(delta.call)].arguments += text;
      Value function = Value::object();
      function.set("arguments", text);
      Value call = Value::object();
      call.set("function", std::move(function));
      deltas.push_back(call_delta(delta.call, std::move(call)));
      return;
    }
    case chat::DeltaKind::call_end:
      return;
  }
}

void ChatChoice::keep_malformed(const chat::Completion& completion, std::vector<Value>& deltas) {
  for (const auto& piece : completion.malformed) {
    const std::string text = replace_invalid_utf8(piece.text);
    if (piece.call < 0) add_content(text, deltas);
    Value one = Value::object();
    one.set("text", text).set("why", replace_invalid_utf8(piece.why));
    one.set("call", piece.call < 0 ? Value() : Value(static_cast<std::int64_t>(piece.call)));
    if (malformed_.is_null()) malformed_ = Value::array();
    malformed_.push(std::move(one));
  }
}

void ChatChoice::on_end(const Generated& generated, std::vector<Value>& deltas) {
  const bool stopped = generated.finish == Finish::stop;
  const chat::Completion& completion = parser_.finish(stopped ? chat::End::eos : chat::End::cut);
  if (stop_.found()) {
    finish_ = "stop";
    ended_ = Ended::stop;
    return;
  }
  parser_.drain([&](const chat::Delta& delta) { take(delta, deltas); });
  if (!stop_.found()) keep_malformed(completion, deltas);
  if (const std::string rest = stop_.flush(); !rest.empty()) {
    content_ += rest;
    deltas.push_back(text_delta("content", rest));
  }
  if (stop_.found()) {
    finish_ = "stop";
  } else if (generated.finish == Finish::cancelled) {
    finish_ = "abort";
    ended_ = Ended::abort;
    return;
  } else if (generated.finish == Finish::length) {
    finish_ = "length";  // also where the parser met an end that was to be ignored
  } else {
    finish_ = chat::finish_reason(completion);
  }
  ended_ = finish_ == "length"       ? Ended::length
           : finish_ == "tool_calls" ? Ended::tool_calls
                                     : Ended::stop;
}

Value ChatChoice::take_logprobs() {
  if (content_logprobs_.is_null() && reasoning_logprobs_.is_null()) return nullptr;
  Value out = Value::object();
  out.set("content", content_logprobs_.is_null() ? Value::array() : std::move(content_logprobs_));
  if (!reasoning_logprobs_.is_null()) out.set("reasoning_content", std::move(reasoning_logprobs_));
  content_logprobs_ = reasoning_logprobs_ = Value();
  return out;
}

Value ChatChoice::message() const {
  Value out = Value::object();
  out.set("role", "assistant");
  out.set("content", content_.empty() && !calls_.empty() ? Value() : Value(content_));
  if (options_.thinking) out.set("reasoning_content", reasoning_);
  out.set("refusal", nullptr);
  if (calls_.empty()) return out;
  Value calls = Value::array();
  for (const auto& call : calls_) calls.push(call_value(call.id, call.name, call.arguments));
  out.set("tool_calls", std::move(calls));
  return out;
}

chat::Message ChatChoice::as_sent_back() const {
  chat::Message out;
  out.role = chat::Role::assistant;
  out.content = content_;
  out.reasoning_content = reasoning_;
  for (const auto& call : calls_)
    out.tool_calls.push_back({.id = call.id, .name = call.name, .arguments = call.arguments});
  return out;
}

}  // namespace seedbed::engine::service
