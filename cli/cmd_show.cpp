#include "agent/show.h"
#include "cli/common.h"

namespace seedbed::cli {

Result<int> cmd_show(Context& context, const Words& words) {
  std::string path, id, html;
  Common common;
  Options options("show", "print one environment, task or trajectory",
                  "seedbed show a.db 3f2a --html trajectory.html");
  options.operand("STORE", path, "the store");
  options.operand("ID", id, "hash of an environment, task or episode, or enough of its beginning");
  options.text("--html", html, "FILE", "write one self-contained page instead");
  store_options(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;

  SEEDBED_TRY(auto store, open_reader(path, common));
  const auto form = html.empty() ? agent::ShowForm::text : agent::ShowForm::html;
  SEEDBED_TRY(const auto shown, agent::show(*store, id, form));
  if (html.empty()) return context.out.raw(shown), 0;
  if (auto error = write_file(html, shown)) return *std::move(error);
  context.out.status("written: " + html);
  return 0;
}

}  // namespace seedbed::cli
