// Boxes that are held open, the programs run in them, and the pool: what a runtime for agents needs
// of them, with real programs of the host.
#include "sandbox/boxes.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "boxes_kit.h"
#include "sandbox/box_exec.h"
#include "sandbox/box_pool.h"
#include "sandbox/box_traces.h"

namespace seedbed::sandbox {

void PrintTo(const Traces& t, std::ostream* out) {
  *out << t.processes << " processes, " << t.groups << " groups, " << t.mounts << " mounts, "
       << t.descriptors << " descriptors";
}

namespace {

Command shell(const std::string& script) {
  Command command;
  command.argv = {"/bin/sh", "-c", script};
  return command;
}

class BoxesTest : public WithBoxes {
 protected:
  std::unique_ptr<LiveBox> open(const BoxSpec& spec = {}) {
    auto opened = boxes_->open(spec);
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return opened.ok() ? std::move(*opened) : nullptr;
  }

  Execution run(LiveBox& box,
                const std::string& script,
                const ExecLimits& limits = {},
                std::string_view input = {}) {
    auto done = execute(box, shell(script), limits, input);
    EXPECT_TRUE(done.ok()) << done.error().message;
    return done.ok() ? *done : Execution{};
  }

  [[nodiscard]] Traces baseline() const { return traces(boxes_->pid()); }
};

TEST_F(BoxesTest, OneBoxRunsOneProgramAfterTheOther) {
  const auto before = baseline();
  auto box = open();
  ASSERT_NE(box, nullptr);
  const auto first = run(*box, "echo hello; echo oops >&2; echo kept > f; exit 3");
  EXPECT_EQ(first.cause, ExecCause::exited);
  EXPECT_EQ(first.code, 3);
  EXPECT_EQ(first.out, "hello\n");
  EXPECT_EQ(first.err, "oops\n");
  EXPECT_EQ(run(*box, "cat f").out, "kept\n");
  EXPECT_EQ(run(*box, "kill -TERM $$").signal, SIGTERM);
  auto none = shell("");
  none.argv = {"/no/such/program"};
  const auto failed = execute(*box, none);
  ASSERT_TRUE(failed.ok());
  EXPECT_EQ(failed->cause, ExecCause::spawn_error);
  EXPECT_EQ(failed->error, ENOENT);
  EXPECT_EQ(failed->stage, "exec");
  const auto end = box->close();
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_GT(end->cpu_us, 0);
  box.reset();
  EXPECT_EQ(baseline(), before);
}

TEST_F(BoxesTest, InputGoesInAndAProgramThatDoesNotReadItIsNoHarm) {
  auto box = open();
  ASSERT_NE(box, nullptr);
  std::string much(1 << 20, 'x');
  EXPECT_EQ(run(*box, "wc -c", {}, much).out, "1048576\n");
  EXPECT_EQ(run(*box, "exit 4", {}, much).code, 4);
  EXPECT_EQ(run(*box, "exec 0<&-; sleep 0.1; echo done", {}, much).out, "done\n");
}

TEST_F(BoxesTest, OutputAndTimeAreBounded) {
  auto box = open();
  ASSERT_NE(box, nullptr);
  ExecLimits limits;
  limits.output_bytes = 1000;
  const auto much = run(*box, "head -c 100000 /dev/zero | tr '\\0' a", limits);
  EXPECT_EQ(much.out_bytes, 100'000U);
  EXPECT_EQ(much.out,
            std::string(500, 'a') + "\n[... 99000 bytes left out ...]\n" + std::string(500, 'a'));
  limits.wall = Milliseconds(150);
  EXPECT_EQ(run(*box, "trap '' TERM; while :; do :; done", limits).cause, ExecCause::wall_timeout);
  EXPECT_EQ(run(*box, "echo still here").out, "still here\n");  // the box lives on
}

TEST_F(BoxesTest, TheMemoryLimitIsNamedOnceTheBoxHasEnded) {
  BoxSpec spec;
  spec.limits.memory_mib = 32;
  auto box = open(spec);
  ASSERT_NE(box, nullptr);
  auto hog = run(*box, "exec python3 -c 'x = bytearray(200 << 20)'");
  EXPECT_NE(hog.cause, ExecCause::exited);
  const auto end = box->close();
  ASSERT_TRUE(end.ok());
  EXPECT_GT(end->oom_kills, 0);
  explain(hog, *end);
  EXPECT_EQ(hog.cause, ExecCause::memory_limit);
}

TEST_F(BoxesTest, MountsAreAsAskedAndAWrongOneIsNamed) {
  const auto folder = std::filesystem::temp_directory_path() / "boxes_test_mount";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "f") << "outside";
  BoxSpec spec;
  spec.mounts = {{folder, "/data", false}};
  auto box = open(spec);
  ASSERT_NE(box, nullptr);
  EXPECT_EQ(run(*box, "cat /data/f; touch /data/g || echo read-only").out, "outsideread-only\n");
  spec.mounts = {{"/no/such/folder", "/data", false}};
  const auto refused = boxes_->open(spec);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("mount"), std::string::npos) << refused.error().message;
  spec.mounts = {{folder, "relative", false}};
  EXPECT_FALSE(boxes_->open(spec).ok());
  std::filesystem::remove_all(folder);
}

TEST_F(BoxesTest, BoxesAreApart) {
  auto one = open();
  auto other = open();
  ASSERT_TRUE(one != nullptr && other != nullptr);
  run(*one, "echo mine > secret; echo mine > /tmp/secret; echo mine > /dev/shm/secret");
  EXPECT_EQ(run(*other, "ls /work /tmp /dev/shm").out, "/dev/shm:\n\n/tmp:\n\n/work:\n");
  // Two boxes share a network in which nobody is: abstract names are still apart.
  const char* server =
      "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('\\0seedbed'); "
      "s.listen(); print('up', flush=True); time.sleep(20)";
  const char* client = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('\\0seedbed')";
  run(*one, std::string("python3 -c \"") + server + "\" > log 2>&1 & sleep 0.3; cat log");
  EXPECT_EQ(run(*one,
                "for i in 1 2 3 4 5 6 7 8 9 10; do grep -q up log && break; sleep 0.2; done; "
                "cat log")
                .out,
            "up\n");
  const auto refused = run(*other, std::string("python3 -c \"") + client + "\"");
  EXPECT_NE(refused.code, 0);
  EXPECT_TRUE(refused.err.find("PermissionError") != std::string::npos ||
              refused.err.find("ConnectionRefused") != std::string::npos)
      << refused.err;
}

TEST_F(BoxesTest, ADeadServerTakesItsBoxesAlong) {
  auto box = open();
  ASSERT_NE(box, nullptr);
  EXPECT_EQ(run(*box, "sleep 60 > /dev/null 2>&1 & echo on").out, "on\n");
  EXPECT_GE(baseline().processes, 2U);
  ::kill(boxes_->pid(), SIGKILL);
  for (int i = 0; i < 200 && baseline().processes > 0; ++i) ::usleep(10'000);
  EXPECT_EQ(baseline().processes, 0U);
  EXPECT_FALSE(boxes_->open(BoxSpec{}).ok());
  box.reset();
  // The next server sweeps the groups of the dead one.
  const int dead = boxes_->pid();
  boxes_.reset();
  auto next = Boxes::start();
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(traces(dead).groups, 0U);
}

TEST_F(BoxesTest, APoolHandsOutFreshBoxesAndLeavesNothing) {
  const auto before = baseline();
  {
    PoolOptions options;
    options.ready = 4;
    options.open = 8;
    BoxPool pool(boxes_, BoxSpec{}, options);
    std::atomic<int> good = 0, other = 0;
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller)
      callers.emplace_back([&, caller] {
        for (int i = 0; i < 25; ++i) {
          auto box = pool.take();
          if (!box.ok()) {
            ADD_FAILURE() << box.error().message;
            return;
          }
          ExecLimits limits;
          limits.wall = Milliseconds(5000);
          const bool hang = (caller + i) % 10 == 9, crash = (caller + i) % 10 == 4;
          if (hang) limits.wall = Milliseconds(100);
          const auto done = execute(**box,
                                    shell(hang    ? "sleep 30"
                                          : crash ? "kill -SEGV $$"
                                                  : "ls /work; echo x > f; echo fine"),
                                    limits);
          if (!done.ok()) {
            ADD_FAILURE() << done.error().message;
            return;
          }
          const auto wanted = hang    ? ExecCause::wall_timeout
                              : crash ? ExecCause::signaled
                                      : ExecCause::exited;
          EXPECT_EQ(done->cause, wanted);
          if (wanted == ExecCause::exited) {
            EXPECT_EQ(done->out, "fine\n");
            ++good;
          } else {
            ++other;
          }
          pool.give_back(std::move(*box));
        }
      });
    for (auto& caller : callers) caller.join();
    EXPECT_EQ(good + other, 100);
    pool.drain();
    const auto metrics = pool.metrics();
    EXPECT_EQ(metrics.taken, 100);
    EXPECT_GE(metrics.made, 100);
    EXPECT_EQ(metrics.out, 0);
    EXPECT_EQ(metrics.failures, 0);
    EXPECT_FALSE(pool.take(Milliseconds(10)).ok());
  }
  EXPECT_EQ(baseline(), before);
}

TEST_F(BoxesTest, APoolHoldsBackAndReplacesWhatIsOldOrDead) {
  PoolOptions options;
  options.ready = 2;
  options.open = 2;
  options.max_age = Milliseconds(300);
  BoxPool pool(boxes_, BoxSpec{}, options);
  auto one = pool.take();
  auto two = pool.take();
  ASSERT_TRUE(one.ok() && two.ok());
  const auto busy = pool.take(Milliseconds(50));
  ASSERT_FALSE(busy.ok());
  EXPECT_NE(busy.error().message.find("none came free"), std::string::npos);
  pool.give_back(std::move(*one));
  auto three = pool.take();
  ASSERT_TRUE(three.ok()) << three.error().message;
  pool.give_back(std::move(*two));
  pool.give_back(std::move(*three));
  for (int i = 0; i < 100 && pool.metrics().expired == 0; ++i) ::usleep(50'000);
  EXPECT_GT(pool.metrics().expired, 0);
}

TEST_F(BoxesTest, APoolThatCannotMakeBoxesSaysWhy) {
  BoxSpec spec;
  spec.mounts = {{"/no/such/folder", "/data", false}};
  BoxPool pool(boxes_, spec, {});
  const auto none = pool.take();
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message.find("mount"), std::string::npos);
  EXPECT_GT(pool.metrics().failures, 0);
}

}  // namespace
}  // namespace seedbed::sandbox
