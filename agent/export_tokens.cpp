#include "agent/export_tokens.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "agent/rendered_tokens.h"
#include "base/hash.h"
#include "schemas/trajectory.h"

namespace seedbed::agent {
namespace {

using schemas::Value;

// The shortest decimal that names this float: no more digits than it has.
Value number(float x) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text - 1, x).ptr;
  *end = 0;
  return std::strtod(text, nullptr);
}
// Loaders re-encode numbers with ten digits; six come through unchanged.
double rounded(double x) {
  return std::round(x * 1e6) / 1e6;
}

template <class T, class F>
Value list(const std::vector<T>& items, F&& one) {
  Value::Array out;
  out.reserve(items.size());
  for (const auto& item : items) out.push_back(one(item));
  return out;
}

template <class T>
Value bytes_of(const std::vector<T>& numbers) {
  return base64({reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)});
}

Value routed_experts(const schemas::TokenBranch& branch) {
  if (branch.routed == 0) return nullptr;
  Value shape = Value::array();
  shape.push(branch.routed);
  shape.push(branch.moe_layers);
  shape.push(branch.experts_per_token);
  Value out = Value::object();
  out.set("data", branch.routed_experts)
      .set("shape", std::move(shape))
      .set("start", 0)
      .set("dtype", branch.expert_bytes == 2 ? "uint16" : "uint8");
  return out;
}

// counts: one a token of the sequence; 0 where nothing was cut off or the set was not kept.
Value kept_tokens(const TokenArrays& arrays, std::int64_t& not_kept) {
  std::vector<std::int32_t> counts = arrays.kept_counts;
  bool any = false;
  for (auto& count : counts) {
    if (count < 0) {
      ++not_kept;
      count = 0;
    }
    any = any || count > 0;
  }
  if (!any) return nullptr;
  Value out = Value::object();
  out.set("ids", bytes_of(arrays.kept_ids)).set("counts", bytes_of(counts));
  return out;
}

Value reward_parts(const schemas::Verdict& verdict) {
  Value out = Value::array();
  for (const auto& part : verdict.parts) {
    Value one = Value::object();
    one.set("name", part.name).set("score", part.holds ? 1 : 0).set("weight", part.weight);
    out.push(std::move(one));
  }
  return out;
}

bool is_truncated(schemas::Stop stop) {
  using schemas::Stop;
  return stop == Stop::out_of_turns || stop == Stop::out_of_calls || stop == Stop::out_of_tokens ||
         stop == Stop::out_of_time;
}

// Tokens before the first message.
std::int64_t system_tokens(const TokenArrays& a) {
  return a.spans.empty() || a.spans[0].role != "system" ? 0 : a.spans[0].end;
}

void set_ids(Value& line, const TokenArrays& a) {
  line.set("system_tokens", system_tokens(a));
  line.set("token_ids", list(a.ids, [](std::int32_t id) { return Value(id); }));
  line.set("mask", list(a.mask, [](std::uint8_t m) { return Value(m != 0); }));
  line.set("turn_spans", schemas::to_value(a.spans));
}

void set_sampled(Value& line,
                 const TokenArrays& a,
                 const schemas::TokenRecord& record,
                 const schemas::TokenBranch& branch) {
  line.set("logprobs", list(a.logprobs, number)).set("raw_logprobs", list(a.raw_logprobs, number));
  line.set("temperatures",
           list(a.mask, [&](std::uint8_t) { return Value(rounded(record.temperature)); }));
  Value sampling = Value::object();
  sampling.set("temperature", rounded(record.temperature))
      .set("top_p", rounded(record.top_p))
      .set("top_k", record.top_k)
      .set("min_p", rounded(record.min_p));
  line.set("sampling", std::move(sampling));
  line.set("routed_experts", routed_experts(branch));
  line.set("prefix_tokens", nullptr).set("prefix_id", nullptr);
  std::int64_t not_kept = 0;
  line.set("kept_tokens", kept_tokens(a, not_kept)).set("kept_sets_left_out", not_kept);
}

void set_not_sampled(Value& line, const TokenArrays& a, const std::vector<std::int32_t>& bare) {
  const std::int64_t prefix = std::min(common_prefix(a.ids, bare), system_tokens(a));
  const std::string_view bytes(reinterpret_cast<const char*>(a.ids.data()),
                               static_cast<std::size_t>(prefix) * sizeof a.ids[0]);
  line.set("prefix_tokens", prefix).set("prefix_id", content_hash(bytes));
  for (const char* key :
       {"logprobs", "raw_logprobs", "temperatures", "sampling", "routed_experts", "kept_tokens"})
    line.set(key, nullptr);
  line.set("kept_sets_left_out", 0);
}

Value head(const tasks::StoredEpisode& episode,
           const std::string& kind,
           const std::string& family,
           const std::string& tokenizer,
           bool thinking) {
  const schemas::Trajectory& t = episode.trajectory;
  Value line = Value::object();
  line.set("id", episode.id)
      .set("branch", 0)
      .set("branches", 0)
      .set("group_id", t.task_id)
      .set("environment_id", t.environment_id)
      .set("env_name", "seedbed-" + family)
      .set("kind", kind)
      .set("policy", t.policy)
      .set("policy_version", t.policy_version)
      .set("tokenizer", tokenizer)
      .set("sample", t.sample)
      .set("seed", t.seed)
      .set("reward", rounded(t.verdict.score))
      .set("reward_parts", reward_parts(t.verdict))
      .set("solved", t.verdict.solved)
      .set("stop_condition", enum_names(t.stop)[static_cast<std::size_t>(t.stop)])
      .set("is_truncated", is_truncated(t.stop))
      .set("thinking", thinking);
  return line;
}

Value of_branch(const Value& head, std::size_t branch, std::size_t branches) {
  Value line = head;
  line.set("branch", static_cast<std::int64_t>(branch))
      .set("branches", static_cast<std::int64_t>(branches));
  return line;
}

// ---- the check ----
const Value* array_of(const Value& line, const char* key, std::size_t size) {
  const Value* v = line.find(key);
  return v != nullptr && v->is_array() && v->items().size() == size ? v : nullptr;
}

std::string check_spans(const Value& line, std::int64_t tokens) {
  const Value* spans = line.find("turn_spans");
  if (spans == nullptr || !spans->is_array()) return "no turn_spans";
  std::int64_t at = 0;
  for (const auto& span : spans->items()) {
    const std::int64_t end = span.integer("end", -1);
    if (span.integer("start", -1) != at || end < at) return "turn_spans with a gap";
    const bool assistant = span.text("role") == "assistant";
    for (; at < end && at < tokens; ++at)
      if (line.find("mask")->items()[static_cast<std::size_t>(at)].as_bool() && !assistant)
        return "a token under loss outside the assistant's spans";
    at = end;
  }
  return at == tokens ? "" : "turn_spans that do not cover the tokens";
}

std::string check_blobs(const Value& line, std::size_t tokens) {
  if (const Value* routed = line.find("routed_experts"); routed != nullptr && !routed->is_null()) {
    const Value* shape = array_of(*routed, "shape", 3);
    const Value* data = routed->find("data");
    if (shape == nullptr || data == nullptr || !data->is_string()) return "routed_experts unread";
    std::int64_t bytes = routed->text("dtype") == "uint16" ? 2 : 1;
    for (const auto& size : shape->items()) bytes *= size.as_int();
    const auto held = from_base64(data->as_string());
    if (!held.ok() || static_cast<std::int64_t>(held->size()) != bytes ||
        shape->items()[0].as_int() > static_cast<std::int64_t>(tokens))
      return "routed_experts of another shape";
  }
  if (const Value* kept = line.find("kept_tokens"); kept != nullptr && !kept->is_null()) {
    const auto counts = from_base64(kept->text("counts")), ids = from_base64(kept->text("ids"));
    if (!counts.ok() || !ids.ok() || counts->size() != 4 * tokens) return "kept_tokens unread";
    std::size_t sum = 0;
    for (std::size_t i = 0; i < tokens; ++i) {
      std::int32_t count = 0;
      std::memcpy(&count, counts->data() + 4 * i, 4);
      sum += static_cast<std::size_t>(count);
    }
    if (ids->size() != 4 * sum) return "kept_tokens whose counts do not add up";
  }
  return "";
}

}  // namespace

const std::vector<TokenField>& token_fields() {
  static const std::vector<TokenField> fields = {
      {"id", "dtype: string", "content hash of the trajectory"},
      {"branch", "dtype: int64", "which sequence of the trajectory, from 0"},
      {"branches", "dtype: int64",
       "how many it has: more than one where old reasoning was dropped"},
      {"group_id", "dtype: string", "content hash of the task: samples of one task share it"},
      {"environment_id", "dtype: string", "content hash of the environment"},
      {"env_name", "dtype: string", "family of the environment"},
      {"kind", "dtype: string", "kind of goal"},
      {"policy", "dtype: string", "who acted"},
      {"policy_version", "dtype: string", "hash of the weights that sampled"},
      {"tokenizer", "dtype: string", "content hash of tokenizer.json"},
      {"sample", "dtype: int64", "sample index within the task"},
      {"seed", "dtype: string", "seed of the run, decimal"},
      {"reward", "dtype: float64", "0 to 1, by the task's verifier; not normalised"},
      {"reward_parts", "list: json", "{name, score 0 or 1, weight} of each part of the verdict"},
      {"solved", "dtype: bool", "every part of the verdict holds"},
      {"stop_condition", "dtype: string", "how the episode ended"},
      {"is_truncated", "dtype: bool", "it ended by a budget, not by the policy"},
      {"thinking", "dtype: bool", "chat format with reasoning"},
      {"sampling", "dtype: json", "{temperature, top_p, top_k, min_p}; or null"},
      {"system_tokens", "dtype: int64",
       "leading tokens before the user's message: handbook and tools, the form of the result too"},
      {"prefix_tokens", "dtype: int64",
       "leading tokens that depend on the environment alone: handbook and its own tools; null "
       "where "
       "the policy sampled"},
      {"prefix_id", "dtype: string", "content hash of those: equal where they are; or null"},
      {"token_ids", "list: int32", "the sequence as the model saw it, prompt and tools included"},
      {"mask", "list: bool",
       "true: sampled by the policy, or what it would have sampled; under loss"},
      {"logprobs", "list: float32",
       "of sampled tokens, under the distribution drawn from (after temperature and truncation); 0 "
       "elsewhere; null where nobody sampled: the episode was rendered with --tokenizer"},
      {"raw_logprobs", "list: float32",
       "of sampled tokens, under the model's own softmax; or null"},
      {"temperatures", "list: float64", "one a token; or null"},
      {"turn_spans", "list: json", "{role, start, end}: half-open, without gaps"},
      {"routed_experts", "dtype: json",
       "{data, shape [tokens, moe layers, experts a token], start, dtype}: base64; the last token "
       "sampled was never computed and has none; null: no experts"},
      {"kept_tokens", "dtype: json",
       "{ids, counts}: base64 of int32; counts one a token, ids the kept sets joined; a count of "
       "0: "
       "nothing was cut off; null: nowhere"},
      {"kept_sets_left_out", "dtype: int64", "kept sets over 4,096 ids, not recorded (count 0)"},
  };
  return fields;
}

Result<std::vector<Value>> token_lines(const tasks::StoredEpisode& episode,
                                       const std::string& kind,
                                       const std::string& family) {
  std::vector<Value> out;
  if (!episode.trajectory.tokens) return out;
  const schemas::TokenRecord& record = *episode.trajectory.tokens;
  const Value common = head(episode, kind, family, record.tokenizer, record.thinking);
  for (std::size_t i = 0; i < record.branches.size(); ++i) {
    SEEDBED_TRY(const TokenArrays arrays, unpack(record.branches[i]));
    out.push_back(of_branch(common, i, record.branches.size()));
    set_ids(out.back(), arrays);
    set_sampled(out.back(), arrays, record, record.branches[i]);
  }
  return out;
}

std::vector<Value> rendered_lines(const tasks::StoredEpisode& episode,
                                  const std::string& kind,
                                  const std::string& family,
                                  const std::string& tokenizer,
                                  bool thinking,
                                  const std::vector<std::int32_t>& bare,
                                  const std::vector<TokenArrays>& branches) {
  std::vector<Value> out;
  const Value common = head(episode, kind, family, tokenizer, thinking);
  for (std::size_t i = 0; i < branches.size(); ++i) {
    out.push_back(of_branch(common, i, branches.size()));
    set_ids(out.back(), branches[i]);
    set_not_sampled(out.back(), branches[i], bare);
  }
  return out;
}

std::string check_token_line(std::string_view text) {
  if (text.find('\n') != std::string_view::npos) return "a line break";
  const auto line = schemas::parse_json(text);
  if (!line.ok()) return line.error().message;
  for (const auto& field : token_fields())
    if (line->find(field.name) == nullptr) return std::string("no '") + field.name + "'";
  const std::size_t tokens = line->find("token_ids")->items().size();
  const bool rendered = line->find("logprobs")->is_null();
  for (const char* key : {"mask", "logprobs", "raw_logprobs", "temperatures"})
    if ((!rendered || key == std::string_view("mask")) && array_of(*line, key, tokens) == nullptr)
      return std::string(key) + " of another length than token_ids";
  bool any = false;
  for (std::size_t i = 0; i < tokens; ++i) {
    const bool sampled = line->find("mask")->items()[i].as_bool();
    any = any || sampled;
    if (rendered) continue;
    const double logprob = line->find("logprobs")->items()[i].as_double();
    if (logprob > 0 || (!sampled && logprob != 0)) return "a log probability out of place";
  }
  if (!any) return "no token under loss";
  if (auto wrong = check_spans(*line, static_cast<std::int64_t>(tokens)); !wrong.empty())
    return wrong;
  return check_blobs(*line, tokens);
}

}  // namespace seedbed::agent
