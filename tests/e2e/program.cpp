#include "program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/clock.h"

extern char** environ;

namespace seedbed::e2e {
namespace {

int code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

pid_t start(const std::vector<std::string>& words, int out, int err) {
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  pid_t pid = -1;
  if (posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ) != 0) pid = -1;
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

}  // namespace

std::string program() {
  return std::string(SEEDBED_BINARY_DIR) + "/seedbed";
}

Ended run_words(const std::vector<std::string>& words, double seconds) {
  Ended ended;
  std::array<int, 2> out{}, err{};
  if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(err.data(), O_CLOEXEC) != 0) return ended;
  const auto begin = monotonic_us();
  const auto deadline = begin + static_cast<std::int64_t>(seconds * 1e6);
  const pid_t pid = start(words, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  std::array<pollfd, 2> streams{{{out[0], POLLIN, 0}, {err[0], POLLIN, 0}}};
  std::array<std::string*, 2> texts{&ended.out, &ended.err};
  bool killed = false;
  while (pid > 0 && (streams[0].fd >= 0 || streams[1].fd >= 0)) {
    poll(streams.data(), streams.size(), 100);
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if ((streams[i].revents & (POLLIN | POLLHUP)) == 0) continue;
      std::array<char, 65536> buffer{};
      const auto n = read(streams[i].fd, buffer.data(), buffer.size());
      if (n > 0)
        texts[i]->append(buffer.data(), static_cast<std::size_t>(n));
      else
        streams[i].fd = -1;
    }
    if (!killed && monotonic_us() > deadline) killed = kill(pid, SIGKILL) == 0;
    if (killed && monotonic_us() > deadline + 5'000'000) break;  // a grandchild holds the pipe
  }
  close(out[0]);
  close(err[0]);
  int status = 0;
  if (pid > 0 && waitpid(pid, &status, 0) == pid) ended.code = code_of(status);
  ended.seconds = static_cast<double>(monotonic_us() - begin) / 1e6;
  return ended;
}

Ended seedbed(std::vector<std::string> words, double seconds) {
  words.insert(words.begin(), program());
  return run_words(words, seconds);
}

Running::Running(const std::vector<std::string>& words) {
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  pid_ = start(words, null, null);
  close(null);
}
Running::~Running() {
  if (reaped_ || pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, &status_, 0);
}
bool Running::ended() {
  if (!reaped_ && waitpid(pid_, &status_, WNOHANG) == pid_) reaped_ = true;
  return reaped_;
}
void Running::signal(int number) const {
  kill(pid_, number);
}
int Running::wait(double seconds) {
  const auto deadline = monotonic_us() + static_cast<std::int64_t>(seconds * 1e6);
  while (!ended() && monotonic_us() < deadline) usleep(1'000);
  return reaped_ ? code_of(status_) : -1;
}

void adopt_orphans() {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

std::set<pid_t> children_left(double seconds, std::set<pid_t>& seen) {
  const auto deadline = monotonic_us() + static_cast<std::int64_t>(seconds * 1e6);
  for (;;) {
    const pid_t pid = waitpid(-1, nullptr, WNOHANG);
    if (pid > 0) seen.insert(pid);
    if (pid < 0) return {};  // ECHILD: none left
    if (pid == 0 && monotonic_us() > deadline) break;
    if (pid == 0) usleep(2'000);
  }
  std::set<pid_t> left;
  std::ifstream list("/proc/self/task/" + std::to_string(getpid()) + "/children");
  for (pid_t pid = 0; list >> pid;) left.insert(pid);
  return left;
}

std::set<pid_t> children_of(pid_t parent) {
  std::set<pid_t> out;
  std::error_code error;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(parent) + "/task", error)) {
    std::ifstream file(task.path() / "children");
    for (pid_t pid = 0; file >> pid;) out.insert(pid);
  }
  return out;
}

std::vector<std::string> groups_of(const std::set<pid_t>& pids) {
  std::vector<std::string> out;
  std::error_code error;
  for (auto it = std::filesystem::recursive_directory_iterator("/sys/fs/cgroup", error);
       it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    const auto name = it->path().filename().string();
    if (name.rfind("seedbed-", 0) != 0) continue;
    const auto pid = static_cast<pid_t>(std::strtol(name.c_str() + 8, nullptr, 10));
    if (pids.contains(pid)) out.push_back(it->path().string());
  }
  return out;
}

std::vector<std::string> own_mounts() {
  std::vector<std::string> out;
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);)
    if (line.find(" seedbed ") != std::string::npos) out.push_back(line);
  return out;
}

Folder::Folder() {
  auto name = (std::filesystem::temp_directory_path() / "seedbed-e2e-XXXXXX").string();
  path_ = mkdtemp(name.data()) == nullptr ? "" : name;
}
Folder::~Folder() {
  std::error_code error;
  if (!path_.empty()) std::filesystem::remove_all(path_, error);
}

void write_text(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}
std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}
bool exists(const std::string& path) {
  return std::filesystem::exists(path);
}

const std::string& small_store() {
  static const Folder folder;
  static const std::string path = [] {
    const auto ended = seedbed({"gen", "--envs", "4", "--tasks-per-env", "5", "--seed", "11",
                                "--jobs", "2", "--out", folder.file("small.db")});
    return ended.code == 0 ? folder.file("small.db") : "gen failed: " + ended.err;
  }();
  return path;
}
void copy_file(const std::string& from, const std::string& to) {
  std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
}

std::string digest(const std::string& store) {
  const auto ended = seedbed({"stats", store, "--digest"});
  return ended.code == 0 ? ended.out : "";
}

}  // namespace seedbed::e2e
