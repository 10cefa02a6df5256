// What parent and broker say to each other: fixed structs, one a packet, over a SEQPACKET pair.
// Both ends are ours and built together, so there is no versioning; nothing of a jail's bytes ever
// travels here.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace seedbed::sandbox::wire {

inline constexpr int kControlFd = 3;  // the broker's end of the pair
inline constexpr int kLayers = 17;
inline constexpr int kArgvBytes = 4096;
inline constexpr int kMaxJails = 1024;  // alive at once; each has a uid of its own

// Order is the order in which a refusal names them: the first missing one leads the message.
inline constexpr std::array<std::string_view, kLayers> kLayerNames = {
    "user_uid",    "mount_ns",   "pid_ns",       "net_ns",   "ipc_ns",        "uts_ns",
    "cgroup_ns",   "pivot_root", "tmpfs",        "rlimits",  "cgroup_memory", "cgroup_pids",
    "cgroup_kill", "no_caps",    "no_new_privs", "landlock", "seccomp"};

template <std::size_t N>
void put(std::array<char, N>& field,
         std::string_view text) {  // cut to the field, always terminated
  const std::size_t n = text.size() < N - 1 ? text.size() : N - 1;
  std::memcpy(field.data(), text.data(), n);
  field.at(n) = '\0';
}

struct LayerReport {
  std::uint8_t state = 1;  // LayerState: on, off, weak
  std::array<char, 191> why{};
  std::array<char, 192> remedy{};
};
struct Hello {  // broker -> parent, once
  std::array<LayerReport, kLayers> layers{};
};

enum class Op : std::uint32_t { open, cause, kill, close };
struct Request {  // `open` carries the program's descriptor
  Op op = Op::open;
  std::uint32_t jail = 0;
  std::int32_t memory_mib = 0, pids = 0, tmpfs_mib = 0, open_files = 0, cpu_percent = 0, core = -1;
  std::uint32_t argc = 0;
  std::uint32_t argv_bytes = 0;
  std::array<char, kArgvBytes> argv{};  // argc strings, each with its NUL
};
struct Reply {             // a good `open` carries two descriptors: socket, pidfd
  std::int32_t error = 0;  // errno of the step that failed, 0: all went well
  std::int32_t pid = 0;
  std::uint32_t jail = 0;
  std::uint8_t running = 0;      // `cause`: not ended yet
  std::array<char, 47> stage{};  // the step that failed
  std::array<char, 512> text{};  // `cause`: in words
};

}  // namespace seedbed::sandbox::wire
