#include "tasks/solvers/level.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "tasks/solvers/words.h"

namespace seedbed::tasks::solvers {
namespace {

using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Value;

constexpr std::int64_t kUnpaged = 12;  // records that a list without pages is taken to show

bool may_write(const schemas::Tool& tool) {
  return std::any_of(tool.program.steps.begin(), tool.program.steps.end(),
                     [](const auto& s) { return s.run || s.each; });
}

std::int64_t knob(const schemas::TaskSpec& task, std::string_view name) {
  for (const auto& k : task.knobs)
    if (k.name == name) return k.value;
  return 0;
}

std::int64_t words_in(std::string_view text) {
  return static_cast<std::int64_t>(tokens_of(text).size());
}

// Walks the plan with what is known so far.
class Search {
 public:
  Search(const schemas::Environment& env, const schemas::TaskSpec& task) : env_(env) {
    names_ =
        std::max<std::int64_t>(1, static_cast<std::int64_t>(name_candidates(task.prompt).size()));
    for (const auto& token : tokens_of(task.prompt)) numbers_ += number_of(token.text) ? 1 : 0;
    turn_ = log2_16(env.tools.size() + 2);
  }

  void call(const schemas::Tool& tool, const Value& args) {
    bits_ += turn_;
    const Value* properties = tool.input.find("properties");
    if (args.is_object())
      for (const auto& [name, value] : args.members()) {
        const Value* schema = properties == nullptr ? nullptr : properties->find(name);
        bits_ += log2_16(choices(name, schema == nullptr ? Value::object() : *schema));
      }
    shown_ += shows(tool);
  }

  void submit(const schemas::Verifier& verifier, const Value& args) {
    bits_ += turn_;
    if (!args.is_object()) return;
    for (const auto& [name, value] : args.members()) {
      const auto one = static_cast<std::int64_t>(log2_16(known()));
      if (!value.is_array()) {
        const bool judged = std::any_of(verifier.answer.begin(), verifier.answer.end(),
                                        [&](const auto& f) { return f.name == name; });
        bits_ += judged || !verifier.choose.empty() || verifier.outcome == schemas::Outcome::refuse
                     ? one
                     : 0;
        continue;
      }
      bits_ +=
          one * std::clamp<std::int64_t>(static_cast<std::int64_t>(value.items().size()), 1, 8);
    }
  }

  [[nodiscard]] std::int64_t bits() const { return bits_; }

 private:
  std::uint64_t known() const { return static_cast<std::uint64_t>(names_ + shown_); }

  std::uint64_t choices(const std::string& name, const Value& schema) const {
    if (name == "offset" || name == "page") return 1;
    if (const Value* words = schema.find("enum"); words != nullptr && words->is_array())
      return std::max<std::uint64_t>(1, words->items().size());
    const std::string type = schema.text("type");
    if (type == "boolean") return 2;
    const bool id = name.ends_with("id") || name.ends_with("Id") || name.ends_with("name");
    if (type == "integer" && !id)
      return static_cast<std::uint64_t>(std::max<std::int64_t>(1, numbers_));
    if (name == "name") return static_cast<std::uint64_t>(names_);
    return known();
  }

  static std::int64_t shows(const schemas::Tool& tool) {
    if (tool.program.shape != schemas::Shape::rows) return 1;
    if (tool.program.page_size) return *tool.program.page_size;
    const Value* required = tool.input.find("required");
    const bool free = required == nullptr || !required->is_array() || required->items().empty();
    return free ? kUnpaged : 1;
  }

  const schemas::Environment& env_;
  std::int64_t names_ = 1, numbers_ = 0, shown_ = 0, turn_ = 0, bits_ = 0;
};

void count_flow(const std::vector<GoldStep>& steps, Hardness& out) {
  std::vector<std::int64_t> depth(steps.size(), 0);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].kind != GoldKind::call && steps[i].kind != GoldKind::say) continue;
    for (const int need : steps[i].needs) {
      if (need < 0 || need >= static_cast<int>(i)) continue;
      ++out.data_flow_edges;
      depth[i] = std::max(depth[i], depth[static_cast<std::size_t>(need)] + 1);
    }
    out.hops = std::max(out.hops, depth[i]);
  }
}

void count_calls(const schemas::Environment& env,
                 const schemas::TaskSpec& task,
                 const schemas::Gold& gold,
                 const schemas::Verifier& verifier,
                 Hardness& out) {
  Search search(env, task);
  std::map<std::string, std::int64_t> written;
  std::set<std::string> read;
  for (const auto& step : gold.steps) {
    out.derived += static_cast<std::int64_t>(step.derived.size());
    if (step.kind == GoldKind::say) ++out.hidden;
    if (step.kind == GoldKind::submit || step.kind == GoldKind::refuse)
      search.submit(verifier, step.args);
    if (step.kind != GoldKind::call) continue;
    ++out.plan_calls;
    const auto tool = std::find_if(env.tools.begin(), env.tools.end(),
                                   [&](const auto& t) { return t.name == step.tool; });
    if (tool == env.tools.end()) continue;
    search.call(*tool, step.args);
    if (step.args.integer("offset") > 0) ++out.pages;
    if (may_write(*tool))
      ++out.writes, ++written[step.tool];
    else
      read.insert(step.tool);
  }
  out.verbs = static_cast<std::int64_t>(written.size());
  out.kinds_read = static_cast<std::int64_t>(read.size());
  for (const auto& [tool, n] : written) out.each_size = std::max(out.each_size, n);
  for (const auto& obligation : verifier.obligations)
    out.obligations += written.contains(obligation.tool) ? 1 : 0;
  out.search_bits = search.bits();
}

// Fitted to the rates of the solvers (docs/levels.md), rounded; a test compares the page with
// these.
constexpr std::array<Weight, 11> kWeights = {{
    {"search_bits", 1, 2'000},
    {"hops", 50, 6},
    {"writes", 260, 4},
    {"verbs", 530, 3},
    {"each_size", 810, 8},
    {"obligations", 1'050, 3},
    {"refusal", 3'050, 1},
    {"hidden", 2'970, 2},
    {"derived", 2'020, 3},
    {"answer_items", 90, 8},
    {"prompt_words", 120, 90},
}};
constexpr std::array<int, kLevels> kFloors = {0,     6'400, 7'400,  8'000,  8'600,
                                              9'000, 9'700, 10'400, 11'550, 13'200};

}  // namespace

std::int64_t log2_16(std::uint64_t n) {
  if (n < 2) return 0;
  int whole = 63;
  while ((n >> whole) == 0) --whole;
  // the mantissa in [1, 2) as 2^31 fixed point; each squaring gives a binary digit of the logarithm
  std::uint64_t m = whole >= 31 ? n >> (whole - 31) : n << (31 - whole);
  std::int64_t out = whole;
  for (int i = 0; i < 4; ++i) {
    m = (m * m) >> 31;
    const bool one = m >= (std::uint64_t{1} << 32);
    out = out * 2 + (one ? 1 : 0);
    if (one) m >>= 1;
  }
  return out;
}

Hardness hardness_of(const schemas::Environment& env,
                     const schemas::TaskSpec& task,
                     const schemas::Gold& gold,
                     const schemas::Verifier& verifier) {
  Hardness out;
  out.tools = static_cast<std::int64_t>(env.tools.size());
  out.policy_words = words_in(env.policy.handbook);
  out.prompt_words = words_in(task.prompt);
  out.interactions = gold.interactions;
  out.mechanisms = gold.mechanisms;
  out.refusal = verifier.outcome == schemas::Outcome::refuse ? 1 : 0;
  count_flow(gold.steps, out);
  count_calls(env, task, gold, verifier, out);
  out.obligations += out.refusal + knob(task, "duties");
  out.branches = knob(task, "obstacles");
  for (const auto& miss : gold.near_misses) {
    if (miss.name == "other_branch") ++out.branches;
    if (miss.name == "sibling_row" || miss.name == "second_best" || miss.name == "sibling_evidence")
      ++out.distractors;
  }
  out.answer_fields = static_cast<std::int64_t>(verifier.answer.size());
  for (const auto& field : verifier.answer)
    if (field.type == schemas::AnswerType::set)
      out.answer_items += static_cast<std::int64_t>(field.accept.size());
  out.answer_items += static_cast<std::int64_t>(verifier.refuse_evidence.size());
  out.constraints = static_cast<std::int64_t>(verifier.choose.size());
  const std::int64_t space = knob(task, "space"), feasible = knob(task, "feasible");
  if (space > 0 && feasible > 0 && feasible <= space)
    out.scarcity =
        log2_16(static_cast<std::uint64_t>(space)) - log2_16(static_cast<std::uint64_t>(feasible));
  return out;
}

std::vector<schemas::Knob> knobs_of(const Hardness& hardness) {
  std::vector<schemas::Knob> out;
  Hardness copy = hardness;
  fields(
      [&](const char* name, std::int64_t& value, const char*) {
        out.push_back({name, value});
      },
      copy);
  return out;
}

std::span<const Weight> level_weights() {
  return kWeights;
}
std::span<const int> level_floors() {
  return kFloors;
}

std::int64_t points_of(const Hardness& hardness) {
  std::int64_t out = 0;
  for (const auto& k : knobs_of(hardness))
    for (const auto& w : kWeights)
      if (w.knob == k.name) out += w.points * std::min<std::int64_t>(k.value, w.most);
  return out;
}

int level_of(const Hardness& h) {
  if (h.plan_calls < kMinCalls || h.data_flow_edges < kMinEdges || h.tools < kMinTools) return 0;
  const std::int64_t points = points_of(h);
  int level = 1;
  for (int l = 2; l <= kLevels; ++l)
    if (points >= kFloors[static_cast<std::size_t>(l - 1)]) level = l;
  if (h.obligations + h.interactions == 0) level = (level + 1) / 2;
  return level;
}

}  // namespace seedbed::tasks::solvers
