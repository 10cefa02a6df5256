// `seedbed sandbox run`, as people and scripts drive it: real programs of the host in a real jail.
#include <sys/resource.h>

#include "tests/sandbox/box_kit.h"

namespace seedbed::sandbox {
namespace {

using kit::Ran;
using kit::Words;

Ran run(const Words& words, const std::function<void()>& before = {}) {
  return kit::run_box(words, before);
}

Ran shell(const std::string& script, const Words& flags = {}) {
  return kit::shell_in_box(script, flags);
}

Ran python(const std::string& script, Words flags = {}) {
  flags.insert(flags.end(), {"--json", "--", "python3", "-c", script});
  return run(flags);
}

class BoxRun : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  }
};

TEST_F(BoxRun, ACommandRunsAndItsExitCodeIsOurs) {
  const auto hello = run({"--", "/bin/echo", "hello"});
  EXPECT_EQ(hello.out, "hello\n");
  EXPECT_EQ(hello.err, "");
  EXPECT_EQ(hello.code, 0);
  EXPECT_EQ(run({"--", "sh", "-c", "exit 7"}).code, 7);
  EXPECT_EQ(run({"--", "sh", "-c", "kill -SEGV $$"}).code, 128 + SIGSEGV);
  EXPECT_EQ(run({"--", "no-such-program"}).code, 127);
  EXPECT_EQ(run({"--", "/etc/passwd"}).code, 126);
}

TEST_F(BoxRun, TheCallersFileModeMaskChangesNothing) {
  const std::string look =
      "umask; ls -ld / /usr /etc /tmp /work /dev/shm /dev/null /etc/passwd | "
      "cut -c1-10; echo x > /tmp/a && cat /tmp/a";
  const auto usual = shell(look);
  const mode_t before = ::umask(077);
  const auto masked = shell(look);
  ::umask(before);
  EXPECT_EQ(usual.text("cause"), "exited") << usual.out << usual.err;
  EXPECT_EQ(masked.text("out"), usual.text("out")) << masked.out << masked.err;
  EXPECT_NE(usual.text("out").find("drwxrwxrwt"), std::string::npos) << usual.text("out");
}

TEST_F(BoxRun, TheResultIsOneObject) {
  const auto ran = shell("echo out; echo err >&2; exit 3");
  EXPECT_EQ(ran.text("cause"), "exited") << ran.out << ran.err;
  EXPECT_EQ(ran.number("code"), 3);
  EXPECT_EQ(ran.text("out"), "out\n");
  EXPECT_EQ(ran.text("err"), "err\n");
  const auto* enforced = ran.json.find("enforced");
  ASSERT_NE(enforced, nullptr);
  for (const auto& [layer, state] : enforced->members())
    EXPECT_EQ(state.as_string(), "on") << layer;
  EXPECT_EQ(shell("kill -TERM $$").text("cause"), "signaled");
}

TEST_F(BoxRun, OutputIsBoundedWithExactCounts) {
  const auto ran = python("import sys; sys.stdout.write('a' * 3000 + 'b' * 100000 + 'c' * 3000)",
                          {"--output-kib", "4"});
  EXPECT_EQ(ran.number("out_bytes"), 106'000);
  EXPECT_EQ(ran.text("out"), std::string(2048, 'a') + "\n[... 101904 bytes left out ...]\n" +
                                 std::string(2048, 'c'));
  const auto binary = python("import sys; sys.stdout.buffer.write(bytes([255, 0, 65]))");
  EXPECT_EQ(binary.text("out"), "\xEF\xBF\xBD" + std::string(1, '\0') + "A");
  EXPECT_EQ(binary.text("out_base64"), "/wBB");
}

TEST_F(BoxRun, LimitsEndWhatGoesBeyondThem) {
  EXPECT_EQ(shell("sleep 20", {"--wall-ms", "200"}).text("cause"), "wall_timeout");
  EXPECT_EQ(shell("trap '' TERM; while :; do sleep 1; done", {"--wall-ms", "200"}).text("cause"),
            "wall_timeout");
  EXPECT_EQ(shell("exec >&- 2>&-; sleep 20", {"--wall-ms", "200"}).text("cause"), "wall_timeout")
      << "closed streams end nothing";
  EXPECT_EQ(python("x = bytearray(200 << 20)", {"--memory-mib", "48"}).text("cause"),
            "memory_limit");
  EXPECT_EQ(shell("(while :; do :; done) & while :; do :; done", {"--cpu-ms", "300"}).text("cause"),
            "cpu_timeout");
  const auto forks = shell("for i in 1 2 3 4 5 6 7 8 9; do sleep 9 & done; sleep 9 & wait",
                           {"--pids", "6", "--wall-ms", "3000"});
  EXPECT_NE(forks.out.find("pids limit 6 reached"), std::string::npos) << forks.out;
  const auto full =
      shell("head -c 9000000 /dev/zero > /tmp/x; echo $?; wc -c < /tmp/x", {"--tmpfs-mib", "4"});
  EXPECT_NE(full.text("err").find("No space left"), std::string::npos) << full.out;
  EXPECT_NE(
      shell("i=0; while [ $i -lt 200 ]; do : > $i || exit 5; i=$((i+1)); done", {"--inodes", "100"})
          .number("code"),
      0);
  EXPECT_EQ(run({"--json", "--", "/bin/echo", std::string(100'000, 'x')}).text("cause"), "exited");
}

// Each supervisor clears away what dead ones left: never a live one's groups, or limits would be
// gone.
TEST_F(BoxRun, PidOneSleepsWhileTheProgramDoes) {
  const auto ran = shell("sleep 0.7");
  EXPECT_EQ(ran.number("code"), 0);
  EXPECT_LT(ran.number("tree_cpu_us"), 250'000) << ran.out;
}

TEST_F(BoxRun, ManyAtOnceKeepTheirLimits) {
  const std::string program = SEEDBED_BINARY_DIR "/seedbed-box";
  const std::string hog =
      " run --memory-mib 32 -- python3 -c 'x = bytearray(120 << 20)' 2>/dev/null";
  const std::string script =
      "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do { " + program + hog + "; echo $?; } & done; wait";
  const auto out = kit::in_child([&] {
    std::string text;
    FILE* pipe = ::popen(script.c_str(), "r");
    std::array<char, 64> line{};
    while (pipe != nullptr && std::fgets(line.data(), line.size(), pipe) != nullptr)
      text += line.data();
    if (pipe != nullptr) ::pclose(pipe);
    return text;
  });
  std::string wanted;
  for (int i = 0; i < 12; ++i) wanted += "137\n";
  EXPECT_EQ(out, wanted);
}

TEST_F(BoxRun, NothingOfTheHostIsThere) {
  ::setenv("SECRET_OF_THE_HOST", "yes", 1);
  const auto ran = shell(
      "cat /etc/shadow; ls /root /home /srv /work; cat /proc/1/environ; ls -d /proc/[0-9]*; env; "
      "id "
      "-u; ls /dev; cat /proc/sys/kernel/core_pattern > /dev/null; echo x > "
      "/proc/sys/kernel/core_pattern; touch /usr/x /x");
  ::unsetenv("SECRET_OF_THE_HOST");
  EXPECT_EQ(ran.out.find("SECRET"), std::string::npos);
  EXPECT_EQ(ran.text("out").find("root:"), std::string::npos);
  EXPECT_EQ(ran.text("out").find("/proc/1\n"), std::string::npos) << "pid 1 is another user's";
  EXPECT_NE(ran.text("err").find("/etc/shadow: No such file"), std::string::npos) << ran.out;
  for (const char* what : {"/usr/x': Read-only", "/x': Read-only", "core_pattern: Read-only"})
    EXPECT_NE(ran.text("err").find(what), std::string::npos) << what << "\n" << ran.text("err");
}

TEST_F(BoxRun, ANetworkIsNoneOrItsOwn) {
  const std::string probe =
      "import socket\n"
      "for f in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, 40):\n"
      "  try: socket.socket(f, socket.SOCK_DGRAM if f == 16 else socket.SOCK_STREAM); "
      "print('made')\n"
      "  except OSError as e: print(e.errno)\n";
  EXPECT_EQ(python(probe).text("out"), "97\n97\n97\n97\n");
  const auto looped = python(
      "import socket\n"
      "s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname())\n"
      "a, _ = s.accept(); c.sendall(b'hi'); print(a.recv(9))\n"
      "try: socket.create_connection(('192.0.2.1', 80), 1)\n"
      "except OSError as e: print(e.errno)\n"
      "print([i[1] for i in socket.if_nameindex()])\n",
      {"--net", "loopback"});
  EXPECT_EQ(looped.text("out").substr(0, 12), "b'hi'\n101\n") << looped.out;
}

TEST_F(BoxRun, WhatNoToolNeedsIsRefused) {
  const auto ran = python(
      "import ctypes, errno\n"
      "l = ctypes.CDLL(None, use_errno=True)\n"
      "def t(n, *a):\n"
      "  r = l.syscall(n, *a); e = ctypes.get_errno()\n"
      "  print(n, 'done' if r >= 0 else errno.errorcode[e])\n"
      "for n in (101, 165, 166, 155, 161, 272, 308, 310, 311, 321, 323, 425, 428, 429, 438, 250, "
      "248, 304, 169, 175): t(n, 0, 0, 0, 0, 0)\n"
      "t(135, 0x0040000)\n"
      "t(435, 0, 0)\n");
  const std::string out = ran.text("out");
  EXPECT_EQ(out.find("done"), std::string::npos) << out;
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 22) << out << ran.text("err");
  EXPECT_NE(out.find("135 EPERM"), std::string::npos) << out;
  EXPECT_NE(out.find("435 ENOSYS"), std::string::npos) << out;
}

TEST_F(BoxRun, NothingInsideOutlivesTheCommand) {
  const auto ran = shell("(setsid sh -c 'sleep 300' &) ; sleep 0.1; echo started");
  EXPECT_EQ(ran.text("out"), "started\n");
  const auto left = [] {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
      std::ifstream in(entry.path() / "cmdline");
      const std::string line{std::istreambuf_iterator<char>(in), {}};
      if (line == std::string("sleep\0"
                              "300\0",
                              10))
        return true;
    }
    return false;
  };
  EXPECT_FALSE(left());
}

class BoxFiles : public BoxRun {
 protected:
  void SetUp() override {
    BoxRun::SetUp();
    folder_ = std::filesystem::path(::testing::TempDir()) / ("box-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_ / "in");
    std::filesystem::create_directories(folder_ / "out");
    ::chmod(folder_.c_str(), 0755);
    std::ofstream(folder_ / "in/note") << "from outside\n";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(BoxFiles, MountsAreShownReadOnlyUnlessAskedFor) {
  const std::string in = (folder_ / "in").string();
  const auto ran = shell("cat /data/note; touch /data/x; id -u > /srv/deep/uid",
                         {"--mount", in + ":/data", "--mount", in + ":/srv/deep"});
  EXPECT_EQ(ran.text("out"), "from outside\n") << ran.out;
  EXPECT_NE(ran.text("err").find("Read-only"), std::string::npos);
  ::chmod(in.c_str(), 0777);
  EXPECT_EQ(shell("echo inside > /data/new", {"--mount", in + ":/data:rw"}).number("code"), 0);
  EXPECT_EQ(kit::first_line(in + "/new"), "inside");
  for (const char* bad : {"/a:../b", "a:/b", "/a:/proc", "/a:/x/../y", "/a:/dev/null"})
    EXPECT_EQ(run({"--mount", bad, "--", "true"}).code, 2) << bad;
  EXPECT_EQ(run({"--mount", "/no/such/place:/x", "--", "true"}).code, 125);
}

TEST_F(BoxFiles, CollectedFilesNeverLeadOutside) {
  const auto ran = shell(
      "echo kept > a; mkdir d; echo deep > d/b; ln -s /etc/passwd link; ln -s /etc dir; mkfifo "
      "pipe; "
      "ln a hard; head -c 5000 /dev/zero > big",
      {"--collect",     "a",
       "--collect",     "d/b",
       "--collect",     "link",
       "--collect",     "dir/passwd",
       "--collect",     "pipe",
       "--collect",     "../etc/passwd",
       "--collect",     "/etc/passwd",
       "--collect",     "big",
       "--collect",     "none",
       "--collect-kib", "4",
       "--out",         (folder_ / "out").string()});
  const auto* list = ran.json.find("collected");
  ASSERT_NE(list, nullptr) << ran.out << ran.err;
  std::map<std::string, std::string> refused;
  for (const auto& one : list->items())
    if (const auto* why = one.find("refused"); why != nullptr)
      refused[one.find("path")->as_string()] = why->as_string();
  EXPECT_EQ(refused.size(), 7U) << ran.out;
  EXPECT_EQ(kit::first_line((folder_ / "out/a").string()), "kept");
  EXPECT_EQ(kit::first_line((folder_ / "out/d_b").string()), "deep");
  EXPECT_EQ(kit::count_entries((folder_ / "out").string()), 2);
  EXPECT_NE(refused["link"].find("ELOOP"), std::string::npos);
  EXPECT_NE(refused["pipe"].find("no regular file"), std::string::npos);
  EXPECT_NE(refused["big"].find("EFBIG"), std::string::npos);
}

TEST_F(BoxRun, WhatIsAskedWronglyIsNamed) {
  for (const Words& words :
       {Words{"--wall-ms", "0", "--", "true"}, Words{"--nonsense", "1", "--", "true"},
        Words{"--pids"}, Words{"--net", "all", "--", "true"}, Words{"--env", "=x", "--", "true"},
        Words{"--collect", "a", "--", "true"}, Words{},
        Words{"--isolation", "weak", "--", "true"}}) {
    const auto ran = run(words);
    EXPECT_EQ(ran.code, 2);
    EXPECT_EQ(ran.err.rfind("seedbed: option ", 0), 0U) << ran.err;
  }
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_EQ(run({"--cwd", "/nowhere", "--", "true"}).code, 125);
}

TEST_F(BoxRun, AnEnvironmentAboveTheKernelsLimitIsASpawnError) {
  Words words = {"--json"};
  for (int i = 0; i < 45; ++i)
    words.insert(words.end(), {"--env", std::string(60'000, 'V') + std::to_string(i) + "=x"});
  words.insert(words.end(), {"--", "/bin/true"});
  // A larger stack lets the supervisor itself take as much.
  const auto ran = run(words, [] {
    const rlimit more{64U << 20, RLIM_INFINITY};
    ::setrlimit(RLIMIT_STACK, &more);
  });
  EXPECT_EQ(ran.text("cause"), "spawn_error") << ran.err << ran.out.substr(0, 300);
  EXPECT_EQ(ran.text("errno"), "E2BIG");
  EXPECT_EQ(ran.code, 126);
}

TEST_F(BoxRun, ADescriptorThatTheCallerForgotIsClosed) {
  const auto ran =
      run({"--json", "--", "sh", "-c",
           "ls /proc/self/fd/50/etc 2>&1; cat /proc/self/fd/51 2>&1; ls /proc/self/fd"},
          [] {
            ::dup2(::open("/", O_PATH | O_DIRECTORY), 50);
            ::dup2(::open("/etc/passwd", O_RDONLY), 51);
          });
  EXPECT_NE(ran.text("out").find("0\n1\n2\n3\n"), std::string::npos) << ran.out;  // 3: ls itself
  EXPECT_EQ(ran.text("out").find("root:"), std::string::npos) << ran.out;
  EXPECT_EQ(ran.text("out").find("hostname"), std::string::npos) << ran.out;
}

TEST_F(BoxRun, NothingIsTypedIntoTheCallersTerminal) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(master, 0);
  ASSERT_EQ(::grantpt(master), 0);
  ASSERT_EQ(::unlockpt(master), 0);
  const std::string name = ::ptsname(master);  // NOLINT(concurrency-mt-unsafe): one thread
  const auto ran =
      run({"--json", "--", "python3", "-c",
           "import fcntl, os, sys\n"
           "print(os.isatty(0))\n"
           "for what in (0x5412, 0x541C, 0x5423):\n"
           "  try: fcntl.ioctl(0, what, b'x'); print('DONE')\n"
           "  except OSError as e: print(e.errno)\n"
           "try: open('/dev/tty'); print('DONE')\n"
           "except OSError as e: print('no tty')"},
          [&] {
            ::setsid();
            ::dup2(::open(name.c_str(), O_RDWR), 0);  // becomes its controlling terminal
          });
  EXPECT_EQ(ran.text("out"), "True\n1\n1\n1\nno tty\n") << ran.out << ran.err;
  ::close(master);
}

TEST_F(BoxRun, APlainUserHasOneToo) {
  if (!kit::nobody_reaches_programs()) GTEST_SKIP() << "nobody cannot reach the build folder";
  const auto strict = run({"--", "true"}, [] { kit::become_nobody(); });
  EXPECT_EQ(strict.code, 125);
  EXPECT_NE(strict.err.find("strict isolation wants it"), std::string::npos) << strict.err;
  const auto ran = run({"--isolation", "standard", "--json", "--", "sh", "-c",
                        "id -u; cat /etc/shadow; ls /proc/1/environ && cat /proc/1/environ"},
                       [] { kit::become_nobody(); });
  EXPECT_EQ(ran.text("out").substr(0, 6), "65534\n") << ran.out << ran.err;
  EXPECT_NE(ran.text("err").find("/etc/shadow: No such file"), std::string::npos) << ran.out;
}

}  // namespace
}  // namespace seedbed::sandbox
