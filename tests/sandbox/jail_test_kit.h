// What the jail's tests share: running attacks inside, and looking for what a jail left behind.
#pragma once
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "sandbox/jail.h"

namespace seedbed::sandbox::kit {

inline std::string hostile() {
  return SEEDBED_BINARY_DIR "/seedbed-hostile";
}

// Everything that the program inside wrote until it closed, or until `lines` lines are there, or 20
// s passed.
inline std::string read_all(int fd, int lines = 1 << 30) {
  std::string text;
  std::array<char, 4096> part{};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::count(text.begin(), text.end(), '\n') < lines &&
         std::chrono::steady_clock::now() < end) {
    pollfd p{fd, POLLIN, 0};
    if (::poll(&p, 1, 100) <= 0) continue;
    const ssize_t n = ::read(fd, part.data(), part.size());
    if (n <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(n));
  }
  return text;
}

struct Outcome {
  std::map<std::string, std::string> answers;  // attack -> what the kernel said
  std::string cause;
  Error error;  // message empty: the jail was opened
};

inline Outcome attack(Broker& broker,
                      const std::vector<std::string>& attacks,
                      const JailLimits& limits = {}) {
  std::vector<std::string> argv = {"seedbed-hostile"};
  argv.insert(argv.end(), attacks.begin(), attacks.end());
  auto jail = broker.open(hostile(), argv, limits);
  Outcome out;
  if (!jail.ok()) {
    out.error = jail.error();
    out.cause = jail.error().message;
    return out;
  }
  ::shutdown(jail->socket(), SHUT_WR);
  const std::string text = read_all(jail->socket());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    if (const std::size_t colon = line.find(": "); colon != std::string::npos)
      out.answers[line.substr(0, colon)] = line.substr(colon + 2);
    at = end == std::string::npos ? text.size() : end + 1;
  }
  out.cause = jail->cause();
  return out;
}

inline bool alive(int pid) {
  return ::kill(pid, 0) == 0;
}

inline std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// Brokers that `parent` started and that still run.
inline std::vector<int> brokers_of(int parent) {
  std::vector<int> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string stat = first_line(entry.path() / "stat");
    if (stat.find("(seedbed-broker) ") == std::string::npos) continue;
    const std::string rest = stat.substr(stat.find(") ") + 4);  // after the state letter
    if (std::atoi(rest.c_str()) == parent) found.push_back(std::atoi(name.c_str()));
  }
  return found;
}

// Groups below (or being) the tree of a broker.
inline int groups_of(int broker) {
  int count = 0;
  const std::string tree = "seedbed-" + std::to_string(broker);
  const std::function<void(const std::filesystem::path&, bool)> walk =
      [&](const std::filesystem::path& at, bool inside) {
        std::error_code error;
        for (const auto& entry : std::filesystem::directory_iterator(at, error)) {
          std::error_code gone;
          if (!entry.is_directory(gone) || entry.is_symlink(gone)) continue;
          const bool ours = inside || entry.path().filename() == tree;
          count += ours ? 1 : 0;
          walk(entry.path(), ours);
        }
      };
  walk("/sys/fs/cgroup", false);
  return count;
}

inline int count_entries(const std::string& folder) {
  std::error_code error;
  int n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    static_cast<void>(entry);
    ++n;
  }
  return n;
}

inline std::string mounts() {
  std::ifstream in("/proc/self/mounts");
  return {std::istreambuf_iterator<char>(in), {}};
}

template <class F>
bool within(int ms, F&& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// Runs `f` in a child of this process and returns what it gives; the child never returns.
inline std::string in_child(const std::function<std::string()>& f) {
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) return "pipe failed";
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(pipe[0]);
    const std::string text = f();
    static_cast<void>(!::write(pipe[1], text.data(), text.size()));
    ::_exit(0);
  }
  ::close(pipe[1]);
  std::string text = read_all(pipe[0]);
  ::close(pipe[0]);
  ::waitpid(pid, nullptr, 0);
  return text;
}

inline void become_nobody() {
  if (::setgroups(0, nullptr) != 0 || ::setresgid(65534, 65534, 65534) != 0 ||
      ::setresuid(65534, 65534, 65534) != 0)
    ::_exit(9);
  ::prctl(PR_SET_DUMPABLE, 1);
}

inline bool nobody_reaches_programs() {
  return in_child([] {
           become_nobody();
           return std::string(::access(hostile().c_str(), X_OK) == 0 ? "yes" : "no");
         }) == "yes";
}

}  // namespace seedbed::sandbox::kit
