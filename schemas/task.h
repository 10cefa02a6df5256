// Tasks: what the agent sees (TaskSpec), what only the gates and the oracle see (Gold), what judges
// (Verifier).
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

struct Budget {
  int max_turns = 30;
  int max_calls = 60;
  int wall_ms = 600'000;
  int output_kib = 256;  // all tool results of the episode together
};
template <class V>
void fields(V&& at, Budget& x) {
  at("max_turns", x.max_turns, "assistant turns");
  at("max_calls", x.max_calls, "tool calls");
  at("wall_ms", x.wall_ms, "wall clock of the episode");
  at("output_kib", x.output_kib, "tool output of the whole episode");
}

// A deterministic user. On each assistant message the first reveal (not yet used) one of whose
// keywords occurs in it (ASCII case ignored) is said; otherwise `fallback`. After `max_replies`
// messages the user leaves.
struct Reveal {
  std::vector<std::string> keywords;
  std::string text;
};
template <class V>
void fields(V&& at, Reveal& x) {
  at("keywords", x.keywords, "any of them in the agent's message triggers the reveal");
  at("text", x.text, "what the user then says");
}
struct UserScript {
  std::vector<Reveal> reveals;
  std::string fallback;
  int max_replies = 6;
};
template <class V>
void fields(V&& at, UserScript& x) {
  at("reveals", x.reveals, "what the user reveals, and on which terms");
  at("fallback", x.fallback, "said where no reveal matches");
  at("max_replies", x.max_replies, "messages before the user leaves");
}

struct Knob {
  std::string name;
  std::int64_t value = 0;
};
template <class V>
void fields(V&& at, Knob& x) {
  at("name", x.name, "e.g. plan_calls, hops, interactions, distractors");
  at("value", x.value, "its value");
}

struct TaskSpec {
  std::string environment_id;
  std::string kind;  // lookup, aggregate, achieve, multi, each, if, choose, refuse, ask
  std::string prompt;
  Value submit_schema;  // JSON Schema of submit_result's arguments
  std::optional<UserScript> user;
  Budget budget;
  std::string skeleton;  // hash of the goal expression with constants erased
  std::vector<Knob> knobs;
  std::int64_t number = 0;  // within its environment
};
template <class V>
void fields(V&& at, TaskSpec& x) {
  at("environment_id", x.environment_id, "content hash of the environment");
  at("kind", x.kind, "kind of goal");
  at("prompt", x.prompt, "what the user asks");
  at("submit_schema", x.submit_schema, "JSON Schema of submit_result's arguments");
  at("user", x.user, "a scripted user, where the task has one");
  at("budget", x.budget, "limits of the episode");
  at("skeleton", x.skeleton, "hash of the goal expression, constants erased");
  at("knobs", x.knobs, "why it is hard");
  at("number", x.number, "within its environment");
}
std::string task_id(const TaskSpec& task);

// ---- gold ----
enum class GoldKind : std::uint8_t { call, say, submit, refuse };
constexpr std::array<std::string_view, 4> enum_names(GoldKind) {
  return {"call", "say", "submit", "refuse"};
}
// One step of the gold plan. `needs` are indices of earlier steps whose results it uses (the plan's
// data flow); steps without a path between them may be permuted. `derived` names arguments that are
// computed from known values.
struct GoldStep {
  GoldKind kind = GoldKind::call;
  std::string tool;  // call
  Value args;        // call, submit, refuse: the arguments
  std::string text;  // say
  std::vector<int> needs;
  std::vector<std::string> derived;
};
template <class V>
void fields(V&& at, GoldStep& x) {
  at("kind", x.kind, "call, say, submit or refuse");
  at("tool", x.tool, "tool of a call");
  at("args", x.args, "arguments");
  at("text", x.text, "message to the user");
  at("needs", x.needs, "earlier steps whose results it uses");
  at("derived", x.derived, "arguments computed from known values");
}
// A wrong way that must score below 1, made from the goal's form.
struct NearMiss {
  std::string name;  // second_best, rule_ignored, interaction_forgotten, sibling_row,
                     // constraint_violated, ...
  std::vector<GoldStep> steps;
};
template <class V>
void fields(V&& at, NearMiss& x) {
  at("name", x.name, "what is wrong with it");
  at("steps", x.steps, "the wrong plan");
}
struct Gold {
  std::vector<GoldStep> steps;
  std::vector<std::vector<GoldStep>>
      variants;  // other right plans (permuted independent steps), each must pass
  std::vector<NearMiss> near_misses;
  int interactions = 0;  // interaction edges whose removal changes plan or answer
  int mechanisms = 0;    // mechanisms that the plan's data flow touches
};
template <class V>
void fields(V&& at, Gold& x) {
  at("steps", x.steps, "the plan");
  at("variants", x.variants, "other right plans");
  at("near_misses", x.near_misses, "wrong plans that must fail");
  at("interactions", x.interactions, "interaction edges whose removal changes plan or answer");
  at("mechanisms", x.mechanisms, "mechanisms that the plan's data flow touches");
}

// ---- verifier ----
enum class Outcome : std::uint8_t { submit, refuse };
constexpr std::array<std::string_view, 2> enum_names(Outcome) {
  return {"submit", "refuse"};
}

enum class AnswerType : std::uint8_t { integer, text, date, set };
constexpr std::array<std::string_view, 4> enum_names(AnswerType) {
  return {"integer", "text", "date", "set"};
}
// A submitted field, compared after normalisation: integer 25 = 25.0 = "25"; text without case and
// repeated space; date ISO or "5 March 2031" or 05/03/2031; set = array compared without order,
// each item as text.
struct AnswerField {
  std::string name;
  AnswerType type = AnswerType::text;
  std::vector<std::string> accept;  // normal forms; for set: the items of the one accepted set
};
template <class V>
void fields(V&& at, AnswerField& x) {
  at("name", x.name, "argument of submit_result");
  at("type", x.type, "how it is normalised and compared");
  at("accept", x.accept, "accepted normal forms; for set the items");
}
enum class ChangeKind : std::uint8_t { set, add, remove };
constexpr std::array<std::string_view, 3> enum_names(ChangeKind) {
  return {"set", "add", "remove"};
}
// One fact that the goal changes, in view terms. set: attribute of the fact `key` becomes `value`;
// add: a new fact whose attributes are `row` (the key is existentially quantified: null attributes
// in `row` that refer to other new facts match any key); remove: the fact `key` is gone.
struct FactChange {
  ChangeKind kind = ChangeKind::set;
  std::string concept_name;
  Value key;
  std::string attribute;
  Value value;
  Value row;  // object attribute -> value
};
template <class V>
void fields(V&& at, FactChange& x) {
  at("kind", x.kind, "set, add or remove");
  at("concept", x.concept_name, "World symbol");
  at("key", x.key, "key of the fact");
  at("attribute", x.attribute, "World symbol of the attribute");
  at("value", x.value, "its new value");
  at("row", x.row, "attributes of a new fact");
}
// SQL over the views that must give 1 in the final state (or, for `choose`, with :FIELD bound to
// the submitted fields).
struct Condition {
  std::string name;
  std::string symbol;  // the term that it was printed from
  std::string sql;
};
template <class V>
void fields(V&& at, Condition& x) {
  at("name", x.name, "part of the score");
  at("symbol", x.symbol, "the term");
  at("sql", x.sql, "the term over the views; must give 1");
}
// A rule that tools allow and the verifier punishes: for each successful call of `tool`, sql over
// the state before the call, with the call's arguments bound as :PARAM, must give 1.
struct Obligation {
  std::string rule;
  std::string tool;
  std::string symbol;
  std::string sql;
};
template <class V>
void fields(V&& at, Obligation& x) {
  at("rule", x.rule, "rule of the handbook");
  at("tool", x.tool, "tool whose calls it judges");
  at("symbol", x.symbol, "the term");
  at("sql", x.sql, "over the state before the call, arguments bound");
}
struct Verifier {
  Outcome outcome = Outcome::submit;
  std::vector<AnswerField> answer;  // empty: submit_result needs no particular content
  std::vector<Condition> choose;    // constraints on submitted fields
  std::vector<Condition> post;      // conditions on the final state
  std::vector<FactChange> delta;    // exactly these facts change; everything else is the frame
  std::vector<Obligation> obligations;
  std::vector<std::string> refuse_codes;     // accepted codes (outcome refuse)
  std::vector<std::string> refuse_evidence;  // exact set of record ids (outcome refuse)
};
template <class V>
void fields(V&& at, Verifier& x) {
  at("outcome", x.outcome, "submit or refuse");
  at("answer", x.answer, "submitted fields");
  at("choose", x.choose, "constraints on the submitted fields");
  at("post", x.post, "conditions on the final state");
  at("delta", x.delta, "facts that change; every other fact stays");
  at("obligations", x.obligations, "rules that tools do not enforce");
  at("refuse_codes", x.refuse_codes, "accepted reason codes");
  at("refuse_evidence", x.refuse_evidence, "record ids that prove it");
}

// ---- admission ----
struct GateResult {
  std::string gate;  // G1 ...
  int checked = 0;   // replays or comparisons made
  std::string note;
};
template <class V>
void fields(V&& at, GateResult& x) {
  at("gate", x.gate, "G1 to G18");
  at("checked", x.checked, "replays or comparisons made");
  at("note", x.note, "what it showed");
}
// G13: wrong verifiers made from the task's own, and how many of them a play of the admission tells
// apart. A weaker one lets more pass than the true verifier; the others are killed by gold.
struct MutationScore {
  int made = 0, killed = 0, weaker = 0, weaker_killed = 0;
  std::vector<std::string> survivors;
  std::vector<std::string> implied;  // not made: another part says the same; "part: reason"
};
template <class V>
void fields(V&& at, MutationScore& x) {
  at("made", x.made, "mutants of the verifier");
  at("killed", x.killed, "of them, told apart by a play");
  at("weaker", x.weaker, "mutants that let more pass");
  at("weaker_killed", x.weaker_killed, "of them, told apart by a play");
  at("survivors", x.survivors, "mutants that no play tells apart");
  at("implied", x.implied, "parts that another part implies, with the reason; not counted as mutants");
}
struct Certificate {
  std::string task_id;
  std::vector<GateResult> gates;
  std::optional<MutationScore> mutation;
};
template <class V>
void fields(V&& at, Certificate& x) {
  at("task_id", x.task_id, "content hash of the task");
  at("gates", x.gates, "all passed");
  at("mutation", x.mutation, "mutants of the verifier");
}

}  // namespace seedbed::schemas
