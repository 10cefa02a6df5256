// A shell and a Python that stay in a box: what is kept, what a deadline ends, what an agent can do
// to them, and files of /work from outside.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "boxes_kit.h"
#include "sandbox/box_exec.h"
#include "sandbox/box_traces.h"
#include "sandbox/hosts/python_host.h"
#include "sandbox/hosts/shell_host.h"
#include "sandbox/hosts/tree_hash.h"

namespace seedbed::sandbox {
namespace {

const std::string kWork = "/work";
constexpr Milliseconds kLong{20'000}, kShort{300};

class HostsTest : public WithBoxes {
 protected:
  std::unique_ptr<ShellHost> shell(const ShellHost::Options& options = {}) {
    auto box = boxes_->open(BoxSpec{});
    EXPECT_TRUE(box.ok()) << box.error().message;
    auto made = ShellHost::open(std::move(*box), options);
    EXPECT_TRUE(made.ok()) << made.error().message;
    return made.ok() ? std::move(*made) : nullptr;
  }
  std::unique_ptr<PythonHost> python(const PythonHost::Options& options = {},
                                     const BoxSpec& spec = {}) {
    auto box = boxes_->open(spec);
    EXPECT_TRUE(box.ok()) << box.error().message;
    auto made = PythonHost::open(std::move(*box), options);
    EXPECT_TRUE(made.ok()) << made.error().message;
    return made.ok() ? std::move(*made) : nullptr;
  }

  static ShellReply run(ShellHost& host, std::string_view command, Milliseconds wall = kLong) {
    auto reply = host.run(command, wall);
    EXPECT_TRUE(reply.ok()) << reply.error().message;
    return reply.ok() ? *reply : ShellReply{};
  }
  static PythonReply run(PythonHost& host, std::string_view code, Milliseconds wall = kLong) {
    auto reply = host.run(code, wall);
    EXPECT_TRUE(reply.ok()) << reply.error().message;
    return reply.ok() ? *reply : PythonReply{};
  }
  static PythonReply call(PythonHost& host, std::string_view code, Milliseconds wall = kLong) {
    auto reply = host.call(code, wall);
    EXPECT_TRUE(reply.ok()) << reply.error().message;
    return reply.ok() ? *reply : PythonReply{};
  }
};

using ShellHostTest = HostsTest;
using PythonHostTest = HostsTest;

TEST_F(ShellHostTest, DirectoryVariablesAndFunctionsAreKept) {
  auto host = shell();
  ASSERT_NE(host, nullptr);
  auto r = run(*host, "mkdir -p a/b && cd a/b; x='two words'; f() { echo \"f: $x\"; }; export Y=1");
  EXPECT_EQ(r.end, ShellReply::End::done);
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(r.output, "");
  EXPECT_EQ(r.directory, kWork + "/a/b");
  EXPECT_EQ(run(*host, "f; pwd; sh -c 'echo $Y'").output, "f: two words\n" + kWork + "/a/b\n1\n");
  EXPECT_EQ(run(*host, "false").exit_code, 1);
  EXPECT_EQ(run(*host, "echo out; echo err >&2; echo out2").output, "out\nerr\nout2\n");
  EXPECT_EQ(run(*host, "cat; echo end").output, "end\n") << "there is no input";
  EXPECT_EQ(run(*host, "printf 'a\\tb\\n'; echo 'it'\"'\"'s $5 \\\\ !x'").output,
            "a\tb\nit's $5 \\\\ !x\n");
  EXPECT_EQ(run(*host, "cat <<EOF\nline 1\nline 2\nEOF").output, "line 1\nline 2\n");
  EXPECT_EQ(run(*host, "echo grüße | tr a-z A-Z").output.substr(0, 2), "GR");
}

TEST_F(ShellHostTest, WhatIsNoCommandLeavesTheShell) {
  auto host = shell();
  ASSERT_NE(host, nullptr);
  run(*host, "x=kept");
  const auto wrong = run(*host, "if then");
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_NE(wrong.output.find("syntax error"), std::string::npos) << wrong.output;
  EXPECT_NE(run(*host, "echo \"never closed").exit_code, 0);
  EXPECT_EQ(run(*host, "no_such_program").exit_code, 127);
  EXPECT_EQ(run(*host, "echo $x").output, "kept\n");
  const auto left = run(*host, "exit 3");
  EXPECT_EQ(left.end, ShellReply::End::shell_ended);
  EXPECT_EQ(left.exit_code, 3);
  EXPECT_EQ(run(*host, "echo \"<$x>\"; pwd").output, "<>\n/work\n") << "a new shell";
  EXPECT_EQ(run(*host, "kill -9 $$").end, ShellReply::End::shell_ended);
  EXPECT_EQ(run(*host, "echo again").output, "again\n");
  EXPECT_FALSE(host->run(std::string("a\0b", 3), kLong).ok());
}

TEST_F(ShellHostTest, ADeadlineEndsTheCommandAndKeepsTheShell) {
  auto host = shell();
  ASSERT_NE(host, nullptr);
  run(*host, "x=kept; cd /tmp");
  for (const char* hang :
       {"echo begun; sleep 100", "while :; do :; done", "while true; do sleep 1; done",
        "sleep 100 | cat | cat", "sh -c 'trap \"\" INT TERM; sleep 100; sleep 100'",
        "python3 -c 'while True: pass'", "(sleep 50; echo late) & wait",
        "f() { sleep 100; }; f; echo after"}) {
    const auto r = run(*host, hang, kShort);
    EXPECT_EQ(r.end, ShellReply::End::deadline) << hang;
    EXPECT_LT(r.wall_us, 3'500'000) << hang;
    EXPECT_EQ(r.output.find("after"), std::string::npos) << hang;
    const auto after = run(*host, "echo $x $PWD");
    EXPECT_EQ(after.output, "kept /tmp\n") << hang;
  }
  EXPECT_EQ(run(*host, "pgrep -c sleep || true").output, "0\n") << "nothing of it is left";
}

TEST_F(ShellHostTest, WhatADeadlineEndsIsOverBeforeTheNextCommand) {
  auto host = shell();
  ASSERT_NE(host, nullptr);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(run(*host, "sleep 100", Milliseconds(20 + i)).end, ShellReply::End::deadline);
    const auto next = run(*host, "sleep 0.05; echo $?");
    EXPECT_EQ(next.output, "0\n");
    EXPECT_EQ(next.end, ShellReply::End::done);
  }
}

TEST_F(ShellHostTest, BackgroundJobsOutliveADeadlineOfALaterCommand) {
  auto host = shell();
  ASSERT_NE(host, nullptr);
  EXPECT_EQ(run(*host, "sleep 300 & echo").end, ShellReply::End::done);
  EXPECT_EQ(run(*host, "sleep 200", kShort).end, ShellReply::End::deadline);
  EXPECT_EQ(run(*host, "pgrep -f 'sleep 300' | wc -l; pgrep -f 'sleep 200' | wc -l").output,
            "1\n0\n");
}

TEST_F(ShellHostTest, AShellThatHeedsNothingIsReplaced) {
  auto host = shell();
  ASSERT_NE(host, nullptr);
  const auto r = run(*host, "kill -STOP $$", kShort);
  EXPECT_EQ(r.end, ShellReply::End::shell_ended);
  EXPECT_EQ(run(*host, "echo alive").output, "alive\n");
}

TEST_F(ShellHostTest, FloodsAndBombsAreBounded) {
  ShellHost::Options options;
  options.output_bytes = 1000;
  auto host = shell(options);
  ASSERT_NE(host, nullptr);
  const auto flood = run(*host, "head -c 3000000 /dev/zero | tr '\\0' y");
  EXPECT_EQ(flood.output_bytes, 3'000'000U);
  EXPECT_LT(flood.output.size(), 1100U);
  EXPECT_NE(flood.output.find("bytes left out"), std::string::npos);
  const auto bomb = run(*host, "b() { b | b & }; b; sleep 100", Milliseconds(1500));
  EXPECT_NE(bomb.end, ShellReply::End::done);
  EXPECT_EQ(run(*host, "echo still here").output, "still here\n");
}

TEST_F(ShellHostTest, CommandsDoNotHaveTheChannel) {
  auto host = shell();
  ASSERT_NE(host, nullptr);
  EXPECT_EQ(run(*host, "sh -c 'echo 7 >&251' 2>/dev/null || echo closed").output, "closed\n");
  EXPECT_EQ(
      run(*host, "ls /proc/self/fd | sort -n | tail -1 | awk '{print ($1 < 10) ? \"few\" : $1}'")
          .output,
      "few\n");
}

TEST_F(ShellHostTest, AFloodOfItsChannelDoesNotHoldUpTheHost) {
  auto host = shell();
  ASSERT_NE(host, nullptr);
  // The shell itself has it, put aside while a command runs; programs do not, nor through /proc.
  EXPECT_EQ(run(*host, "printf 'x\\0' >&12 && echo open").output, "open\n");
  EXPECT_EQ(run(*host, "sh -c '[ -w /proc/$PPID/fd/12 ] || echo closed'").output, "closed\n");
  const auto flood = run(*host, "while :; do printf 'x\\0' >&12; done", kShort);
  EXPECT_NE(flood.end, ShellReply::End::done);
  EXPECT_LT(flood.wall_us, 5'000'000);
  EXPECT_EQ(run(*host, "echo here").output, "here\n");
}

TEST_F(ShellHostTest, FilesOfWorkAreReadAndWrittenFromOutside) {
  auto host = shell();
  ASSERT_NE(host, nullptr);
  EXPECT_EQ(host->write_file(kWork + "/src/main.c", "int main() { return 1; }\n").error, 0);
  EXPECT_EQ(run(*host, "cat src/main.c; stat -c %u src/main.c src; id -u").output.find("int main"),
            0U);
  const auto owners = run(
      *host,
      "[ $(stat -c %u src/main.c) = $(id -u) ] && [ $(stat -c %u src) = $(id -u) ] && echo ours");
  EXPECT_EQ(owners.output, "ours\n");
  EXPECT_EQ(host->replace("src/main.c", "return 1", "return 0").error, 0);
  EXPECT_EQ(host->read_file("src/main.c").text, "int main() { return 0; }\n");
  EXPECT_EQ(host->replace("src/main.c", "nowhere", "x").why, "the text does not occur (EINVAL)");
  EXPECT_EQ(host->replace("src/main.c", "n", "x").why, "the text occurs more than once (EINVAL)");
  run(*host, "ln -s /etc/passwd link; mkfifo pipe; mkdir -p d; ln -s / d/root; ln -s /work up");
  EXPECT_EQ(host->list("/work").text, "d/\nlink@\npipe?\nsrc/\nup@");
  EXPECT_EQ(host->read_file("link").error, ELOOP);
  EXPECT_NE(host->read_file("pipe").error, 0);
  EXPECT_NE(host->read_file("d/root/etc/passwd").error, 0);
  EXPECT_NE(host->write_file("d/root/tmp/escaped", "x").error, 0);
  EXPECT_NE(host->write_file("link", "x").error, 0);
  EXPECT_NE(host->write_file("up/x", "x").error, 0);
  for (const char* path : {"../x", "/etc/passwd", "", "/work", "a/../../x"}) {
    EXPECT_EQ(host->read_file(path).error, EINVAL) << path;
    EXPECT_EQ(host->write_file(path, "x").error, EINVAL) << path;
  }
}

TEST_F(ShellHostTest, NothingIsLeftWhenTheBoxGoes) {
  const auto before = traces(boxes_->pid());
  auto host = shell();
  ASSERT_NE(host, nullptr);
  run(*host, "sleep 300 & sleep 300 & echo");
  auto box = host->take_box();
  ASSERT_TRUE(box->close().ok());
  host.reset();
  box.reset();
  EXPECT_EQ(traces(boxes_->pid()), before);
}

TEST_F(PythonHostTest, NamesAreKeptAndTheLastValueIsShown) {
  auto host = python();
  ASSERT_NE(host, nullptr);
  EXPECT_EQ(run(*host, "x = 20\nx + 1").value, "21");
  const auto r = run(*host, "import sys\nprint('out', x)\nprint('err', file=sys.stderr)\n[x] * 2");
  EXPECT_EQ(r.end, PythonReply::End::done);
  EXPECT_EQ(r.output, "out 20\n");
  EXPECT_EQ(r.errors, "err\n");
  EXPECT_EQ(r.value, "[20, 20]");
  EXPECT_EQ(run(*host, "_").value, "[20, 20]");
  EXPECT_EQ(run(*host, "None").value, "");
  EXPECT_EQ(run(*host, "").value, "");
  EXPECT_EQ(run(*host, "'ü' + '\\n'").value, "'ü\\n'");
  EXPECT_EQ(run(*host, "import os; os.write(1, b'raw'); input").output, "raw");
  EXPECT_NE(run(*host, "input()").error.find("EOFError"), std::string::npos);
}

TEST_F(PythonHostTest, ErrorsAreShownFromTheCodesOwnFrames) {
  auto host = python();
  ASSERT_NE(host, nullptr);
  const auto r = run(*host, "def half(n):\n    return n / 0\nhalf(3)");
  EXPECT_EQ(r.end, PythonReply::End::done);
  EXPECT_EQ(r.error.find("Traceback (most recent call last):\n  File \"<cell "), 0U) << r.error;
  EXPECT_NE(r.error.find("return n / 0"), std::string::npos) << r.error;
  EXPECT_NE(r.error.find("ZeroDivisionError"), std::string::npos);
  EXPECT_EQ(r.error.find("session.py"), std::string::npos);
  EXPECT_NE(run(*host, "if:").error.find("SyntaxError"), std::string::npos);
  EXPECT_EQ(run(*host, "half").value.find("<function half"), 0U) << "the session is the same";
}

TEST_F(PythonHostTest, ADeadlineInterruptsAndKeepsTheSession) {
  auto host = python();
  ASSERT_NE(host, nullptr);
  run(*host, "x = 'kept'");
  for (const char* hang : {"while True: pass", "import time; time.sleep(100)",
                           "import subprocess; subprocess.run(['sleep', '100'])"}) {
    const auto r = run(*host, hang, kShort);
    EXPECT_EQ(r.end, PythonReply::End::deadline) << hang;
    EXPECT_EQ(r.error, "KeyboardInterrupt") << hang;
    EXPECT_LT(r.wall_us, 2'000'000) << hang;
    EXPECT_EQ(run(*host, "x").value, "'kept'") << hang;
  }
}

TEST_F(PythonHostTest, ASessionThatHeedsNothingOrDiesIsReplaced) {
  auto host = python();
  ASSERT_NE(host, nullptr);
  run(*host, "x = 1");
  const auto stubborn = run(*host, "sum(range(10**12))", kShort);  // C heeds no interrupt
  EXPECT_EQ(stubborn.end, PythonReply::End::session_ended);
  EXPECT_EQ(stubborn.signal, SIGKILL);
  EXPECT_NE(run(*host, "x").error.find("NameError"), std::string::npos);
  EXPECT_EQ(run(*host, "import os; os.kill(os.getpid(), 9)").end, PythonReply::End::session_ended);
  EXPECT_EQ(run(*host, "exit(4)").end, PythonReply::End::session_ended);
  EXPECT_EQ(run(*host, "import ctypes; ctypes.string_at(0)").signal, SIGSEGV);
  run(*host, "import os; os.kill(os.getppid(), 9)");  // the server
  auto after = run(*host, "1 + 1");
  if (after.end == PythonReply::End::session_ended) after = run(*host, "1 + 1");
  EXPECT_EQ(after.value, "2");
  EXPECT_FALSE(host->restart().has_value());
  EXPECT_NE(run(*host, "os").error.find("NameError"), std::string::npos);
}

TEST_F(PythonHostTest, WhatWritesToTheChannelFoolsItselfAlone) {
  auto host = python();
  ASSERT_NE(host, nullptr);
  const auto r = run(*host,
                     "import os\nfor fd in range(3, 64):\n  try:\n    os.write(fd, b'{\"id\": 999, "
                     "\"ok\": true, \"value\": \"stale\"}\\n"
                     "not json\\n')\n  except OSError: pass\n'mine'");
  EXPECT_EQ(r.value, "'mine'");
  // Host and server at odds about whether there is a session.
  // What it was started by stands in the frames that led to it.
  const std::string to_all =
      "import os, sys\nframe = sys._getframe()\nwhile 'wanted' not in frame.f_locals: frame = "
      "frame.f_back\nend = b'{\"ended\": 0, \"id\": %d}\\n' % frame.f_locals['wanted']['id']\n"
      "for fd in range(3, 64):\n  try: os.write(fd, end)\n  except OSError: pass\n";
  EXPECT_EQ(run(*host, to_all).end, PythonReply::End::session_ended);
  EXPECT_EQ(run(*host, "1 + 2").value, "3");
  const auto odd = host->call(to_all, kLong);
  EXPECT_FALSE(odd.ok()) << "there is a session";
  ASSERT_FALSE(host->restart().has_value());
  // What the server says of such a call may come when the next one, or a session, has begun.
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(host->call(to_all + "i = 5\ni", kLong).ok());
    ASSERT_EQ(run(*host, "2 + 2").value, "4");
    ASSERT_FALSE(host->restart().has_value());
  }
  // Without end: the deadline holds all the same, and the next session is clean.
  const auto flood_channel = run(*host,
                                 "import os\nwhile True:\n  for fd in range(3, 64):\n    try: "
                                 "os.write(fd, b'{}\\n')\n    except OSError: pass",
                                 kShort);
  EXPECT_NE(flood_channel.end, PythonReply::End::done);
  EXPECT_LT(flood_channel.wall_us, 5'000'000);
  EXPECT_EQ(run(*host, "3 + 2").value, "5");
  const auto long_one = run(*host, "'y' * 10_000_000");
  EXPECT_LT(long_one.value.size(), 70'000U);
  const auto flood = run(*host, "print('z' * 3_000_000)");
  EXPECT_EQ(flood.output_bytes, 3'000'001U);
  EXPECT_LT(flood.output.size(), 300'000U);
}

TEST_F(PythonHostTest, AnAnswerThatComesWhenItsSessionIsKilledLeavesNone) {
  auto host = python();
  ASSERT_NE(host, nullptr);
  // The channel holds so much that the host is still reading it when it kills; a piece of 16 KiB
  // is there whole or not at all.
  for (const char* heeds : {"0.46", "0.47", "0.48", "0.49", "0.50"}) {
    const auto late = run(*host,
                          std::string("import os, signal, time\nbegin = time.monotonic()\n"
                                      "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                                      "while time.monotonic() < begin + 0.3 + ") +
                              heeds +
                              ":\n  for fd in range(3, 64):\n    try: os.write(fd, (b' ' * 511 "
                              "+ b'\\n') * 32)\n    except OSError: pass\n",
                          Milliseconds{300});
    EXPECT_NE(late.end, PythonReply::End::done) << heeds;
    const auto next = run(*host, "3 + 2");
    EXPECT_EQ(next.end, PythonReply::End::done) << heeds;
    EXPECT_EQ(next.value, "5") << heeds;
  }
}

TEST_F(PythonHostTest, ASessionThatEndsBetweenTwoRunsIsToldWithTheNext) {
  auto host = python();
  ASSERT_NE(host, nullptr);
  run(*host,
      "import threading, os, time\nthreading.Thread(target=lambda: (time.sleep(0.1), "
      "os._exit(3))).start()");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(run(*host, "1 + 1").end, PythonReply::End::session_ended);
  EXPECT_EQ(run(*host, "1 + 2").value, "3");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1'500));
}

TEST_F(PythonHostTest, ACallIsAProcessOfItsOwn) {
  PythonHost::Options options;
  options.warm = {"json", "math"};
  auto host = python(options);
  ASSERT_NE(host, nullptr);
  for (int i = 0; i < 3; ++i) {
    const auto r =
        host->call("import sys\nn = globals().get('n', 0) + 1\n(n, 'json' in sys.modules)", kLong);
    ASSERT_TRUE(r.ok()) << r.error().message;
    EXPECT_EQ(r->end, PythonReply::End::done);
    EXPECT_EQ(r->value, "(1, True)");
  }
  const auto hang = host->call("while True: pass", kShort);
  ASSERT_TRUE(hang.ok());
  EXPECT_NE(hang->end, PythonReply::End::done);
  const auto again = host->call("2 * 3", kLong);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->value, "6");
}

TEST_F(PythonHostTest, WhatClosesTheChannelEndsItself) {
  auto host = python();
  ASSERT_NE(host, nullptr);
  const std::string close_all = "import os; os.closerange(3, 256)";
  const auto called = call(*host, close_all);
  EXPECT_EQ(called.end, PythonReply::End::session_ended);
  EXPECT_LT(called.wall_us, 5'000'000);
  EXPECT_NE(called.errors.find("Bad file descriptor"), std::string::npos) << called.errors;
  EXPECT_EQ(call(*host, "2 * 3").value, "6");
  const auto ran = run(*host, close_all);
  EXPECT_EQ(ran.end, PythonReply::End::session_ended);
  EXPECT_LT(ran.wall_us, 5'000'000);
  EXPECT_EQ(run(*host, "1 + 1").value, "2");
  // The server, those that are ready and this one: nobody went on as a second server.
  EXPECT_EQ(run(*host, "import os\nsum(p.isdigit() for p in os.listdir('/proc')) < 10").value,
            "True");
}

TEST_F(PythonHostTest, AFullBoxLeavesNothingWithTheServer) {
  BoxSpec spec;
  spec.limits.pids = 8;
  auto host = python({}, spec);
  ASSERT_NE(host, nullptr);
  // Children take all places and stay for a while; the call lasts, so that the server wants a child
  // and cannot have one.
  const std::string fill =
      "import os, time\ntry:\n  while os.fork(): pass\n  time.sleep(2)\n  os._exit(0)\n"
      "except OSError:\n  time.sleep(0.5)\n'full'";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(call(*host, fill).value, "'full'");
  // A child has the descriptors that the server had when it was made. The last ones were made when
  // the places were free again.
  ::usleep(2'500'000);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(call(*host, "import os\nlen(os.listdir('/proc/self/fd')) < 20").value, "True");
}

TEST_F(PythonHostTest, AProgramThatIsNotThereIsNamed) {
  PythonHost::Options options;
  options.program = "/usr/bin/no-python";
  auto box = boxes_->open(BoxSpec{});
  ASSERT_TRUE(box.ok());
  const auto made = PythonHost::open(std::move(*box), options);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("exec: ENOENT"), std::string::npos) << made.error().message;
}

TEST(TreeHashSources, AreFilesAndFoldersAlone) {
  std::string name = (std::filesystem::temp_directory_path() / "sources_XXXXXX").string();
  const std::filesystem::path root = ::mkdtemp(name.data());
  const std::string pipe = root / "pipe";
  const auto empty = tree_hash(root);
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& source : {pipe, std::string("/dev/null"), std::string("/proc/kmsg"),
                                    std::string("/proc/self/status")}) {
    const auto made = tree_hash(source);
    ASSERT_FALSE(made.ok()) << source;
    EXPECT_EQ(made.error().where, Where::usage);
    EXPECT_NE(made.error().message.find("wanted files"), std::string::npos) << source;
  }
  const auto with_pipe = tree_hash(root);
  ASSERT_TRUE(empty.ok() && with_pipe.ok()) << "below a folder a pipe is told, not opened";
  EXPECT_NE(*with_pipe, *empty);
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace seedbed::sandbox
