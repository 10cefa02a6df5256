#include <cmath>

#include "tasks/diversity/report.h"

namespace seedbed::tasks::diversity {
namespace {

using schemas::Value;

// Six decimals: what libraries of other machines may round otherwise does not show.
Value number(double x) {
  return std::round(x * 1e6) / 1e6;
}
double share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

Value json_of(const Richness& r) {
  Value out = Value::object();
  out.set("observations", r.observations).set("distinct", r.distinct).set("largest", r.largest);
  out.set("distinct_share", number(share(r.distinct, r.observations)));
  out.set("largest_share", number(share(r.largest, r.observations)));
  out.set("hill_1", number(r.hill1)).set("hill_2", number(r.hill2));
  out.set("top_1_percent_share", number(r.top_share));
  out.set("singletons", r.singletons).set("doubletons", r.doubletons);
  out.set("chao1", number(r.chao1)).set("unseen_mass", number(r.unseen_mass));
  Value curve = Value::array();
  for (const auto& point : r.curve)
    curve.push(Value(Value::Array{point.observations, number(point.distinct)}));
  out.set("rarefaction", std::move(curve));
  return out;
}

Value json_of(const NearDuplicates& n) {
  Value out = Value::object(), bins = Value::array();
  for (const auto count : n.histogram) bins.push(count);
  out.set("prompts", n.texts).set("distinct", n.distinct);
  out.set("near_80", n.near80).set("near_80_share", number(share(n.near80, n.texts)));
  out.set("near_50", n.near50).set("near_50_share", number(share(n.near50, n.texts)));
  out.set("nearest_mean", number(n.mean)).set("nearest_histogram", std::move(bins));
  out.set("heldout_prompts", n.heldout).set("heldout_near_train_80", n.leaked80);
  out.set("heldout_near_train_50", n.leaked50);
  out.set("pairs_compared", n.compared).set("cut_buckets", n.cut_buckets);
  Value chance = Value::array();
  for (const auto& plan : kBandPlans) {
    Value row = Value::object();
    row.set("bands", plan.bands).set("rows", plan.rows);
    row.set("window", static_cast<std::int64_t>(plan.window));
    row.set("found_at_80", number(chance_of_meeting(plan, 0.8)));
    row.set("found_at_50", number(chance_of_meeting(plan, 0.5)));
    chance.push(std::move(row));
  }
  out.set("band_plans", std::move(chance));
  return out;
}

Value json_of(const SampleText& s) {
  Value out = Value::object();
  out.set("prompts", s.texts).set("self_bleu_4", number(s.self_bleu4));
  out.set("self_bleu_4_of_500", number(s.self_bleu4_of_500));
  out.set("distinct_2", number(s.distinct2)).set("distinct_3", number(s.distinct3));
  out.set("compression_ratio", number(s.compression));
  return out;
}

Value json_of(const Histogram& counts) {
  Value out = Value::object();
  for (const auto& [name, count] : counts) out.set(name, count);
  return out;
}
Value json_of(const std::map<std::int64_t, std::int64_t>& counts) {
  Value out = Value::object();
  for (const auto& [value, count] : counts) out.set(std::to_string(value), count);
  return out;
}
Value json_of(const std::vector<std::string>& names) {
  Value out = Value::array();
  for (const auto& name : names) out.push(name);
  return out;
}

Value json_of(const std::vector<KnobDomain>& domain, const std::vector<KnobPair>& pairs) {
  Value out = Value::array();
  for (const auto& p : pairs) {
    Value row = Value::object();
    const auto &a = domain[p.knob_a], &b = domain[p.knob_b];
    row.set("a", a.name + " = " + a.values[p.value_a].name);
    row.set("b", b.name + " = " + b.values[p.value_b].name);
    if (!p.why.empty()) row.set("why", p.why);
    out.push(std::move(row));
  }
  return out;
}

Value json_of(const Coverage& c) {
  Value knobs = Value::object();
  for (std::size_t k = 0; k < c.domain.size(); ++k) {
    Value values = Value::object();
    for (std::size_t v = 0; v < c.domain[k].values.size(); ++v)
      values.set(c.domain[k].values[v].name, c.occupancy[k][v]);
    knobs.set(c.domain[k].name, std::move(values));
  }
  Value out = Value::object();
  out.set("pairs", c.pairs).set("pairs_covered", c.pairs_covered);
  out.set("pairs_share", number(share(c.pairs_covered, c.pairs)));
  out.set("triples", c.triples).set("triples_covered", c.triples_covered);
  out.set("triples_share", number(share(c.triples_covered, c.triples)));
  out.set("knobs", std::move(knobs)).set("outside_the_table", json_of(c.outside));
  out.set("missing_pairs", json_of(c.domain, c.missing));
  out.set("excluded_pairs", json_of(c.domain, c.excluded));
  out.set("contradicted_pairs", json_of(c.domain, c.contradicted));
  return out;
}

Value json_of(const Leakage& l) {
  Value out = Value::object();
  out.set("train_environments", l.train).set("heldout_environments", l.heldout);
  out.set("heldout_mechanisms_in_train", json_of(l.mechanisms));
  out.set("heldout_lexicons_in_train", json_of(l.lexicons));
  out.set("mechanisms_only_in_heldout", json_of(l.only_heldout_mechanisms));
  out.set("lexicons_only_in_heldout", json_of(l.only_heldout_lexicons));
  out.set("shared_schema_classes", l.schema_classes).set("shared_skeletons", l.skeletons);
  out.set("shared_masked_prompts", l.masked_prompts);
  return out;
}

}  // namespace

Value to_json(const Report& r) {
  Value out = Value::object();
  out.set("environments", r.environments).set("tasks", r.tasks);
  out.set("schema_classes", json_of(r.schema_classes));
  out.set("core_schema_classes", json_of(r.core_schema_classes));
  out.set("tool_signatures", json_of(r.tool_signatures));
  out.set("tool_dependency_graphs", json_of(r.dependencies));
  out.set("tool_dependency_depth", json_of(r.dependency_depth));
  out.set("tool_dependency_width", json_of(r.dependency_width));
  out.set("policy_skeletons", json_of(r.policies)).set("rule_skeletons", json_of(r.rules));
  out.set("obligation_sets", json_of(r.obligations));
  out.set("solution_shapes", json_of(r.shapes)).set("task_skeletons", json_of(r.skeletons));
  out.set("masked_prompts", json_of(r.masked_prompts));
  out.set("near_duplicates", json_of(r.near_raw));
  out.set("near_duplicates_masked", json_of(r.near_masked));
  out.set("sample", json_of(r.sample_raw)).set("sample_masked", json_of(r.sample_masked));
  out.set("words", json_of(r.words)).set("sentences", json_of(r.sentences));
  out.set("questions", json_of(r.questions)).set("openings", json_of(r.openings));
  out.set("different_openings", r.different_openings);
  out.set("crossing_tasks", r.crossing).set("crossing_share", number(share(r.crossing, r.tasks)));
  out.set("coverage", json_of(r.coverage)).set("leakage", json_of(r.leakage));
  out.set("kinds", json_of(r.kinds)).set("levels", json_of(r.levels));
  out.set("plan_calls", json_of(r.plan_calls)).set("tools", json_of(r.tools));
  out.set("mechanisms", json_of(r.mechanisms)).set("lexicons", json_of(r.lexicons));
  Value gates = Value::object();
  for (const auto& gate : r.rejections) gates.set(gate.gate, gate.count);
  out.set("rejected", std::move(gates));
  return out;
}

}  // namespace seedbed::tasks::diversity
