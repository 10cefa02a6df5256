#include "sandbox/hosts/box_reset.h"

#include <thread>

#include "base/text.h"
#include "sandbox/box_exec.h"
#include "sandbox/broker/errno_name.h"

namespace seedbed::sandbox {
namespace {

// With the rights of whoever left it there; the first thing that is still there is told.
constexpr const char* kEmpty =
    "chmod -R u+rwX /tmp /dev/shm 2>/dev/null; find /tmp /dev/shm -mindepth 1 -delete; "
    "find /tmp /dev/shm -mindepth 1 -print -quit";
constexpr int kTries = 8;
constexpr Milliseconds kFirstPause{5};  // then twice as long each time: 0.6 s in all

Error not_reset(const std::string& found) {
  return make_error(Where::sandbox, "box", "reset", "found " + found + ", wanted it as it began",
                    "use another box");
}

std::string how_it_ended(const Execution& run) {
  std::string out(enum_names(run.cause).at(static_cast<std::size_t>(run.cause)));
  if (run.cause == ExecCause::spawn_error) out += " at " + run.stage + ": " + errno_name(run.error);
  if (run.cause == ExecCause::exited) out += " with code " + std::to_string(run.code);
  if (run.signal != 0) out += " by signal " + std::to_string(run.signal);
  const std::string_view said = trim(run.err);
  if (!said.empty()) out.append(": ").append(said);
  return out;
}

// Whether it lacked a process, at its start or for what it starts itself (the shell's exit code
// does not tell that from other failures).
bool may_work_later(const Execution& run) {
  return run.cause == ExecCause::spawn_error ||
         (run.cause == ExecCause::exited && run.code != 0 && run.out.empty());
}

// Nobody says when what was killed is gone. Until then a box that was full has no place for
// another process.
Result<Execution> end_all_and_empty(LiveBox& box) {
  Command command;
  command.argv = {"/bin/sh", "-c", kEmpty};
  command.directory = "/";
  Milliseconds pause = kFirstPause;
  for (int tries = 1;; ++tries, pause *= 2) {
    box.kill_all();
    auto run = execute(box, command);
    if (!run.ok() || !may_work_later(*run) || tries == kTries) return run;
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace

Step reset_box(LiveBox& box, const WorkState& state) {
  SEEDBED_TRY(const Execution emptied, end_all_and_empty(box));
  if (!emptied.out.empty()) return not_reset(std::string(trim(emptied.out)));
  if (emptied.cause != ExecCause::exited || emptied.code != 0)
    return not_reset("that /tmp and /dev/shm cannot be emptied (" + how_it_ended(emptied) + ")");
  if (auto error = write_work(box.work(), state)) return error;
  const auto now = read_work(box.work());
  if (!now.ok()) return now.error();
  if (now->digest() != state.digest()) return not_reset("other files in /work");
  return std::nullopt;
}

}  // namespace seedbed::sandbox
