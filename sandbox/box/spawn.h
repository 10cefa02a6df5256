// What a supervisor and a box's pid 1 say to each other: fixed structs, one a packet, over a
// SEQPACKET pair. Nothing of a program's bytes travels here.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "sandbox/broker/sys.h"

namespace seedbed::sandbox::box {

enum class Op : std::uint32_t { spawn, kill, kill_all, kill_rest };

constexpr std::size_t kMaxSpared = 32;

// `spawn` carries four descriptors: standard input, output, error, and a sealed memory file with
// the words, each ended by NUL: working directory, then argc arguments, then envc of the
// environment.
struct Ask {
  Op op = Op::spawn;
  std::uint32_t job = 0;  // named by the asker
  std::uint32_t argc = 0, envc = 0;
  std::uint64_t bytes = 0;  // of the words
  std::int32_t signal = 0;  // kill
  // kill_rest: everything inside but pid 1, the job's own process and these process groups.
  std::array<std::int32_t, kMaxSpared> spared{};
};

// killed: what kill_rest asked for is done.
enum class Tell : std::uint32_t { ready, failed, ended, killed };

struct Told {
  Tell what = Tell::ready;
  std::uint32_t job = 0;
  std::int32_t pid = 0;     // ended: inside the box
  std::int32_t error = 0;   // failed: errno of the step `stage`
  std::int32_t code = 0;    // ended: CLD_EXITED, CLD_KILLED or CLD_DUMPED
  std::int32_t status = 0;  // ended: exit status or signal
  std::int64_t user_us = 0, system_us = 0, max_rss_kib = 0;
  std::array<char, 28> stage{};
};

constexpr std::size_t kMaxJobs = 64;              // alive at once in one box
constexpr std::uint64_t kMaxWords = 32ULL << 20;  // the kernel's own limit is below

// The filter of programs: what no tool needs is EPERM, foreign system call ABIs kill. Needs
// no_new_privs; returns 0 or errno.
int install_box_filter(bool inet);

// Landlock for programs: everything readable, /tmp, /work, /dev/shm and `writable` for writing, no
// TCP but with `inet`, no signal and no abstract socket to the outside. Made once, entered by each
// program's process, which has no_new_privs. Both return 0 or errno.
int make_wall(bool inet, const char* const* writable, int count, Fd& out);
int enter_wall(const Fd& wall);

}  // namespace seedbed::sandbox::box
