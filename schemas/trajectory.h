// What one rollout did: turns, calls, results, how it ended, what it scored.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/call.h"
#include "schemas/reflect.h"

namespace seedbed::schemas {

enum class Stop : std::uint8_t {
  answered,
  refused,
  stopped,
  out_of_turns,
  out_of_calls,
  out_of_tokens,
  out_of_time,
  broken
};
constexpr std::array<std::string_view, 8> enum_names(Stop) {
  return {"answered",     "refused",       "stopped",     "out_of_turns",
          "out_of_calls", "out_of_tokens", "out_of_time", "broken"};
}

struct MadeCall {
  std::string id;  // the model's id of the call, unique in the trajectory
  std::string tool;
  Value args;  // object, or a string where the model's arguments were no JSON object
  ToolResult result;
  bool reserved = false;   // submit_result or refuse: executed by the parent
  bool malformed = false;  // never reached a host
};
template <class V>
void fields(V&& at, MadeCall& x) {
  at("id", x.id, "the model's id of the call");
  at("tool", x.tool, "tool name as the model wrote it");
  at("args", x.args, "arguments, or the raw text where they were no object");
  at("result", x.result, "outcome");
  at("reserved", x.reserved, "executed by the parent");
  at("malformed", x.malformed, "answered as a tool error without reaching a host");
}
struct Turn {
  std::string role;  // system, user, assistant; tool results live inside the assistant turn that
                     // made the calls
  std::string text;
  std::string reasoning;
  std::vector<MadeCall> calls;
  std::vector<std::int32_t> tokens;  // exact ids sampled, where the client gives them
  std::vector<double> logprobs;
  // False: a reply that nobody should imitate, such as a mistake that is repaired later. Absent:
  // true.
  std::optional<bool> learn = std::nullopt;
};
template <class V>
void fields(V&& at, Turn& x) {
  at("role", x.role, "system, user or assistant");
  at("text", x.text, "message text");
  at("reasoning", x.reasoning, "thinking, where the model gives it");
  at("calls", x.calls, "tool calls of the turn, with results");
  at("tokens", x.tokens, "token ids sampled");
  at("logprobs", x.logprobs, "their log probabilities");
  at("learn", x.learn, "false: not to be imitated; absent: true");
}

struct ScorePart {
  std::string name;  // outcome, answer:*, choose:*, post:*, delta, frame, obligation:*,
                     // refuse_code, evidence
  bool holds = false;
  double weight = 1.0;
};
template <class V>
void fields(V&& at, ScorePart& x) {
  at("name", x.name, "part of the verdict");
  at("holds", x.holds, "whether it holds");
  at("weight", x.weight, "its share");
}
struct Verdict {
  bool solved = false;  // all parts hold
  double score = 0;     // 1 if solved, else the weighted share of the parts, at most 0.99
  std::vector<ScorePart> parts;
  std::string why;  // the first part that fails, in words; empty where solved
};
template <class V>
void fields(V&& at, Verdict& x) {
  at("solved", x.solved, "all parts hold");
  at("score", x.score, "0 to 1");
  at("parts", x.parts, "named parts");
  at("why", x.why, "first failing part in words");
}

// Exact tokens of an episode, where the client samples them itself. Arrays are base64 of
// little-endian numbers, one entry a token unless they say otherwise; agent/token_arrays.h packs
// and reads them.
struct TokenSpan {
  std::string role;  // system, user, assistant, tool; assistant spans hold what was sampled
  std::int64_t start = 0, end = 0;  // half-open
};
template <class V>
void fields(V&& at, TokenSpan& x) {
  at("role", x.role, "whose tokens these are");
  at("start", x.start, "first token");
  at("end", x.end, "one past the last token");
}
// One unbroken sequence as the model saw it. An episode has one, unless the chat format drops
// tokens (old reasoning, at a new user message): what stood until then is a branch of its own, and
// no token is under loss twice.
struct TokenBranch {
  std::int64_t count = 0, sampled = 0;
  std::string token_ids, mask, logprobs, raw_logprobs;
  std::string kept_counts, kept_ids;
  std::int64_t routed = 0, moe_layers = 0, experts_per_token = 0, expert_bytes = 1;
  std::string routed_experts;
  std::vector<TokenSpan> spans;
};
template <class V>
void fields(V&& at, TokenBranch& x) {
  at("count", x.count, "tokens of the sequence");
  at("sampled", x.sampled, "how many of them are under loss");
  at("token_ids", x.token_ids, "i32");
  at("mask", x.mask, "u8: 1 = sampled by the policy in this branch");
  at("logprobs", x.logprobs, "f32: under the distribution drawn from; 0 where not under loss");
  at("raw_logprobs", x.raw_logprobs, "f32: under the model's own; 0 where not under loss");
  at("kept_counts", x.kept_counts,
     "i32: size of the kept set; 0: nothing was cut off; -1: too large to be kept");
  at("kept_ids", x.kept_ids, "i32: the kept sets one after the other, each ascending");
  at("routed", x.routed, "tokens whose experts are known, from the first");
  at("moe_layers", x.moe_layers, "layers with experts");
  at("experts_per_token", x.experts_per_token, "experts a token and layer");
  at("expert_bytes", x.expert_bytes, "1 or 2: bytes of one expert's number");
  at("routed_experts", x.routed_experts, "u8 or u16 [routed, moe_layers, experts_per_token]");
  at("spans", x.spans, "whose tokens they are, from the first to the last");
}
struct TokenRecord {
  std::string tokenizer;  // content hash of tokenizer.json
  bool thinking = false;
  double temperature = 1, top_p = 1, min_p = 0;
  std::int64_t top_k = 0;
  std::vector<TokenBranch> branches;
};
template <class V>
void fields(V&& at, TokenRecord& x) {
  at("tokenizer", x.tokenizer, "content hash of the tokenizer");
  at("thinking", x.thinking, "chat format with reasoning");
  at("temperature", x.temperature, "of sampling");
  at("top_p", x.top_p, "of sampling; 1: off");
  at("min_p", x.min_p, "of sampling; 0: off");
  at("top_k", x.top_k, "of sampling; 0: off");
  at("branches", x.branches, "sequences as the model saw them, in order");
}

struct Trajectory {
  std::string task_id;
  std::string environment_id;
  std::string policy;          // oracle, nop, random, http:MODEL, ...
  std::string policy_version;  // of the client or weights
  std::int64_t sample = 0;
  std::string seed;         // decimal
  std::vector<Turn> turns;  // [0] is the system turn: stored empty, filled from the environment on
                            // export and show
  Stop stop = Stop::stopped;
  std::string stop_detail;
  int malformed_calls = 0;
  int retries = 0;           // infrastructure retries
  std::int64_t wall_us = 0;  // not part of any digest
  std::int64_t prompt_tokens = 0, completion_tokens = 0;
  Verdict verdict;
  std::optional<TokenRecord> tokens;
};
template <class V>
void fields(V&& at, Trajectory& x) {
  at("task_id", x.task_id, "content hash of the task");
  at("environment_id", x.environment_id, "content hash of the environment");
  at("policy", x.policy, "who acted");
  at("policy_version", x.policy_version, "version of the client or its weights");
  at("sample", x.sample, "sample index within the task");
  at("seed", x.seed, "seed of the run");
  at("turns", x.turns, "the conversation");
  at("stop", x.stop, "how it ended");
  at("stop_detail", x.stop_detail, "in words");
  at("malformed_calls", x.malformed_calls, "calls that never reached a host");
  at("retries", x.retries, "infrastructure retries");
  at("wall_us", x.wall_us, "wall clock; in no digest");
  at("prompt_tokens", x.prompt_tokens, "as the endpoint reports");
  at("completion_tokens", x.completion_tokens, "as the endpoint reports");
  at("verdict", x.verdict, "score by parts");
  at("tokens", x.tokens, "exact tokens, where the client samples them itself");
}

// Reserved tools, run by the parent.
inline constexpr std::string_view kSubmitTool = "submit_result";
inline constexpr std::string_view kRefuseTool = "refuse";
inline bool ends_episode(std::string_view tool) {
  return tool == kSubmitTool || tool == kRefuseTool;
}

}  // namespace seedbed::schemas
