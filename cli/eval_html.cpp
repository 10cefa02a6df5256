// An evaluation as one page: inline SVG, no script, nothing from outside.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "agent/show_doc.h"
#include "cli/eval_print.h"
#include "tasks/eval/outcome.h"

namespace seedbed::cli {
namespace {

using agent::html_escape;
using schemas::EvalPolicy;
using schemas::EvalRate;
using schemas::EvalRow;

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>seedbed evaluation</title>
<style>
:root{--ink:#222;--soft:#666;--paper:#fff;--line:#ddd;--c0:#2b6cb0;--c1:#c05621;--c2:#2f855a;--c3:#805ad5;--c4:#b7791f;--c5:#c53030;--c6:#4a5568;--ok:#68a678}
@media(prefers-color-scheme:dark){:root{--ink:#ddd;--soft:#999;--paper:#181818;--line:#3a3a3a;--c0:#63b3ed;--c1:#f0a35e;--c2:#68d391;--c3:#b794f4;--c4:#ecc94b;--c5:#fc8181;--c6:#a0aec0;--ok:#4d8a5e}}
body{font:15px/1.45 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;color:var(--ink);background:var(--paper)}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:2rem 0 .5rem}p{color:var(--soft);margin:.3rem 0}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
td,th{padding:.2rem .8rem .2rem 0;text-align:left;font-weight:normal;border-bottom:1px solid var(--line);white-space:nowrap;font-variant-numeric:tabular-nums}
th{color:var(--soft)}figure{margin:0 0 1rem}figcaption{color:var(--soft);margin-bottom:.3rem}
svg{width:100%;height:auto;display:block;max-width:64rem}text{fill:var(--soft);font:11px system-ui,sans-serif}text.name{fill:var(--ink)}
.grid{stroke:var(--line)}.key{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;margin:.4rem 0 1rem;color:var(--soft)}
.key i{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;margin-right:.35rem;vertical-align:-.08rem}
.p0{fill:var(--c0);stroke:var(--c0);background:var(--c0)}.p1{fill:var(--c1);stroke:var(--c1);background:var(--c1)}
.p2{fill:var(--c2);stroke:var(--c2);background:var(--c2)}.p3{fill:var(--c3);stroke:var(--c3);background:var(--c3)}
.p4{fill:var(--c4);stroke:var(--c4);background:var(--c4)}.p5{fill:var(--c5);stroke:var(--c5);background:var(--c5)}
.p6{fill:var(--c6);stroke:var(--c6);background:var(--c6)}.ok{fill:var(--ok);background:var(--ok)}rect{stroke:none}
</style></head><body>
)";

constexpr double kName = 190, kRight = 940, kWide = 960;
constexpr std::size_t kColours = 7;

double as_double(std::int64_t n) {
  return static_cast<double>(n);
}

std::string colour(std::size_t i) {
  return "p" + std::to_string(i % kColours);
}

std::string figure(std::string_view caption, const std::string& svg) {
  return fmt::format("<figure><figcaption>{}</figcaption>{}</figure>\n", html_escape(caption), svg);
}

std::string key(const std::vector<std::string>& names, bool errors = false) {
  std::string out = "<div class=\"key\">";
  for (std::size_t i = 0; i < names.size(); ++i)
    out += fmt::format("<span><i class=\"{}\"></i>{}</span>",
                       errors && i == 0 ? "ok" : colour(errors ? i - 1 : i), html_escape(names[i]));
  return out + "</div>\n";
}

std::vector<std::string> labels_of(const std::vector<EvalPolicy>& policies) {
  std::vector<std::string> out;
  for (const auto& p : policies) out.push_back(p.label);
  return out;
}

// A name left of the plot, cut where there is no room for it.
std::string name_at(const std::string& name, double y) {
  constexpr std::size_t kMost = 30;
  std::string shown = name;
  if (shown.size() > kMost) {
    std::size_t cut = kMost - 1;
    while (cut > 0 && (static_cast<unsigned char>(shown[cut]) & 0xc0U) == 0x80U) --cut;
    shown = shown.substr(0, cut) + "\xE2\x80\xA6";
  }
  return fmt::format(
      R"(<text class="name" x="{}" y="{:.1f}" text-anchor="end"><title>{}</title>{}</text>)",
      kName - 10, y, html_escape(name), html_escape(shown));
}

double x_of(double share) {
  return kName + (kRight - kName) * share;
}

std::string grid(double high) {
  std::string out;
  for (int percent = 0; percent <= 100; percent += 20) {
    const double x = x_of(percent / 100.0);
    out += fmt::format(
        R"(<path class="grid" d="M{:.1f} 4V{:.1f}"/><text x="{:.1f}" y="{:.1f}" text-anchor="middle">{} %</text>)",
        x, high, x, high + 14, percent);
  }
  return out;
}

std::string whisker(const EvalRate& rate,
                    double y,
                    const std::string& style,
                    const std::string& tip) {
  return fmt::format(
      R"(<g class="{}"><title>{}</title><path fill="none" stroke-width="2" d="M{:.1f} {:.1f}H{:.1f}"/><circle cx="{:.1f}" cy="{:.1f}" r="4"/></g>)",
      style, html_escape(tip), x_of(rate.low), y, x_of(rate.high), x_of(rate.value), y);
}

// A point with its interval for each group and policy.
std::string forest(std::string_view caption,
                   const std::vector<EvalPolicy>& policies,
                   const std::string& by) {
  const auto names = groups_of(policies, by);
  if (names.empty()) return "";
  const double line = policies.size() == 1 ? 16 : 11, gap = policies.size() == 1 ? 2 : 14;
  double y = 10;
  std::string marks;
  for (const auto& name : names) {
    const double first = y;
    for (std::size_t p = 0; p < policies.size(); ++p, y += line) {
      const auto* row = row_named(policies[p], by, name);
      if (row == nullptr || row->pass_at.empty() || row->pass_at[0].interval == "none") continue;
      marks +=
          whisker(row->pass_at[0], y, colour(p),
                  fmt::format("{}, {}: {} of {} tasks in {} environments", policies[p].label, name,
                              format_rate(row->pass_at[0]), row->tasks, row->environments));
    }
    marks += name_at(name, (first + y - line) / 2 + 4);
    y += gap;
  }
  return figure(caption, fmt::format(R"(<svg viewBox="0 0 {} {:.0f}" role="img">)", kWide, y + 14) +
                             grid(y - gap) + marks + "</svg>");
}

// How episodes ended: a bar a row.
using Ended = std::vector<std::pair<std::string, const EvalRow*>>;
std::string endings(std::string_view caption, const Ended& rows) {
  const auto classes = tasks::eval::enum_names(tasks::eval::ErrorClass{});
  double y = 6;
  std::string bars;
  for (const auto& [label, row] : rows) {
    if (row == nullptr || row->episodes == 0) continue;
    double share = 0;
    const auto piece = [&](std::int64_t count, const std::string& style, std::string_view name) {
      const double wide = as_double(count) / as_double(row->episodes);
      if (count > 0)
        bars += fmt::format(
            R"(<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="15"><title>{}: {} ({})</title></rect>)",
            style, x_of(share), y, (kRight - kName) * wide, name, format_count(count),
            format_share(as_double(count), as_double(row->episodes)));
      share += wide;
    };
    piece(row->solved, "ok", "solved");
    for (std::size_t i = 0; i < classes.size(); ++i)
      for (const auto& e : row->errors)
        if (e.name == classes[i]) piece(e.count, colour(i), classes[i]);
    bars += name_at(label, y + 12);
    y += 21;
  }
  return bars.empty() ? ""
                      : figure(caption, fmt::format(R"(<svg viewBox="0 0 {} {:.0f}" role="img">)",
                                                    kWide, y + 14) +
                                            grid(y) + bars + "</svg>");
}

Ended by_policy(const std::vector<EvalPolicy>& policies) {
  Ended out;
  for (const auto& p : policies) out.emplace_back(p.label, row_named(p, "all", "all"));
  return out;
}
Ended by_group(const EvalPolicy& policy, const std::string& by) {
  Ended out;
  for (const auto& row : policy.rows)
    if (row.by == by) out.emplace_back(row.name, &row);
  return out;
}

// pass@k rises and pass^k falls with k; k on a scale of doublings.
std::string over_k(const std::vector<EvalPolicy>& policies) {
  constexpr double kHigh = 220, kLeft = 44, kEnd = 500;
  std::int64_t most = 1;
  for (const auto& p : policies) most = std::max(most, p.samples);
  const double doublings = std::max(1.0, std::log2(as_double(most)));
  const auto x = [&](std::int64_t k) {
    return kLeft + (kEnd - kLeft) * std::log2(as_double(k)) / doublings;
  };
  std::string out = fmt::format(R"(<svg viewBox="0 0 {} {}" role="img">)", kWide, kHigh + 30);
  for (int percent = 0; percent <= 100; percent += 20) {
    const double y = 8 + (kHigh - 8) * (1 - percent / 100.0);
    out += fmt::format(
        R"(<path class="grid" d="M{} {:.1f}H{}"/><text x="{}" y="{:.1f}" text-anchor="end">{} %</text>)",
        kLeft, y, kEnd, kLeft - 6, y + 4, percent);
  }
  for (std::int64_t k = 1; k <= most; k *= 2)
    out += fmt::format(R"(<text x="{:.1f}" y="{}" text-anchor="middle">k = {}</text>)", x(k),
                       kHigh + 18, k);
  for (std::size_t p = 0; p < policies.size(); ++p) {
    const auto* row = row_named(policies[p], "all", "all");
    if (row == nullptr) continue;
    const auto line = [&](const std::vector<EvalRate>& rates, const char* dash) {
      std::string points;
      for (const auto& r : rates)
        points += fmt::format(" {:.1f},{:.1f}", x(r.k), 8 + (kHigh - 8) * (1 - r.value));
      out +=
          fmt::format(R"(<polyline class="{}" style="fill:none" stroke-width="2"{} points="{}"/>)",
                      colour(p), dash, points);
    };
    line(row->pass_at, "");
    line(row->pass_all, R"( stroke-dasharray="5 4")");
  }
  return figure("pass@k, one of k tries is right (solid); pass^k, all of them are (dashed)",
                out + "</svg>");
}

// Differences around none, from 100 points less to 100 more.
std::string differences(const std::vector<schemas::EvalComparison>& comparisons) {
  if (comparisons.empty()) return "";
  constexpr double kFirst = 330;
  const auto x = [](double difference) {
    return kFirst + (kRight - kFirst) * (difference + 1) / 2;
  };
  double y = 12;
  std::string marks;
  for (const auto& c : comparisons) {
    marks += fmt::format(
        R"(<g class="p0"><title>{:+.1f} points, {} tasks</title><path fill="none" stroke-width="2" d="M{:.1f} {:.1f}H{:.1f}"/><circle cx="{:.1f}" cy="{:.1f}" r="4"/></g>)",
        100 * c.difference.value, c.tasks, x(c.difference.low), y, x(c.difference.high),
        x(c.difference.value), y);
    marks += fmt::format(R"(<text class="name" x="{}" y="{:.1f}" text-anchor="end">{}</text>)",
                         kFirst - 10, y + 4, html_escape(c.before + ", " + c.suite));
    y += 20;
  }
  std::string axis;
  for (int points = -100; points <= 100; points += 50)
    axis += fmt::format(
        R"(<path class="grid" d="M{:.1f} 2V{:.1f}"/><text x="{:.1f}" y="{:.1f}" text-anchor="middle">{:+}</text>)",
        x(points / 100.0), y - 8, x(points / 100.0), y + 6, points);
  return figure("points of pass@1 by which " + comparisons.front().after +
                    " is ahead, over the tasks that both tried",
                fmt::format(R"(<svg viewBox="0 0 {} {:.0f}" role="img">)", kWide, y + 14) + axis +
                    marks + "</svg>");
}

std::string html_table(const Table& table) {
  std::string out = "<div class=\"wide\"><table>\n<tr>";
  for (const auto& cell : table.header) out += "<th>" + html_escape(cell) + "</th>";
  out += "</tr>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (const auto& cell : row) out += "<td>" + html_escape(cell) + "</td>";
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string section(std::string_view title, const std::string& body) {
  return body.empty() ? "" : fmt::format("<h2>{}</h2>\n", html_escape(title)) + body;
}
std::string section(std::string_view title, const Table& table) {
  return table.rows.empty() ? "" : section(title, html_table(table));
}

}  // namespace

std::string eval_html(const schemas::Evaluation& evaluation,
                      const std::vector<EvalPolicy>& earlier) {
  const auto& policies = evaluation.policies;
  auto all = policies;
  all.insert(all.end(), earlier.begin(), earlier.end());
  const auto& first = policies.front();
  std::string out(kHead);
  out += fmt::format("<h1>{}</h1>\n", html_escape("Evaluation of " + first.label));
  if (const auto* row = row_named(first, "all", "all"); row != nullptr && !row->pass_at.empty())
    out += fmt::format(
        "<p>pass@1 {} over {} tasks of {} environments, tries each: {}; version <code>{}</code>, "
        "generator {}</p>\n",
        format_rate(row->pass_at[0]), format_count(row->tasks), format_count(row->environments),
        first.samples, html_escape(first.version), html_escape(evaluation.generator));
  out += "<p>" + html_escape(interval_note(policies)) + "</p>\n" + key(labels_of(all));
  out += section("Scores by suite", forest("pass@1", all, "suite"));
  const bool several_levels = groups_of(all, "level").size() > 1;
  if (several_levels) out += section("By level", forest("pass@1", all, "level"));
  out += section("By what is held out", forest("pass@1", all, "held out"));
  const bool several =
      std::any_of(all.begin(), all.end(), [](const EvalPolicy& p) { return p.samples > 1; });
  if (several) out += section("Several tries", over_k(all));
  std::vector<std::string> ends = {"solved"};
  for (const auto name : tasks::eval::enum_names(tasks::eval::ErrorClass{})) {
    ends.emplace_back(name);
    std::replace(ends.back().begin(), ends.back().end(), '_', ' ');
  }
  out += section("How episodes ended",
                 key(ends, true) + endings("share of all episodes", by_policy(all)) +
                     endings(first.label + ", by kind of goal", by_group(first, "kind")) +
                     (several_levels ? endings(first.label + ", by level", by_group(first, "level"))
                                     : std::string()));
  out += section("By kind of goal: " + first.label, forest("pass@1", {first}, "kind"));
  out += section("By mechanism of the environment: " + first.label,
                 forest("pass@1", {first}, "mechanism"));
  out += section("Compared", differences(evaluation.comparisons));
  out += section("Compared, in numbers", comparison_table(evaluation.comparisons));
  out += section("Suites", suite_table(evaluation.suites));
  out += section("Scores", score_table(policies, "suite"));
  out += section("How episodes ended, in numbers", error_table(all));
  out += section("Cost", cost_table(all));
  out += section("Leakage", leak_table(evaluation.leakage));
  return out + "</body></html>\n";
}

}  // namespace seedbed::cli
