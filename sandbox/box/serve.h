// What the server of boxes (`seedbed-box serve`) and its client say to each other: fixed structs,
// one a packet, over a SEQPACKET pair. The client speaks to a box's pid 1 itself (spawn.h): the
// server makes boxes, hands out their control sockets, and buries them.
#pragma once
#include <array>
#include <cstdint>

#include "sandbox/box/order.h"

namespace seedbed::sandbox::box {

constexpr int kServeFd = 3;  // the server's end
constexpr std::uint64_t kMaxMountWords = 1 << 18;
constexpr unsigned kSlots = 4096;              // boxes of one server alive at once
constexpr unsigned kFirstUid = 1'000'000'000;  // of boxes that root's servers make

enum class Wish : std::uint32_t { open, close };

// `open` carries one descriptor where `bytes` > 0: a memory file with, for each mount, source and
// target, each ended by NUL, and "r" or "w", ended by NUL too.
struct Wanted {
  Wish what = Wish::open;
  std::uint32_t id = 0;  // named by the client; not one that is open
  Limits limits;
  Net net = Net::none;
  bool proc = true;
  std::uint32_t mounts = 0;
  std::uint64_t bytes = 0;
};

enum class Word : std::uint32_t { hello, opened, refused, closed };

// `opened` carries the control socket and /work (O_PATH). After it `closed` comes once, whoever
// ended the box, when nothing of it is left.
struct Answer {
  Word what = Word::hello;
  std::uint32_t id = 0;
  std::int32_t error = 0;  // refused: errno of the step `stage`; hello: of what cannot be had
  std::array<char, 28> stage{};
  std::uint8_t landlock_abi = 0, cgroup_memory = 0, cgroup_pids = 0, cgroup_kill = 0;  // hello
  std::int64_t oom_kills = 0, pids_refused = 0, cpu_us = -1, peak_bytes = -1;          // closed
};

// Until the client is gone. Returns the exit code.
int serve();

}  // namespace seedbed::sandbox::box
