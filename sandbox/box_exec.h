// One program in an open box, from start to end: bounded output, a deadline, the cause of its end.
#pragma once
#include <cstdint>
#include <string>

#include "sandbox/boxes.h"

namespace seedbed::sandbox {

struct ExecLimits {
  Milliseconds wall{30'000};
  std::size_t output_bytes =
      256 << 10;  // of each stream: its head and tail, with the exact count left out
};

enum class ExecCause : std::uint8_t {
  exited,
  signaled,
  wall_timeout,
  memory_limit,
  seccomp_violation,
  spawn_error,
  box_ended  // pid 1 is gone: the box is lost, and whose fault it was tells its end
};
constexpr std::array<std::string_view, 7> enum_names(ExecCause) {
  return {"exited",      "signaled", "wall_timeout", "memory_limit", "seccomp_violation",
          "spawn_error", "box_ended"};
}

struct Execution {
  ExecCause cause = ExecCause::exited;
  int code = 0, signal = 0;
  int error = 0;  // spawn_error: errno of the step `stage`
  std::string stage;
  std::string out, err;
  std::uint64_t out_bytes = 0, err_bytes = 0;  // before anything was left out
  std::int64_t wall_us = 0, user_us = 0, system_us = 0, max_rss_kib = 0;
};

// Runs `command` with `input` as its standard input. What it leaves running inside stays until the
// box ends or kill_all(). An Error is the caller's or the machine's, never the program's.
Result<Execution> execute(LiveBox& box,
                          const Command& command,
                          const ExecLimits& limits = {},
                          std::string_view input = {});
// What only the end of the box tells: a program that was killed had met the memory limit.
void explain(Execution& execution, const BoxEnd& end);

}  // namespace seedbed::sandbox
