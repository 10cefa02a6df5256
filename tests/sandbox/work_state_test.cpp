// The state of a box's /work as a value: digests prove resets, states begin other boxes, and what
// hostile programs put there stays there.
#include "sandbox/hosts/work_state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "boxes_kit.h"
#include "sandbox/box_exec.h"
#include "sandbox/hosts/box_reset.h"
#include "sandbox/hosts/shell_host.h"

namespace seedbed::sandbox {
namespace {

class WorkStateTest : public WithBoxes {
 protected:
  void SetUp() override {
    WithBoxes::SetUp();
    if (boxes_ != nullptr) box_ = open();
  }
  std::unique_ptr<LiveBox> open(const BoxSpec& spec = {}) {
    auto opened = boxes_->open(spec);
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return std::move(*opened);
  }
  static std::string sh(LiveBox& box, const std::string& script) {
    Command command;
    command.argv = {"/bin/sh", "-c", script};
    const auto done = execute(box, command);
    EXPECT_TRUE(done.ok());
    EXPECT_EQ(done->code, 0) << script << ": " << done->err;
    return done->out;
  }
  static WorkState state(LiveBox& box) {
    auto read = read_work(box.work());
    EXPECT_TRUE(read.ok()) << read.error().message;
    return read.ok() ? *read : WorkState{};
  }
  std::unique_ptr<LiveBox> box_;
};

constexpr const char* kTree =
    "mkdir -p src/deep empty; echo one > src/a; printf 'two\\0bytes' > src/deep/b; ln -s ../src/a "
    "src/link; ln -s /etc/passwd out; "
    "chmod 755 src/a; chmod 500 src/deep; chmod 4640 src/deep/b; touch \"$(printf 'odd\\nname "
    "\\377')\"";

TEST_F(WorkStateTest, ADigestIsOfTheTreeAndOfNothingElse) {
  const std::string nothing = state(*box_).digest();
  sh(*box_, kTree);
  const std::string made = state(*box_).digest();
  EXPECT_NE(made, nothing);
  auto other = open();
  sh(*other, kTree);
  EXPECT_EQ(state(*other).digest(), made) << "owners and times are no part of it";
  for (const char* change :
       {"echo x >> src/a", "chmod 700 src/a", "mv src/a src/c", "rm src/link; ln -s src/a src/link",
        "mkdir more", "rm -r empty", "rm src/link; cp src/a src/link"}) {
    auto changed = open();
    sh(*changed, std::string(kTree) + "; " + change);
    EXPECT_NE(state(*changed).digest(), made) << change;
  }
}

TEST_F(WorkStateTest, AResetIsProvenByTheDigest) {
  sh(*box_, kTree);
  const WorkState start = state(*box_);
  EXPECT_EQ(start.entries.size(), 8U);
  sh(*box_,
     "chmod -R u+w src; rm -rf src/a src/deep; echo 7 > new; mkdir -p d/e/f; touch d/e/f/g; chmod "
     "0 d/e; mkfifo pipe");
  EXPECT_FALSE(write_work(box_->work(), start).has_value());
  EXPECT_EQ(state(*box_).digest(), start.digest());
  EXPECT_EQ(sh(*box_,
               "cat src/link; stat -c %a src/deep src/deep/b; [ -O src/deep/b ] && [ -O src ] && "
               "echo mine"),
            "one\n500\n4640\nmine\n");
}

TEST_F(WorkStateTest, AStateBeginsAnotherBox) {
  sh(*box_, "mkdir -p repo; echo 'x = 1' > repo/m.py");
  const WorkState fork = state(*box_);
  sh(*box_, "echo 'x = 2' > repo/m.py");
  auto other = open();
  ASSERT_FALSE(write_work(other->work(), fork).has_value());
  EXPECT_EQ(sh(*other, "cat repo/m.py; echo more >> repo/m.py"), "x = 1\n");
  EXPECT_EQ(sh(*box_, "cat repo/m.py"), "x = 2\n");
}

TEST_F(WorkStateTest, WhatIsBeyondTheBoundsIsRefused) {
  WorkBounds bounds;
  bounds.entries = 10;
  bounds.bytes = 1000;
  bounds.depth = 3;
  const auto why = [&](const std::string& script) {
    auto box = open();
    sh(*box, script);
    const auto read = read_work(box->work(), bounds);
    EXPECT_FALSE(read.ok()) << script;
    return read.ok() ? "" : read.error().message;
  };
  EXPECT_NE(why("for i in 1 2 3 4 5 6 7 8 9 10 11; do touch f$i; done").find("entries"),
            std::string::npos);
  EXPECT_NE(why("head -c 600 /dev/zero > a; head -c 600 /dev/zero > b").find("bytes"),
            std::string::npos);
  EXPECT_NE(why("mkdir -p a/b/c/d").find("folders in folders"), std::string::npos);
  EXPECT_NE(why("mkfifo p").find("pipe"), std::string::npos);
}

TEST_F(WorkStateTest, LinksAreNeverFollowed) {
  const WorkState empty = state(*box_);
  sh(*box_, "ln -s / root; ln -s /tmp tmp; mkdir -p x; ln -s ../.. x/up; touch /tmp/stays");
  EXPECT_EQ(state(*box_).entries.size(), 4U);
  ASSERT_FALSE(write_work(box_->work(), empty).has_value());
  EXPECT_EQ(sh(*box_, "ls -A /work | wc -l; ls /tmp"), "0\nstays\n");
  EXPECT_EQ(state(*box_).digest(), empty.digest());
}

TEST_F(WorkStateTest, DeepTreesGo) {
  const WorkState empty = state(*box_);
  sh(*box_, "python3 -c \"import os\nfor i in range(900):\n  os.mkdir('d'); os.chdir('d')\"");
  ASSERT_FALSE(write_work(box_->work(), empty).has_value());
  EXPECT_EQ(sh(*box_, "ls -A | wc -l"), "0\n");
}

TEST_F(WorkStateTest, AResetLeavesNothingBehind) {
  sh(*box_, "mkdir a; echo 1 > a/one");
  const WorkState before = state(*box_);
  sh(*box_,
     "echo 2 > a/one; echo x > /tmp/left; mkdir -p /tmp/d/e /dev/shm/f; echo y > /tmp/d/e/g; "
     "ln -s /etc/passwd /dev/shm/link; mkfifo /tmp/pipe; chmod 0 /tmp/d/e /tmp/d; "
     "(sleep 100; echo late > /tmp/late) >/dev/null 2>&1 &");
  const auto failed = reset_box(*box_, before);
  ASSERT_FALSE(failed) << failed->message;
  EXPECT_EQ(state(*box_).digest(), before.digest());
  EXPECT_EQ(sh(*box_, "cat a/one; ls -A /tmp /dev/shm; ps -e 2>/dev/null | grep -c sleep || true"),
            "1\n/dev/shm:\n\n/tmp:\n0\n");
}

TEST_F(WorkStateTest, AResetEndsWhatFillsABox) {
  BoxSpec spec;
  spec.limits.pids = 8;
  auto box = open(spec);
  const WorkState before = state(*box);
  // Whatever place becomes free is taken at once by those that are left.
  const std::string fill =
      "exec python3 -c \"import os, time\ntry:\n  while os.fork(): pass\nexcept OSError:\n  "
      "os._exit(0)\nwhile True:\n  try: os.fork()\n  except OSError: pass\n  "
      "time.sleep(0.001)\" >/dev/null";
  for (int round = 0; round < 5; ++round) {
    sh(*box, "echo x > /tmp/left; " + fill);
    ::usleep(20'000);
    const auto failed = reset_box(*box, before);
    ASSERT_FALSE(failed) << failed->message;
    EXPECT_EQ(sh(*box, "echo /tmp/*"), "/tmp/*\n");
  }
}

TEST_F(WorkStateTest, AResetThatCannotBeSaysWhy) {
  BoxSpec spec;
  spec.limits.pids = 0;  // room for pid 1 alone
  auto box = open(spec);
  const auto failed = reset_box(*box, WorkState{});
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->where, Where::sandbox);
  EXPECT_NE(failed->message.find("spawn_error at fork: EAGAIN"), std::string::npos)
      << failed->message;
}

}  // namespace
}  // namespace seedbed::sandbox
