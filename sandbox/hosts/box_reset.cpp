#include "sandbox/hosts/box_reset.h"

#include "base/text.h"
#include "sandbox/box_exec.h"

namespace seedbed::sandbox {
namespace {

// With the rights of whoever left it there; the first thing that is still there is told.
constexpr const char* kEmpty =
    "chmod -R u+rwX /tmp /dev/shm 2>/dev/null; find /tmp /dev/shm -mindepth 1 -delete; "
    "find /tmp /dev/shm -mindepth 1 -print -quit";

Error not_reset(const std::string& found) {
  return make_error(Where::sandbox, "box", "reset", "found " + found + ", wanted it as it began",
                    "use another box");
}

}  // namespace

Step reset_box(LiveBox& box, const WorkState& state) {
  box.kill_all();
  Command command;
  command.argv = {"/bin/sh", "-c", kEmpty};
  command.directory = "/";
  auto emptied = execute(box, command);
  if (!emptied.ok()) return emptied.error();
  if (emptied->cause != ExecCause::exited || emptied->code != 0 || !emptied->out.empty())
    return not_reset(emptied->out.empty() ? "that /tmp cannot be emptied: " + emptied->err
                                          : std::string(trim(emptied->out)));
  if (auto error = write_work(box.work(), state)) return error;
  const auto now = read_work(box.work());
  if (!now.ok()) return now.error();
  if (now->digest() != state.digest()) return not_reset("other files in /work");
  return std::nullopt;
}

}  // namespace seedbed::sandbox
