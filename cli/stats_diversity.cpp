#include "cli/stats_diversity.h"

#include <fmt/core.h>

#include <iterator>
#include <memory>
#include <mutex>

#include "cli/common.h"
#include "envgen/general/pack.h"
#include "envgen/general/surface.h"

namespace seedbed::cli {
namespace {

namespace diversity = tasks::diversity;

double as_double(std::int64_t n) {
  return static_cast<double>(n);
}

// One line of progress a phase.
class Phases {
 public:
  explicit Phases(Output& out) : out_(out) {}
  void at(const diversity::Progress& p) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (what_ != p.what) {
      line_.reset();
      line_ = std::make_unique<Progress>(out_, p.what, p.unit);
      what_ = p.what;
    }
    line_->at(p.done, p.total);
  }

 private:
  Output& out_;
  std::mutex mutex_;
  std::string what_;
  std::unique_ptr<Progress> line_;
};

std::vector<std::string> richness_row(const char* what, const diversity::Richness& r) {
  return {what,
          format_count(r.distinct),
          format_share(as_double(r.distinct), as_double(r.observations)),
          format_share(as_double(r.largest), as_double(r.observations)),
          fmt::format("{:.1f}", r.hill1),
          fmt::format("{:.1f}", r.hill2),
          fmt::format("{:.1f} %", 100 * r.top_share),
          fmt::format("{:.0f}", r.chao1),
          fmt::format("{:.2f} %", 100 * r.unseen_mass)};
}

void print_near(Output& out, const diversity::Report& r) {
  Table table{{"near-duplicate prompts", "raw", "masked"}, {}};
  const auto row = [&](const char* what, auto f) {
    table.rows.push_back({what, f(r.near_raw), f(r.near_masked)});
  };
  using Near = diversity::NearDuplicates;
  row("with a neighbour at Jaccard >= 0.8",
      [](const Near& n) { return format_share(as_double(n.near80), as_double(n.texts)); });
  row("with a neighbour at Jaccard >= 0.5",
      [](const Near& n) { return format_share(as_double(n.near50), as_double(n.texts)); });
  row("mean Jaccard of the nearest", [](const Near& n) { return fmt::format("{:.3f}", n.mean); });
  row("held-out prompts near a train prompt, >= 0.8",
      [](const Near& n) { return format_share(as_double(n.leaked80), as_double(n.heldout)); });
  row("held-out prompts near a train prompt, >= 0.5",
      [](const Near& n) { return format_share(as_double(n.leaked50), as_double(n.heldout)); });
  row("pairs compared exactly", [](const Near& n) { return format_count(n.compared); });
  row("buckets cut", [](const Near& n) { return format_count(n.cut_buckets); });
  out.line("");
  out.table(table);
}

void print_sample(Output& out, const diversity::Report& r) {
  Table table{
      {fmt::format("sample of {} prompts", format_count(r.sample_raw.texts)), "raw", "masked"}, {}};
  const auto row = [&](const char* what, double raw, double masked) {
    table.rows.push_back({what, fmt::format("{:.3f}", raw), fmt::format("{:.3f}", masked)});
  };
  const auto &a = r.sample_raw, &b = r.sample_masked;
  row("self-BLEU-4", a.self_bleu4, b.self_bleu4);
  row("self-BLEU-4 of the first 500", a.self_bleu4_of_500, b.self_bleu4_of_500);
  row("distinct-2", a.distinct2, b.distinct2);
  row("distinct-3", a.distinct3, b.distinct3);
  row("compression ratio", a.compression, b.compression);
  out.line("");
  out.table(table);
}

struct Middle {
  std::int64_t low = 0, median = 0, high = 0;
};
Middle middle_of(const std::map<std::int64_t, std::int64_t>& counts) {
  Middle out;
  std::int64_t all = 0, so_far = 0;
  for (const auto& [value, count] : counts) all += count;
  if (all == 0) return out;
  out.low = counts.begin()->first;
  out.high = counts.rbegin()->first;
  for (const auto& [value, count] : counts) {
    so_far += count;
    out.median = value;
    if (2 * so_far > all) break;
  }
  return out;
}
std::string text_of(const std::map<std::int64_t, std::int64_t>& counts) {
  const auto m = middle_of(counts);
  return fmt::format("{} / {} / {}", m.low, m.median, m.high);
}
template <class K>
std::string list_of(const std::map<K, std::int64_t>& counts) {
  std::string out;
  for (const auto& [name, count] : counts)
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, format_count(count));
  return out.empty() ? "none" : out;
}
std::string list_of(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "none" : out;
}

void print_syntax(Output& out, const diversity::Report& r) {
  Table table{{"prompts", "value"}, {}};
  std::int64_t asking = 0;
  for (const auto& [questions, count] : r.questions) asking += questions > 0 ? count : 0;
  table.rows = {{"words (min / median / max)", text_of(r.words)},
                {"sentences", text_of(r.sentences)},
                {"with a question", format_share(as_double(asking), as_double(r.tasks))},
                {"different openings of three words, in the sample",
                 format_count(r.different_openings) + " of " + format_count(r.sample_raw.texts)},
                {"most frequent openings", list_of(r.openings)}};
  out.line("");
  out.table(table);
}

void print_coverage(Output& out, const diversity::Coverage& c) {
  constexpr std::size_t kShown = 20;
  Table table{{"knob", "tasks by value"}, {}};
  for (std::size_t k = 0; k < c.domain.size(); ++k) {
    std::string values;
    for (std::size_t v = 0; v < c.domain[k].values.size(); ++v)
      values += fmt::format("{}{} {}", v == 0 ? "" : ", ", c.domain[k].values[v].name,
                            format_count(c.occupancy[k][v]));
    table.rows.push_back({c.domain[k].name, std::move(values)});
  }
  out.line("");
  out.table(table);
  out.line("");
  out.line(fmt::format("knob pairs covered: {} of {} ({}); triples: {} of {} ({})",
                       format_count(c.pairs_covered), format_count(c.pairs),
                       format_share(as_double(c.pairs_covered), as_double(c.pairs)),
                       format_count(c.triples_covered), format_count(c.triples),
                       format_share(as_double(c.triples_covered), as_double(c.triples))));
  out.line(fmt::format("pairs excluded by rule: {}", format_count(std::ssize(c.excluded))));
  const auto say = [&](const char* what, const diversity::KnobPair& p) {
    out.line(fmt::format("{}: {} = {} with {} = {}{}", what, c.domain[p.knob_a].name,
                         c.domain[p.knob_a].values[p.value_a].name, c.domain[p.knob_b].name,
                         c.domain[p.knob_b].values[p.value_b].name,
                         p.why.empty() ? "" : " (" + p.why + ")"));
  };
  for (const auto& pair : c.contradicted) say("excluded, yet there", pair);
  for (std::size_t i = 0; i < c.missing.size() && i < kShown; ++i) say("missing", c.missing[i]);
  if (c.missing.size() > kShown)
    out.line(fmt::format("and {} more missing: --json lists all", c.missing.size() - kShown));
  for (const auto& what : c.outside) out.line("outside the table of knobs: " + what);
}

void print_leakage(Output& out, const diversity::Leakage& l) {
  Table table{{"train and held-out", "value"}, {}};
  table.rows = {{"environments", format_count(l.train) + " and " + format_count(l.heldout)},
                {"held-out mechanisms in train", list_of(l.mechanisms)},
                {"held-out lexicons in train", list_of(l.lexicons)},
                {"mechanisms only in held-out", list_of(l.only_heldout_mechanisms)},
                {"lexicons only in held-out", list_of(l.only_heldout_lexicons)},
                {"shared schema classes", format_count(l.schema_classes)},
                {"shared task skeletons", format_count(l.skeletons)},
                {"shared masked prompts", format_count(l.masked_prompts)}};
  out.line("");
  out.table(table);
}

}  // namespace

Result<diversity::Report> measure_diversity(Context& context, const std::string& path) {
  SEEDBED_TRY(const auto packs, envgen::load_packs({}));
  diversity::Options options;
  options.layout_passes.assign(std::begin(envgen::kLayoutPasses), std::end(envgen::kLayoutPasses));
  options.surface_passes.assign(std::begin(envgen::kSurfacePasses),
                                std::end(envgen::kSurfacePasses));
  for (const auto& m : packs->mechanisms)
    if (m.heldout) options.heldout_mechanisms.push_back(m.name);
  for (const auto& x : packs->lexicons)
    if (x.heldout) options.heldout_lexicons.push_back(x.name);
  options.threads = core_count();
  Phases phases(context.out);
  options.progress = [&](const diversity::Progress& p) { phases.at(p); };
  options.stop = [&] { return context.stop.load(); };
  SEEDBED_TRY(const auto evidence, diversity::read_evidence(path, options));
  return diversity::report_of(evidence, options);
}

void print_report(Output& out, const diversity::Report& r) {
  out.line(fmt::format("{} environments, {} tasks; {} of the tasks cross two mechanisms",
                       format_count(r.environments), format_count(r.tasks),
                       format_share(as_double(r.crossing), as_double(r.tasks))));
  Table table{
      {"classes", "distinct", "share", "largest", "Hill 1", "Hill 2", "top 1 %", "Chao1", "unseen"},
      {}};
  table.rows = {richness_row("schema graphs", r.schema_classes),
                richness_row("core schema graphs", r.core_schema_classes),
                richness_row("tool signatures", r.tool_signatures),
                richness_row("tool dependency graphs", r.dependencies),
                richness_row("policy skeletons", r.policies),
                richness_row("rule skeletons", r.rules),
                richness_row("obligation sets", r.obligations),
                richness_row("solution shapes", r.shapes),
                richness_row("task skeletons", r.skeletons),
                richness_row("masked prompts", r.masked_prompts)};
  out.line("");
  out.table(table);
  out.line("");
  Table more{{"histogram", "value"}, {}};
  more.rows = {{"tool dependencies, depth (min / median / max)", text_of(r.dependency_depth)},
               {"tool dependencies, width", text_of(r.dependency_width)},
               {"tools", text_of(r.tools)},
               {"calls in a gold plan", text_of(r.plan_calls)},
               {"kinds", list_of(r.kinds)},
               {"levels", list_of(r.levels)}};
  out.table(more);
  print_near(out, r);
  print_sample(out, r);
  print_syntax(out, r);
  print_coverage(out, r.coverage);
  print_leakage(out, r.leakage);
  if (r.rejections.empty()) return;
  Table gates{{"gate", "rejected"}, {}};
  for (const auto& gate : r.rejections) gates.rows.push_back({gate.gate, format_count(gate.count)});
  out.line("");
  out.table(gates);
}

}  // namespace seedbed::cli
