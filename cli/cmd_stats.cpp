#include "cli/common.h"
#include "cli/stats.h"
#include "cli/stats_diversity.h"

namespace seedbed::cli {
namespace {

Result<int> say_diversity(Context& context, const std::string& path, const std::string& html) {
  SEEDBED_TRY(const auto report, measure_diversity(context, path));
  if (!html.empty()) {
    if (auto error = write_file(html, diversity_html(report))) return *std::move(error);
    context.out.status("written: " + html);
  }
  print_report(context.out, report);
  context.out.object(tasks::diversity::to_json(report));
  return 0;
}

}  // namespace

Result<int> cmd_stats(Context& context, const Words& words) {
  std::string path, html;
  Common common;
  bool digest_only = false, diversity = false;
  Options options("stats", "say what a store holds, how diverse it is, and its digests",
                  "seedbed stats a.db --html a.html");
  options.operand("STORE", path, "the store");
  options.flag("--digest", digest_only, "print the two digests alone: content, then runs");
  options.flag("--diversity", diversity,
               "measure instead how different environments and tasks are");
  options.text("--html", html, "FILE", "also write one self-contained page");
  store_options(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);

  SEEDBED_TRY(auto store, open_reader(path, common));
  if (digest_only) {
    SEEDBED_TRY(auto content, store->content_digest());
    SEEDBED_TRY(auto runs, store->runs_digest());
    context.out.line(content + "  content");
    context.out.line(runs + "  runs");
    schemas::Value out = schemas::Value::object();
    out.set("digest", content).set("runs_digest", runs);
    context.out.object(out);
    return 0;
  }
  if (diversity) {
    store.reset();  // the lanes open their own
    return say_diversity(context, path, html);
  }
  SEEDBED_TRY(auto stats, collect_stats(*store));
  if (!html.empty()) {
    if (auto error = write_file(html, stats_html(stats))) return *std::move(error);
    context.out.status("written: " + html);
  }
  print_stats(context.out, stats);
  context.out.object(stats_json(stats));
  return 0;
}

}  // namespace seedbed::cli
