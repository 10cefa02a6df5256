// The diversity report as one page: inline SVG, no script, nothing from outside.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "agent/show_doc.h"
#include "cli/stats_diversity.h"

namespace seedbed::cli {
namespace {

namespace diversity = tasks::diversity;
using agent::html_escape;

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>seedbed diversity</title>
<style>
:root{--ink:#222;--soft:#666;--paper:#fff;--line:#ddd;--a:#3a6ea5;--b:#b5651d;--bad:#c0392b}
@media(prefers-color-scheme:dark){:root{--ink:#ddd;--soft:#999;--paper:#181818;--line:#3a3a3a;--a:#6ba3d6;--b:#d99a5b;--bad:#e57368}}
body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:var(--ink);background:var(--paper)}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:2rem 0 .5rem}p{color:var(--soft);margin:.3rem 0}
table{border-collapse:collapse;width:100%}td,th{padding:.2rem .6rem .2rem 0;text-align:left;font-weight:normal;border-bottom:1px solid var(--line)}
th{color:var(--soft)}td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}th+th{text-align:right}
.row{display:flex;flex-wrap:wrap;gap:1.5rem}.row>figure{flex:1 1 26rem;max-width:31rem;margin:0}figure{margin:0}figcaption{color:var(--soft);margin-bottom:.3rem}
svg{width:100%;height:auto;display:block}text{fill:var(--soft);font:11px system-ui,sans-serif}
.axis{stroke:var(--line);fill:none}.a{fill:var(--a)}.b{fill:var(--b)}.bad{fill:var(--bad)}.none{fill:var(--line)}
.la{stroke:var(--a);fill:none;stroke-width:2}.lb{stroke:var(--b);fill:none;stroke-width:2}
.t1{fill:var(--a);opacity:.2}.t2{fill:var(--a);opacity:.4}.t3{fill:var(--a);opacity:.65}.t4{fill:var(--a)}
</style></head><body>
)";

double as_double(std::int64_t n) {
  return static_cast<double>(n);
}

using Bars = std::vector<std::pair<std::string, std::int64_t>>;

Bars bars_of(const std::map<std::int64_t, std::int64_t>& counts) {
  Bars out;
  for (const auto& [value, count] : counts) out.emplace_back(std::to_string(value), count);
  return out;
}
Bars bars_of(const diversity::Histogram& counts) {
  Bars out(counts.begin(), counts.end());
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return out;
}

std::string figure(std::string_view caption, const std::string& svg) {
  return fmt::format("<figure><figcaption>{}</figcaption>{}</figure>\n", html_escape(caption), svg);
}

// Bars that stand: numbers along the foot.
std::string columns(std::string_view caption, const Bars& bars, std::string_view style = "a") {
  constexpr double kWide = 520, kHigh = 170, kFoot = 20, kTop = 16;
  std::int64_t most = 1;
  for (const auto& [name, count] : bars) most = std::max(most, count);
  const double step = kWide / std::max<double>(1, as_double(std::ssize(bars)));
  std::string out =
      fmt::format(R"(<svg viewBox="0 0 {} {}" role="img">)", kWide, kHigh + kFoot + kTop);
  const auto every = static_cast<std::size_t>(std::ceil(28 / std::max(step, 1.0)));
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double high = kHigh * as_double(bars[i].second) / as_double(most);
    const double x = step * static_cast<double>(i);
    out += fmt::format(
        R"(<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}: {}</title></rect>)",
        style, x + step * 0.08, kTop + kHigh - high, step * 0.84, high, html_escape(bars[i].first),
        format_count(bars[i].second));
    if (i % every == 0)
      out += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)",
                         x + step / 2, kTop + kHigh + 14, html_escape(bars[i].first));
  }
  out += fmt::format(R"(<text x="0" y="11">{} at most</text></svg>)", format_count(most));
  return figure(caption, out);
}

// Bars that lie: one name a line.
std::string lines(std::string_view caption, const Bars& bars) {
  constexpr double kName = 170, kWide = 520, kLine = 18;
  std::int64_t most = 1;
  for (const auto& [name, count] : bars) most = std::max(most, count);
  std::string out = fmt::format(R"(<svg viewBox="0 0 {} {}" role="img">)", kWide,
                                kLine * as_double(std::ssize(bars)) + 2);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = kLine * static_cast<double>(i);
    const double wide = (kWide - kName - 60) * as_double(bars[i].second) / as_double(most);
    out += fmt::format(
        R"(<text x="{}" y="{:.0f}" text-anchor="end">{}</text><rect class="a" x="{}" y="{:.0f}" width="{:.1f}" height="13"/><text x="{:.1f}" y="{:.0f}">{}</text>)",
        kName - 6, y + 12, html_escape(bars[i].first), kName, y + 2, std::max(wide, 1.0),
        kName + wide + 5, y + 12, format_count(bars[i].second));
  }
  return figure(caption, out + "</svg>");
}

std::string polyline(const std::vector<diversity::CurvePoint>& curve,
                     double x_most,
                     double y_most,
                     std::string_view style) {
  std::string points = "44,180";
  for (const auto& p : curve)
    points += fmt::format(" {:.1f},{:.1f}", 44 + 470 * as_double(p.observations) / x_most,
                          180 - 165 * p.distinct / y_most);
  return fmt::format(R"(<polyline class="{}" points="{}"/>)", style, points);
}

// Different classes in a random sample of so many tasks; two curves share the axes.
std::string curves(std::string_view caption,
                   const diversity::Richness& a,
                   const diversity::Richness& b) {
  const double x_most = std::max(1.0, as_double(std::max(a.observations, b.observations)));
  const double y_most = std::max(1.0, as_double(std::max(a.distinct, b.distinct)));
  std::string out =
      R"(<svg viewBox="0 0 520 200" role="img"><path class="axis" d="M44 15V180H514"/>)";
  out += polyline(a.curve, x_most, y_most, "la") + polyline(b.curve, x_most, y_most, "lb");
  out += fmt::format(R"(<text x="40" y="22" text-anchor="end">{}</text>)",
                     format_count(static_cast<std::int64_t>(y_most)));
  out += fmt::format(R"(<text x="514" y="195" text-anchor="end">{}</text></svg>)",
                     format_count(static_cast<std::int64_t>(x_most)));
  return figure(caption, out);
}

std::string near_histogram(std::string_view caption, const diversity::NearDuplicates& n) {
  Bars bars;
  for (std::size_t i = 0; i < n.histogram.size(); ++i)
    bars.emplace_back(
        fmt::format("{:.2f}", static_cast<double>(i) / static_cast<double>(n.histogram.size())),
        n.histogram[i]);
  return columns(caption, bars, "b");
}

std::string richness_table(const diversity::Report& r) {
  const std::pair<const char*, const diversity::Richness*> rows[] = {
      {"schema graphs", &r.schema_classes},
      {"schema graphs without leaf tables and optional columns", &r.core_schema_classes},
      {"tool signatures", &r.tool_signatures},
      {"tool dependency graphs", &r.dependencies},
      {"policy skeletons", &r.policies},
      {"rule skeletons", &r.rules},
      {"obligation sets", &r.obligations},
      {"solution shapes", &r.shapes},
      {"task skeletons", &r.skeletons},
      {"masked prompts", &r.masked_prompts}};
  std::string out =
      "<h2>How many different ones</h2>\n<table><tr><th></th><th>of</th><th>distinct</th>"
      "<th>share</th><th>largest</th><th>Hill q=1</th><th>Hill q=2</th><th>top 1 %</th>"
      "<th>Chao1</th><th>unseen</th></tr>\n";
  for (const auto& [what, x] : rows)
    out += fmt::format(
        "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
        "<td class=\"n\">{}</td><td class=\"n\">{:.1f}</td><td class=\"n\">{:.1f}</td>"
        "<td class=\"n\">{:.1f} %</td><td class=\"n\">{:.0f}</td><td class=\"n\">{:.2f} "
        "%</td></tr>\n",
        what, format_count(x->observations), format_count(x->distinct),
        format_share(as_double(x->distinct), as_double(x->observations)),
        format_share(as_double(x->largest), as_double(x->observations)), x->hill1, x->hill2,
        100 * x->top_share, x->chao1, 100 * x->unseen_mass);
  return out + "</table>\n";
}

std::string text_table(const diversity::Report& r) {
  const auto &n = r.near_raw, &m = r.near_masked;
  const auto &s = r.sample_raw, &t = r.sample_masked;
  std::string out = "<h2>Language</h2>\n<table><tr><th></th><th>raw</th><th>masked</th></tr>\n";
  const auto row = [&](std::string_view what, const std::string& raw, const std::string& masked) {
    out += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n", what,
                       raw, masked);
  };
  const auto share = [](std::int64_t part, std::int64_t whole) {
    return format_share(as_double(part), as_double(whole));
  };
  const auto decimal = [](double x) { return fmt::format("{:.3f}", x); };
  row("prompts with a neighbour at Jaccard &ge; 0.8", share(n.near80, n.texts),
      share(m.near80, m.texts));
  row("at &ge; 0.5", share(n.near50, n.texts), share(m.near50, m.texts));
  row("mean Jaccard of the nearest", decimal(n.mean), decimal(m.mean));
  row("held-out prompts near a train prompt, &ge; 0.8", share(n.leaked80, n.heldout),
      share(m.leaked80, m.heldout));
  row("self-BLEU-4", decimal(s.self_bleu4), decimal(t.self_bleu4));
  row("distinct-2", decimal(s.distinct2), decimal(t.distinct2));
  row("distinct-3", decimal(s.distinct3), decimal(t.distinct3));
  row("compression ratio", decimal(s.compression), decimal(t.compression));
  return out + fmt::format(
                   "</table>\n<p>Neighbours: word 5-grams of all {} prompts. The last four "
                   "lines: a keyed sample of {}.</p>\n",
                   format_count(n.texts), format_count(s.texts));
}

// Every value against every other: one path a tint, so that the page stays small.
std::string pair_map(const diversity::Coverage& c) {
  constexpr int kCell = 9, kLeft = 190;
  std::vector<std::string> names;
  std::vector<std::size_t> knob;
  for (std::size_t k = 0; k < c.domain.size(); ++k)
    for (const auto& v : c.domain[k].values) {
      names.push_back(c.domain[k].name + " = " + v.name);
      knob.push_back(k);
    }
  std::vector<bool> excluded(c.values * c.values);
  std::vector<std::size_t> first(c.domain.size());
  for (std::size_t v = knob.size(); v-- > 0;) first[knob[v]] = v;
  for (const auto& p : c.excluded)
    excluded[(first[p.knob_a] + p.value_a) * c.values + first[p.knob_b] + p.value_b] = true;
  std::string paths[6];  // missing, excluded, then four tints
  for (std::size_t a = 0; a < c.values; ++a)
    for (std::size_t b = a + 1; b < c.values; ++b) {
      if (knob[a] == knob[b]) continue;
      const std::int64_t count = c.pair_counts[a * c.values + b];
      const std::size_t tint = excluded[a * c.values + b] ? 1
                               : count == 0               ? 0
                               : count < 10               ? 2
                               : count < 100              ? 3
                               : count < 1000             ? 4
                                                          : 5;
      paths[tint] += fmt::format("M{} {}h8v8h-8z", kLeft + kCell * static_cast<int>(a),
                                 kCell * static_cast<int>(b));
    }
  const int side = kCell * static_cast<int>(c.values);
  std::string out = fmt::format(R"(<svg viewBox="0 0 {} {}" role="img">)", kLeft + side, side + 4);
  constexpr const char* kTints[] = {"bad", "none", "t1", "t2", "t3", "t4"};
  for (std::size_t i = 0; i < 6; ++i)
    if (!paths[i].empty()) out += fmt::format(R"(<path class="{}" d="{}"/>)", kTints[i], paths[i]);
  for (std::size_t v = 0; v < names.size(); ++v)
    out += fmt::format(R"(<text style="font-size:8px" x="{}" y="{}" text-anchor="end">{}</text>)",
                       kLeft - 4, kCell * static_cast<int>(v) + 8, html_escape(names[v]));
  return figure(
      "Tasks by two knob values: the darker the more (1, 10, 100, 1,000); red: none though "
      "possible; grey: excluded by a rule. Columns in the order of the rows.",
      out + "</svg>");
}

std::string hill_bars(const diversity::Report& r) {
  const auto whole = [](double x) { return static_cast<std::int64_t>(std::llround(x)); };
  return lines("Effective numbers: all, q = 1, q = 2",
               {{"shapes, all", r.shapes.distinct},
                {"shapes, q = 1", whole(r.shapes.hill1)},
                {"shapes, q = 2", whole(r.shapes.hill2)},
                {"task skeletons, all", r.skeletons.distinct},
                {"task skeletons, q = 1", whole(r.skeletons.hill1)},
                {"task skeletons, q = 2", whole(r.skeletons.hill2)},
                {"masked prompts, all", r.masked_prompts.distinct},
                {"masked prompts, q = 1", whole(r.masked_prompts.hill1)},
                {"masked prompts, q = 2", whole(r.masked_prompts.hill2)}});
}

}  // namespace

std::string diversity_html(const diversity::Report& r) {
  std::string out(kHead);
  out += fmt::format(
      "<h1>How different: {} environments, {} tasks</h1>\n<p>{} of the tasks cross "
      "two mechanisms and need their interaction.</p>\n",
      format_count(r.environments), format_count(r.tasks),
      format_share(as_double(r.crossing), as_double(r.tasks)));
  out += richness_table(r);
  out += "<h2>Still growing?</h2>\n<div class=\"row\">\n";
  out += curves("Different task skeletons (blue) and masked prompts (brown) by tasks", r.skeletons,
                r.masked_prompts);
  out += curves("Different solution shapes (blue) by tasks", r.shapes, diversity::Richness{});
  out += hill_bars(r) + "</div>\n" + text_table(r) + "<div class=\"row\">\n";
  out += near_histogram("Jaccard of the nearest other prompt", r.near_raw);
  out += near_histogram("The same, names and numbers masked", r.near_masked);
  out += columns("Words of a prompt", bars_of(r.words));
  out += columns("Sentences of a prompt", bars_of(r.sentences));
  out += "</div>\n<h2>Tasks</h2>\n<div class=\"row\">\n";
  out += columns("Levels", bars_of(r.levels)) + lines("Kinds", bars_of(r.kinds));
  out += columns("Calls in a gold plan", bars_of(r.plan_calls));
  out += columns("Tools of an environment", bars_of(r.tools));
  out += columns("Depth of the tool dependencies", bars_of(r.dependency_depth));
  out += columns("Width of the tool dependencies", bars_of(r.dependency_width));
  out += "</div>\n<h2>Knobs</h2>\n";
  const auto& c = r.coverage;
  out += fmt::format("<p>Pairs covered: {} of {} ({}); triples: {} of {} ({}).</p>\n",
                     format_count(c.pairs_covered), format_count(c.pairs),
                     format_share(as_double(c.pairs_covered), as_double(c.pairs)),
                     format_count(c.triples_covered), format_count(c.triples),
                     format_share(as_double(c.triples_covered), as_double(c.triples)));
  out += pair_map(c) + "<h2>Parts</h2>\n<div class=\"row\">\n";
  out += lines("Environments by mechanism", bars_of(r.mechanisms));
  out += lines("Environments by lexicon", bars_of(r.lexicons));
  Bars gates;
  for (const auto& gate : r.rejections) gates.emplace_back(gate.gate, gate.count);
  if (!gates.empty()) out += lines("Drafts rejected by gate", gates);
  return out + "</div>\n</body></html>\n";
}

}  // namespace seedbed::cli
