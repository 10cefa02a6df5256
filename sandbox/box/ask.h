// Asking a box's pid 1, from a supervisor or from the holder of its control socket.
#pragma once
#include <sys/mman.h>

#include <string>
#include <vector>

#include "sandbox/box/spawn.h"
#include "sandbox/broker/packets.h"

namespace seedbed::sandbox::box {

// Starts a program as job `job` with `fds` as standard input, output and error, which stay the
// caller's. Returns 0 or errno; what became of it is told over `control`.
inline int ask_spawn(int control,
                     std::uint32_t job,
                     const std::vector<std::string>& argv,
                     const std::vector<std::string>& env,
                     const std::string& directory,
                     const std::array<int, 3>& fds) {
  std::string text(directory.c_str(), directory.size() + 1);
  for (const auto* list : {&argv, &env})
    for (const auto& word : *list) text.append(word.c_str(), word.size() + 1);
  const Fd words(::memfd_create("words", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!words) return errno;
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(words.get(), text.data() + at, text.size() - at);
    if (n < 0) return errno;
    at += static_cast<std::size_t>(n);
  }
  Ask ask;
  ask.job = job;
  ask.argc = static_cast<std::uint32_t>(argv.size());
  ask.envc = static_cast<std::uint32_t>(env.size());
  ask.bytes = text.size();
  const std::array<int, 4> passed = {fds[0], fds[1], fds[2], words.get()};
  return send_packet(control, &ask, sizeof ask, passed.data(), passed.size()) ==
                 static_cast<ssize_t>(sizeof ask)
             ? 0
             : errno;
}

}  // namespace seedbed::sandbox::box
