#include "agent/export_tokens.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "agent/token_arrays.h"
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

void set_sequence(Value& line,
                  const TokenArrays& a,
                  const schemas::TokenRecord& record,
                  const schemas::TokenBranch& branch) {
  line.set("token_ids", list(a.ids, [](std::int32_t id) { return Value(id); }));
  line.set("mask", list(a.mask, [](std::uint8_t m) { return Value(m != 0); }));
  line.set("logprobs", list(a.logprobs, number)).set("raw_logprobs", list(a.raw_logprobs, number));
  line.set("temperatures",
           list(a.mask, [&](std::uint8_t) { return Value(rounded(record.temperature)); }));
  line.set("turn_spans", schemas::to_value(a.spans));
  line.set("routed_experts", routed_experts(branch));
  std::int64_t not_kept = 0;
  line.set("kept_tokens", kept_tokens(a, not_kept)).set("kept_sets_left_out", not_kept);
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
      {"sampling", "dtype: json", "{temperature, top_p, top_k, min_p}"},
      {"token_ids", "list: int32", "the sequence as the model saw it, prompt and tools included"},
      {"mask", "list: bool", "true: sampled by the policy, under loss"},
      {"logprobs", "list: float32",
       "of sampled tokens, under the distribution drawn from (after temperature and truncation); 0 "
       "elsewhere"},
      {"raw_logprobs", "list: float32", "of sampled tokens, under the model's own softmax"},
      {"temperatures", "list: float64", "one a token"},
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
  const schemas::Trajectory& t = episode.trajectory;
  if (!t.tokens) return out;
  const schemas::TokenRecord& record = *t.tokens;
  for (std::size_t i = 0; i < record.branches.size(); ++i) {
    const schemas::TokenBranch& branch = record.branches[i];
    SEEDBED_TRY(const TokenArrays arrays, unpack(branch));
    Value line = Value::object();
    line.set("id", episode.id)
        .set("branch", static_cast<std::int64_t>(i))
        .set("branches", static_cast<std::int64_t>(record.branches.size()))
        .set("group_id", t.task_id)
        .set("environment_id", t.environment_id)
        .set("env_name", "seedbed-" + family)
        .set("kind", kind)
        .set("policy", t.policy)
        .set("policy_version", t.policy_version)
        .set("tokenizer", record.tokenizer)
        .set("sample", t.sample)
        .set("seed", t.seed)
        .set("reward", rounded(t.verdict.score))
        .set("reward_parts", reward_parts(t.verdict))
        .set("solved", t.verdict.solved)
        .set("stop_condition", enum_names(t.stop)[static_cast<std::size_t>(t.stop)])
        .set("is_truncated", is_truncated(t.stop))
        .set("thinking", record.thinking);
    Value sampling = Value::object();
    sampling.set("temperature", rounded(record.temperature))
        .set("top_p", rounded(record.top_p))
        .set("top_k", record.top_k)
        .set("min_p", rounded(record.min_p));
    line.set("sampling", std::move(sampling));
    set_sequence(line, arrays, record, branch);
    out.push_back(std::move(line));
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
  for (const char* key : {"mask", "logprobs", "raw_logprobs", "temperatures"})
    if (array_of(*line, key, tokens) == nullptr)
      return std::string(key) + " of another length than token_ids";
  bool any = false;
  for (std::size_t i = 0; i < tokens; ++i) {
    const bool sampled = line->find("mask")->items()[i].as_bool();
    const double logprob = line->find("logprobs")->items()[i].as_double();
    if (logprob > 0 || (!sampled && logprob != 0)) return "a log probability out of place";
    any = any || sampled;
  }
  if (!any) return "no token under loss";
  if (auto wrong = check_spans(*line, static_cast<std::int64_t>(tokens)); !wrong.empty())
    return wrong;
  return check_blobs(*line, tokens);
}

}  // namespace seedbed::agent
