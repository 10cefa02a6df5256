#include <fmt/core.h>

#include <algorithm>

#include "agent/show_doc.h"
#include "cli/common.h"
#include "cli/stats.h"

namespace seedbed::cli {
namespace {

using Bars = std::vector<std::pair<std::string, std::int64_t>>;

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>seedbed store</title>
<style>
body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}
code{font-size:.85rem}table{border-collapse:collapse;width:100%}
td,th{padding:.15rem .5rem .15rem 0;text-align:left;vertical-align:middle;font-weight:normal}
th{color:#666}td.n{text-align:right;width:5rem}td.name{width:16rem}
.bar{background:#4a7fb5;height:.8rem;border-radius:2px;min-width:1px}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th{color:#999}}
</style></head><body>
)";

std::string bars(std::string_view title, const Bars& rows) {
  std::string out = fmt::format("<h2>{}</h2>\n<table>\n", agent::html_escape(title));
  std::int64_t most = 1;
  for (const auto& [name, count] : rows) most = std::max(most, count);
  for (const auto& [name, count] : rows)
    out += fmt::format(
        "<tr><td class=\"name\">{}</td><td class=\"n\">{}</td><td><div class=\"bar\" "
        "style=\"width:{:.1f}%\"></div></td></tr>\n",
        agent::html_escape(name), format_count(count),
        100.0 * static_cast<double>(count) / static_cast<double>(most));
  return out + "</table>\n";
}

std::string bars(std::string_view title, const std::map<std::string, std::int64_t>& counts) {
  return bars(title, Bars(counts.begin(), counts.end()));
}

std::string html_table(std::string_view title, const Table& table) {
  std::string out = fmt::format("<h2>{}</h2>\n<table>\n<tr>", agent::html_escape(title));
  for (const auto& cell : table.header) out += "<th>" + agent::html_escape(cell) + "</th>";
  out += "</tr>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (const auto& cell : row) out += "<td>" + agent::html_escape(cell) + "</td>";
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

}  // namespace

std::string stats_html(const Stats& stats) {
  std::string out(kHead);
  out += fmt::format("<h1>{} environments, {} certified tasks</h1>\n",
                     format_count(stats.environments), format_count(stats.tasks));
  out += fmt::format(
      "<p>generator {}, seed {}<br>content <code>{}</code><br>runs <code>{}</code></p>\n",
      agent::html_escape(stats.generator), agent::html_escape(stats.seed), stats.digest,
      stats.runs_digest);
  Table facts{{"measure", "value"}, {}};
  const auto environments = static_cast<double>(stats.environments);
  facts.rows.push_back({"distinct schema-graph classes",
                        format_count(stats.schema_classes) + " (" +
                            format_share(static_cast<double>(stats.schema_classes), environments) +
                            ")"});
  facts.rows.push_back(
      {"after leaf tables and optional columns are erased",
       format_count(stats.core_schema_classes) + " (" +
           format_share(static_cast<double>(stats.core_schema_classes), environments) + ")"});
  facts.rows.push_back(
      {"tasks that need an interaction of two mechanisms",
       format_share(static_cast<double>(stats.crossing), static_cast<double>(stats.tasks))});
  facts.rows.push_back(
      {"prompts that share their masked form with more than 10 others",
       format_share(static_cast<double>(stats.crowded_prompts), static_cast<double>(stats.tasks))});
  facts.rows.push_back(
      {"tools in an environment (min / median / max)",
       fmt::format("{} / {} / {}", stats.tools.min, stats.tools.median, stats.tools.max)});
  facts.rows.push_back({"calls in a gold plan (min / median / max)",
                        fmt::format("{} / {} / {}", stats.plan_calls.min, stats.plan_calls.median,
                                    stats.plan_calls.max)});
  out += html_table("How diverse", facts);
  Bars kinds;
  for (const auto& [name, kind] : stats.kinds) kinds.emplace_back(name, kind.tasks);
  out += bars("Kinds of goal", kinds);
  out += bars("Mechanisms", stats.mechanisms);
  out += bars("Interactions", stats.interactions);
  out += bars("Lexicons", stats.lexicons);
  out += bars("Layout passes", stats.layout_passes);
  out += bars("Surface passes", stats.surface_passes);
  out += bars("Splits", stats.splits);
  Bars gates;
  for (const auto& gate : stats.rejections) gates.emplace_back(gate.gate, gate.count);
  if (!gates.empty()) out += bars("Drafts rejected, by gate", gates);
  if (!stats.rejections_by_mechanism.empty())
    out += html_table("Drafts rejected, by mechanism of their environment", rejection_table(stats));
  if (!stats.policies.empty()) out += html_table("Policies", policy_table(stats.policies));
  return out + "</body></html>\n";
}

}  // namespace seedbed::cli
