// Jails for programs that nobody here wrote, held open: a server of boxes (seedbed-box, static and
// small, so that a box costs the same from a big process as from a small one), boxes that run one
// program after the other, and a pool that has some ready.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/box/order.h"
#include "sandbox/box/spawn.h"
#include "sandbox/jail.h"

namespace seedbed::sandbox {

using Milliseconds = std::chrono::milliseconds;

struct BoxMount {
  std::string source, target;  // absolute
  bool writable = false;
};

// What a box is. Boxes of one spec are exchangeable.
struct BoxSpec {
  box::Limits limits;
  box::Net net = box::Net::none;
  std::vector<BoxMount> mounts;
};

struct Command {
  std::vector<std::string> argv;
  std::vector<std::string> env = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/work",
                                  "LANG=C.UTF-8"};
  std::string directory = "/work";
};

// What is known of a box when nothing of it is left.
struct BoxEnd {
  std::int64_t oom_kills = 0, pids_refused = 0;
  std::int64_t cpu_us = -1, peak_bytes = -1;  // -1: nothing counts it
};

// One box. Dropping it ends everything inside. Not thread-safe.
class LiveBox {
 public:
  ~LiveBox();
  LiveBox(const LiveBox&) = delete;
  LiveBox& operator=(const LiveBox&) = delete;

  // Starts a program; `fds` (its standard input, output, error) stay the caller's. Returns the
  // job's number. A program that cannot start is told by next() (Tell::failed).
  Result<std::uint32_t> spawn(const Command& command, const std::array<int, 3>& fds);
  void signal(std::uint32_t job, int signal);  // the job's process group
  void kill_all();                             // everything inside but pid 1
  // Everything inside but pid 1, the job's own process and the process groups named (as they are
  // numbered inside; the first 32 count). next() says when it is done.
  void kill_rest(std::uint32_t job, const std::vector<int>& spared);
  // The next word of pid 1 within the time; nothing when it is up or the box has ended (`ended()`).
  std::optional<box::Told> next(Milliseconds time);
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] int control() const;  // readable where next() has a word; owned by the box
  [[nodiscard]] int work() const;     // /work inside, O_PATH; what lies there is untrusted
  // Pid 1 ends, and all inside with it; does not wait.
  void hang_up();
  // Ends it and waits until nothing of it is left. Once.
  Result<BoxEnd> close();
  [[nodiscard]] std::chrono::steady_clock::time_point born() const;

 private:
  friend class Boxes;
  struct State;
  explicit LiveBox(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
  bool ended_ = false;
};

// The server process. Thread-safe.
class Boxes : public std::enable_shared_from_this<Boxes> {
 public:
  // Refuses (Error{sandbox}) at `strict` where this machine gives no limits on a box's memory and
  // processes or no Landlock with scopes; `standard` does without them.
  static Result<std::shared_ptr<Boxes>> start(Isolation level = Isolation::strict);
  ~Boxes();  // every box ends
  Boxes(const Boxes&) = delete;
  Boxes& operator=(const Boxes&) = delete;

  // `count` boxes, made side by side; fewer only with an error.
  Result<std::vector<std::unique_ptr<LiveBox>>> open(const BoxSpec& spec, int count);
  Result<std::unique_ptr<LiveBox>> open(const BoxSpec& spec);
  [[nodiscard]] int pid() const;    // of the server
  [[nodiscard]] bool lost() const;  // open() found that it has ended: start another
  struct State;

 private:
  friend class LiveBox;
  struct Heard;
  explicit Boxes(std::unique_ptr<State> state);
  std::unique_ptr<LiveBox> take_over(Heard heard);
  std::unique_ptr<State> state_;
};

}  // namespace seedbed::sandbox
