// What the tests of boxes share: `seedbed sandbox run`, driven as a script drives it.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "schemas/value.h"
#include "tests/sandbox/jail_test_kit.h"

namespace seedbed::sandbox::kit {

using Words = std::vector<std::string>;

struct Ran {
  int code = -1;
  std::string out, err;
  schemas::Value json = schemas::Value::object();

  [[nodiscard]] std::string text(const std::string& key) const {
    const auto* value = json.find(key);
    return value != nullptr && value->is_string() ? value->as_string() : std::string("?");
  }
  [[nodiscard]] std::int64_t number(const std::string& key) const {
    const auto* value = json.find(key);
    return value != nullptr && value->is_int() ? value->as_int() : -1;
  }
};

// Kills the supervisor after half a minute: a test never hangs.
inline Ran run_box(Words words, const std::function<void()>& before = {}) {
  words.insert(words.begin(), {"seedbed-box", "run"});
  std::array<int, 2> out{}, err{};
  EXPECT_EQ(::pipe2(out.data(), O_CLOEXEC), 0);
  EXPECT_EQ(::pipe2(err.data(), O_CLOEXEC), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(::open("/dev/null", O_RDONLY), 0);
    ::dup2(out[1], 1);
    ::dup2(err[1], 2);
    if (before) before();
    ::alarm(30);
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execv(SEEDBED_BINARY_DIR "/seedbed-box", argv.data());
    ::_exit(99);
  }
  ::close(out[1]);
  ::close(err[1]);
  Ran ran;
  std::thread errors([&] { ran.err = read_all(err[0]); });
  ran.out = read_all(out[0]);
  errors.join();
  ::close(out[0]);
  ::close(err[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  if (auto parsed = schemas::parse_json(ran.out); parsed.ok()) ran.json = *std::move(parsed);
  return ran;
}

inline Ran shell_in_box(const std::string& script,
                        Words flags = {},
                        const std::function<void()>& before = {}) {
  flags.insert(flags.end(), {"--json", "--", "sh", "-c", script});
  return run_box(flags, before);
}

}  // namespace seedbed::sandbox::kit
