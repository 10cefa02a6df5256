#include "tasks/admit.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <span>
#include <thread>

#include "base/hash.h"
#include "tasks/gates.h"

namespace seedbed::tasks {
namespace {

using schemas::End;
using schemas::Environment;
using schemas::ToolCall;
using schemas::Value;

constexpr std::array<int, 2> kSingles = {4, 4};  // single random calls of each tool, by round
constexpr std::array<int, 2> kHardSingles = {
    24, 96};  // more of the tools that may write and have not yet
constexpr std::size_t kEnoughWrites = 8;
constexpr int kWalks = 4, kWalkCalls = 30;
constexpr std::size_t kMinReasons = 6;
constexpr std::chrono::milliseconds kAnotherSecond{1'100};
constexpr std::size_t kMaxKept = 48;  // random reads and writes kept for the tasks

using Refused = std::optional<Rejected>;

std::string environment_fault(const Environment& env, const std::string& image) {
  if (env.image_hash != content_hash(image)) return "image_hash is not the hash of the image";
  if (env.tools.empty() || env.views.empty() != env.server.has_value())
    return "no tools, or views beside a server, or neither";
  std::set<std::string> names = {std::string(schemas::kSubmitTool),
                                 std::string(schemas::kRefuseTool)};
  for (const auto& tool : env.tools) {
    if (tool.name.empty() || !names.insert(tool.name).second)
      return "tool '" + tool.name + "' is twice there, reserved or without a name";
    const Value* type = tool.input.find("type");
    if (type == nullptr || !type->is_string() || type->as_string() != "object")
      return "tool '" + tool.name + "' takes no object";
  }
  if (env.server) return "";  // its rules and reasons are what its maker gives
  if (env.policy.handbook.empty()) return "no handbook";
  std::set<std::string> codes;
  for (const auto& reason : env.policy.reasons)
    if (reason.code.empty() || !codes.insert(reason.code).second)
      return "reason '" + reason.code + "' is twice there or without a name";
  if (codes.size() < kMinReasons)
    return std::to_string(codes.size()) + " reason codes, wanted at least 6: fewer are guessed";
  return "";
}

Step read_texts(Kit& kit) {
  kit.docs.read(kit.env.policy.handbook);
  kit.choices.read(kit.env.policy.handbook);
  for (const auto& tool : kit.env.tools) {
    auto schema = schemas::JsonSchema::compile(tool.input);
    if (!schema.ok()) return schema.error();
    kit.schemas.emplace(tool.name, *std::move(schema));
    kit.docs.read(tool.name + " " + tool.description + " " + dump(tool.input));
    kit.choices.see_choices(tool.input);
  }
  return std::nullopt;
}

void count_values(Kit& kit) {
  std::set<schemas::Scalar> seen;
  for (const auto& column : kit.judge->columns())
    seen.insert(column.values.begin(), column.values.end());
  for (const auto& value : seen) ++(value.index() == 1 ? kit.integers : kit.texts);
}

Result<std::vector<PlayedPlan>> play_all(Kit& kit, const Plans& plans) {
  SEEDBED_TRY(auto played, kit.player.play(plans));
  bool fits = played.size() == plans.size();
  for (std::size_t i = 0; fits && i < plans.size(); ++i)
    fits = played[i].results.size() == plans[i].size();
  if (!fits)
    return make_error(Where::sandbox, "play", "admission",
                      "found another number of results than of calls", "replace the host");
  return played;
}

// A result that a caller may meet is ok or a tool error, in JSON; anything else is a broken tool.
Refused broken_result(const std::vector<ToolCall>& calls, const PlayedPlan& played) {
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto& result = played.results[i];
    const bool ends_well = result.end == End::ok || result.end == End::tool_error;
    if (ends_well && schemas::parse_json(result.out).ok()) continue;
    return Rejected{"build",
                    "tool '" + calls[i].tool + "' ended " +
                        std::string(enum_names(result.end)[static_cast<std::size_t>(result.end)]) +
                        " on " + dump(calls[i].args) + ": " + result.out.substr(0, 200)};
  }
  return std::nullopt;
}

Result<Refused> agrees(Kit& kit, const std::vector<ToolCall>& calls, const PlayedPlan& played) {
  SEEDBED_TRY(std::string differs, oracle_differs(kit, calls, played));
  if (differs.empty()) return Refused();
  return Refused(Rejected{"G14", std::move(differs)});
}

void keep_call(Kit& kit, const ToolCall& call, const PlayedPlan& played, int index) {
  if (played.results[static_cast<std::size_t>(index)].end != End::ok) return;
  const bool wrote = kit.writes_facts(played, index);
  if (may_write(*kit.tool(call.tool)) && !wrote)
    return;  // it set what was so already: neither a read nor a write that shows
  auto& kept = wrote ? kit.writes : kit.reads;
  const bool known = std::any_of(kept.begin(), kept.end(), [&](const ToolCall& c) {
    return c.tool == call.tool && c.args == call.args;
  });
  if (kept.size() < kMaxKept && !known) kept.push_back(call);
}

// Single random calls from the initial state, `each` of every tool that `wanted` names.
template <class F>
Result<Refused> call_singly(Kit& kit, Rng& rng, int each, F&& wanted) {
  Plans plans;
  for (const auto& tool : kit.env.tools)
    for (int n = 0; n < each && wanted(tool); ++n) {
      auto call = kit.random_call(tool, kit.draw, rng);
      if (!call)
        return Refused(
            Rejected{"build", "no schema-valid call of tool '" + tool.name + "' was found"});
      plans.push_back({*std::move(call)});
    }
  if (plans.empty()) return Refused();
  SEEDBED_TRY(const auto played, play_all(kit, plans));
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (auto broken = broken_result(plans[i], played[i])) return broken;
    if (played[i].results[0].end == End::ok) {
      SEEDBED_TRY(auto differs, agrees(kit, plans[i], played[i]));
      if (differs) return differs;
    }
    keep_call(kit, plans[i][0], played[i], 0);
    kit.draw.learn(played[i].results[0]);
  }
  return Refused();
}

// Every tool is called; each round knows what the one before has shown. Tools that may write and
// have not are tried harder, since G7 needs stray writes that take effect.
Result<Refused> call_every_tool(Kit& kit, Rng& rng) {
  for (const int each : kSingles) {
    SEEDBED_TRY(auto refused,
                call_singly(kit, rng, each, [](const schemas::Tool&) { return true; }));
    if (refused) return refused;
  }
  const auto lacking = [&](const schemas::Tool& tool) {
    return may_write(tool) && std::none_of(kit.writes.begin(), kit.writes.end(),
                                           [&](const ToolCall& c) { return c.tool == tool.name; });
  };
  for (std::size_t round = 0; round < kHardSingles.size(); ++round) {
    if (round == 0 ? kit.writes.size() >= kEnoughWrites : !kit.writes.empty()) break;
    SEEDBED_TRY(auto refused, call_singly(kit, rng, kHardSingles[round], lacking));
    if (refused) return refused;
  }
  return Refused();
}

Result<Refused> walk_at_random(Kit& kit, Rng& rng) {
  Plans plans;
  for (int w = 0; w < kWalks; ++w) {
    plans.emplace_back();
    for (int n = 0; n < kWalkCalls; ++n) {
      const bool again =
          !kit.writes.empty() &&
          rng.chance(1, 3);  // most random calls fail: some that are known to work are mixed in
      auto call = again ? std::optional<ToolCall>(rng.pick(kit.writes))
                        : kit.random_call(rng.pick(kit.env.tools), kit.draw, rng);
      if (call) plans.back().push_back(*std::move(call));
    }
  }
  SEEDBED_TRY(auto played, play_all(kit, plans));
  for (std::size_t w = 0; w < plans.size(); ++w) {
    if (auto broken = broken_result(plans[w], played[w])) return broken;
    SEEDBED_TRY(auto differs, agrees(kit, plans[w], played[w]));
    if (differs) return differs;
    for (std::size_t i = 0; i < plans[w].size(); ++i)
      keep_call(kit, plans[w][i], played[w], static_cast<int>(i));
    Draw seen = kit.draw;
    for (const auto& result : played[w].results) seen.learn(result);
    kit.walks.push_back(
        {.calls = std::move(plans[w]), .played = std::move(played[w]), .seen = std::move(seen)});
  }
  return Refused();
}

Result<Refused> check_environment(Kit& kit) {
  SEEDBED_TRY(const auto ours, kit.judge->facts({}, 0));
  SEEDBED_TRY(const auto theirs, kit.oracle.initial());
  if (ours != theirs) {
    std::vector<std::string> odd;
    std::set_symmetric_difference(ours.begin(), ours.end(), theirs.begin(), theirs.end(),
                                  std::back_inserter(odd));
    return Refused(Rejected{
        "G14", "the initial facts differ: " + (odd.empty() ? "their order" : odd.front())});
  }
  Rng rng = rng_for(kit.seed, kit.id, 0, "admit environment");
  SEEDBED_TRY(auto refused, call_every_tool(kit, rng));
  if (refused) return refused;
  SEEDBED_TRY(refused, walk_at_random(kit, rng));
  if (refused) return refused;
  SEEDBED_TRY(const std::string digest, kit.player.digest());
  if (digest != kit.image_hash)
    return Refused(Rejected{"G17", "after the walks the host's state is " + digest +
                                       ", the image is " + kit.image_hash});
  return Refused();
}

// Gates in the order in which they run: what costs nothing first, gold before everything else that
// is played.
constexpr std::array<Gate, 4> kBeforePlays = {gate_build, gate_g18_budget, gate_g12_unique,
                                              gate_g10_no_leak};
constexpr std::array<Gate, 14> kAfterPlays = {
    gate_g1_gold,      gate_g2_nop,     gate_g11_reachable, gate_g3_prefixes,   gate_g4_empty_ways,
    gate_g6_mutants,   gate_g8_policy,  gate_g7_stray,      gate_g9_other_ways, gate_g5_random,
    gate_g13_mutation, gate_g14_oracle, gate_g15_ladder,    gate_g17_reset};

// Around a server nobody knows the state by itself, or what a tool may write: no second oracle, no
// strays, no ladder of solvers.
constexpr std::array<Gate, 8> kAfterServerPlays = {
    gate_g1_gold,       gate_g2_nop,     gate_g11_reachable, gate_g3_prefixes,
    gate_g4_empty_ways, gate_g6_mutants, gate_g5_random,     gate_g17_reset};

// What the judge cannot judge is the draft's fault; anything else (a broken jail) is ours to
// report.
Result<Refused> not_judgeable(Error error) {
  if (error.where != Where::verifier) return error;
  return Refused(Rejected{"build", std::move(error.message)});
}

Result<Refused> run_gates(std::span<const Gate> gates,
                          Case& c,
                          std::vector<schemas::GateResult>& passed) {
  for (const Gate gate : gates) {
    auto outcome = gate(c);
    if (!outcome.ok()) return not_judgeable(std::move(outcome.error()));
    if (auto* refused = std::get_if<Rejected>(&*outcome)) return Refused(std::move(*refused));
    passed.push_back(std::get<Passed>(*std::move(outcome)));
  }
  return Refused();
}

}  // namespace

struct Admission::State {
  AdmittedEnvironment environment;
  Kit kit;
};

Admission::Admission(std::unique_ptr<State> state) : state_(std::move(state)) {}
Admission::~Admission() = default;
const AdmittedEnvironment& Admission::environment() const {
  return state_->environment;
}

Result<std::variant<std::unique_ptr<Admission>, Rejected>> Admission::open(
    const Environment& env, std::string image, Player player, Oracle oracle, std::uint64_t seed) {
  using Opened = std::variant<std::unique_ptr<Admission>, Rejected>;
  const auto reject = [](std::string why) { return Opened(Rejected{"build", std::move(why)}); };
  if (auto fault = environment_fault(env, image); !fault.empty()) return reject(std::move(fault));
  auto state = std::make_unique<State>();
  Kit& kit = state->kit;
  kit.env = env;
  kit.id = schemas::environment_id(env);
  kit.image_hash = env.image_hash;
  kit.player = std::move(player);
  kit.oracle = std::move(oracle);
  kit.seed = seed;
  auto judge = Judge::open(env, image);
  if (!judge.ok()) return reject(judge.error().message);
  kit.judge = *std::move(judge);
  if (!env.server)
    kit.ladder = std::make_unique<solvers::Ladder>(kit.env, kit.player.play, *kit.judge);
  kit.draw = Draw(kit.judge->columns(), env.now_minutes);
  count_values(kit);
  if (auto e = read_texts(kit)) return reject(e->message);
  auto checked = env.server ? check_server(kit) : check_environment(kit);
  if (!checked.ok()) checked = not_judgeable(std::move(checked.error()));
  if (!checked.ok()) return checked.error();
  if (*checked) return Opened(**std::move(checked));
  state->environment.env_ = env;
  state->environment.image_ = std::move(image);
  state->environment.id_ = kit.id;
  return Opened(std::unique_ptr<Admission>(new Admission(std::move(state))));
}

Result<std::variant<AdmittedTask, Rejected>> Admission::admit(Draft draft) {
  using Admitted = std::variant<AdmittedTask, Rejected>;
  Case c(state_->kit, draft);
  const bool server = state_->kit.env.server.has_value();
  std::vector<schemas::GateResult> passed;
  SEEDBED_TRY(auto refused, run_gates(kBeforePlays, c, passed));
  if (refused) return Admitted(*std::move(refused));
  SEEDBED_TRY(auto first, state_->kit.player.play_again({c.gold.calls}));
  if (first.size() != 1 || first[0].results.size() != c.gold.calls.size())
    return make_error(Where::sandbox, "play", "admission",
                      "found another number of results than of calls", "replace the host");
  c.first = std::move(first[0]);
  // What hangs on the clock must not come out the same twice within one second.
  if (server) std::this_thread::sleep_for(kAnotherSecond);
  if (auto e = server ? add_server_trials(c) : add_trials(c)) {
    SEEDBED_TRY(refused, not_judgeable(*std::move(e)));
    return Admitted(*std::move(refused));
  }
  if (auto e = c.play()) return *std::move(e);
  SEEDBED_TRY(refused,
              server ? run_gates(kAfterServerPlays, c, passed) : run_gates(kAfterPlays, c, passed));
  if (refused) return Admitted(*std::move(refused));

  const auto number = [](const schemas::GateResult& g) {
    return g.gate == "build" ? 0 : std::stoi(g.gate.substr(1));
  };
  std::sort(passed.begin(), passed.end(),
            [&](const auto& a, const auto& b) { return number(a) < number(b); });
  passed.erase(passed.begin());  // build: what is left is G1 to G18
  AdmittedTask task;
  task.certificate_ = {.task_id = schemas::task_id(draft.task),
                       .gates = std::move(passed),
                       .mutation = std::move(c.mutation)};
  task.draft_ = std::move(draft);
  return Admitted(std::move(task));
}

}  // namespace seedbed::tasks
