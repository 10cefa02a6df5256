// seedbed-box run ...: one command in a jail of its own, for people and scripts. One process, one
// thread, static, so that it starts at once: it is the supervisor of the one box that it makes.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "sandbox/box/artefacts.h"
#include "sandbox/box/output.h"
#include "sandbox/box/run_options.h"
#include "sandbox/broker/errno_name.h"
#include "sandbox/broker/landlock.h"

namespace seedbed::sandbox::box {
namespace {

constexpr int kTimeLimit = 124, kNoJail = 125, kCannotRun = 126, kNotThere = 127;
constexpr std::int64_t kPatienceUs = 2'000'000;  // for pid 1 to end a program after its time
constexpr int kTickMs = 20;                      // between looks at the tree's processor time

std::int64_t now_us() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000;
}

int complain(const std::string& what) {
  const std::string line = "seedbed: " + what + "\n";
  static_cast<void>(::write(2, line.data(), line.size()));
  return kNoJail;
}

struct Layer {
  std::string name, state, why;
};

struct Outcome {
  std::string cause = "exited", stage;
  int code = 0, signal = 0, error = 0;
  Told end;
  std::vector<std::string> notes;
  std::int64_t wall_us = 0, cpu_us = -1, peak_bytes = -1;
};

// The machine as far as one box must know it: what cannot be had at this level is refused by name.
class Machine {
 public:
  explicit Machine(const RunOptions& options) : options_(options) {
    Plan& p = plan_;
    p.root = ::geteuid() == 0;
    p.user_ns = !p.root;
    p.mount_ns = p.pid_ns = p.net_ns = p.ipc_ns = p.uts_ns = p.cgroup_ns = p.own_root = true;
    const int abi = landlock_abi();
    p.landlock = abi >= 0;
    layer("user_uid", p.root ? "on" : "weak",
          p.root ? "" : "not root: programs and pid 1 share a uid");
    layer("namespaces", "on", "");
    group("cgroup_memory", groups.memory());
    group("cgroup_pids", groups.pids());
    group("cgroup_kill", groups.kill_switch());
    layer("landlock",
          abi < 0   ? "off"
          : abi < 6 ? "weak"
                    : "on",
          abi < 0   ? errno_name(-abi)
          : abi < 6 ? "ABI " + std::to_string(abi) + " has no scopes"
                    : "");
    layer("seccomp", "on", "");
    layer("no_new_privs", "on", "");
    layer("no_caps", "on", "");
  }

  // Empty: good enough.
  [[nodiscard]] std::string refusal() const {
    if (options_.level != Level::strict) return "";
    for (const Layer& l : layers) {
      if (l.state == "on" || (l.name == "user_uid" && l.state == "weak")) continue;
      return "jail '" + l.name + "': " + l.state + (l.why.empty() ? "" : " (" + l.why + ")") +
             ", strict isolation wants it; `seedbed doctor` tells what to do, or run with "
             "--isolation standard";
    }
    return "";
  }

  void layer(const std::string& name, const std::string& state, const std::string& why) {
    layers.push_back({name, state, why});
  }
  [[nodiscard]] const Plan& plan() const { return plan_; }
  Cgroups groups{Cgroups::Layout::one};
  std::vector<Layer> layers;

 private:
  void group(const std::string& name, const Cgroups::Controller& c) {
    layer(name, c.tree.empty() ? "off" : "on",
          c.tree.empty() ? c.why + ": " + errno_name(c.error) : "");
  }
  const RunOptions& options_;
  Plan plan_;
};

// A box that could not be made, in words: what, where, found, what to do.
std::string could_not(const Failure& failure) {
  const bool denied = failure.stage == "clone3" || failure.stage == "user_uid";
  return "jail '" + (failure.stage == "clone3" ? std::string("namespaces") : failure.stage) +
         "': " + errno_name(failure.error) +
         (denied ? "; run as root, or allow user namespaces (sysctl user.max_user_namespaces, "
                   "kernel.apparmor_restrict_unprivileged_userns, the container's seccomp profile)"
                 : "; `seedbed doctor` shows what this machine offers");
}

struct Streams {  // the program's three ends, and ours of the two that are captured
  std::array<Fd, 3> theirs;
  std::array<Fd, 2> ours;
  std::array<BoundedText, 2> texts;
  explicit Streams(std::size_t cap) : texts{BoundedText(cap), BoundedText(cap)} {}

  bool open(bool capture) {
    for (int i = 0; i < 3; ++i) {
      const auto at = static_cast<std::size_t>(i);
      std::array<int, 2> made{};
      if (i == 0 || !capture) {
        theirs.at(at).reset(::fcntl(i, F_DUPFD_CLOEXEC, 16));
        if (!theirs.at(at)) theirs.at(at).reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
        if (!theirs.at(at)) return false;
        continue;
      }
      if (::pipe2(made.data(), O_CLOEXEC) != 0) return false;
      ours.at(at - 1).reset(made[0]);
      theirs.at(at).reset(made[1]);
      ::fcntl(made[0], F_SETFL, O_NONBLOCK);
    }
    return true;
  }
  void read(std::size_t i) {
    std::array<char, 65536> piece{};
    for (int round = 0; round < 16; ++round) {
      const ssize_t n = ::read(ours.at(i).get(), piece.data(), piece.size());
      if (n > 0) {
        texts.at(i).add(std::string_view(piece.data(), static_cast<std::size_t>(n)));
        continue;
      }
      if (n == 0 || (errno != EAGAIN && errno != EINTR)) ours.at(i).reset();
      return;
    }
  }
};

// Until the command has ended and all that it left inside is dead.
void follow(Box& box, const RunOptions& options, Streams& streams, int signals, Outcome& out) {
  const std::int64_t begin = now_us();
  const std::int64_t deadline = begin + options.wall_ms * 1000;
  const auto end_by = [&](const char* cause) {
    if (out.cause == "exited") out.cause = cause;  // the first cause wins
    box.ask(Op::kill_all, 0, SIGKILL);
  };
  bool ended = false;
  while (!ended) {
    const std::int64_t left = deadline - now_us();
    if (left <= 0) end_by("wall_timeout");
    if (left <= -kPatienceUs) box.kill();  // pid 1 itself is stuck
    if (options.cpu_ms > 0 && box.cpu_us() > options.cpu_ms * 1000) end_by("cpu_timeout");
    const std::int64_t wait = left <= 0 ? 500 : (left + 999) / 1000;
    std::array<pollfd, 5> polled = {{{box.control(), POLLIN, 0},
                                     {box.pidfd(), POLLIN, 0},
                                     {signals, POLLIN, 0},
                                     {streams.ours[0].get(), POLLIN, 0},
                                     {streams.ours[1].get(), POLLIN, 0}}};
    const auto ms =
        static_cast<int>(options.cpu_ms > 0 ? std::min<std::int64_t>(kTickMs, wait) : wait);
    if (::poll(polled.data(), polled.size(), ms) < 0 && errno != EINTR) break;
    for (std::size_t i = 0; i < 2; ++i)
      if (polled.at(3 + i).revents != 0) streams.read(i);
    if (polled[2].revents != 0) {
      signalfd_siginfo info{};
      static_cast<void>(::read(signals, &info, sizeof info));
      end_by("cancelled");
    }
    Told told;
    while (polled[0].revents != 0 && box.hear(told)) {
      if (told.what == Tell::failed) {
        out.cause = "spawn_error";
        out.stage = told.stage.data();
        out.error = told.error;
        ended = true;
      } else if (told.what == Tell::ended) {
        out.end = told;
        ended = true;
      }
    }
    if (!ended && polled[1].revents != 0) {
      if (out.cause == "exited") {
        out.cause = box.oom_kills() > 0 ? "memory_limit" : "infra_error";
        out.stage = "pid 1 ended";
      }
      ended = true;
    }
  }
  box.ask(Op::kill_all, 0, SIGKILL);
  out.wall_us = now_us() - begin;
  streams.theirs = {};
  for (std::size_t i = 0; i < 2; ++i)
    if (streams.ours.at(i)) streams.read(i);
}

void explain(const Box& box, const RunOptions& options, Outcome& out) {
  // Nothing but the exit code is told then, and looking costs.
  if (!options.json && out.cause == "exited" && out.end.code == CLD_EXITED) {
    out.code = out.end.status;
    return;
  }
  out.cpu_us = box.cpu_us();
  out.peak_bytes = box.peak_bytes();
  const bool oom = box.oom_kills() > 0;
  if (box.pids_refused() > 0)
    out.notes.push_back("pids limit " + std::to_string(options.request.limits.pids) + " reached");
  if (oom && out.cause != "memory_limit")
    out.notes.push_back("a process met the memory limit of " +
                        std::to_string(options.request.limits.memory_mib) + " MiB");
  if (out.cause != "exited") return;
  if (out.end.code == CLD_EXITED) {
    out.code = out.end.status;
    return;
  }
  out.signal = out.end.status;
  out.cause = oom && out.signal == SIGKILL ? "memory_limit"
              : out.signal == SIGSYS       ? "seccomp_violation"
              : out.signal == SIGXCPU      ? "cpu_timeout"
                                           : "signaled";
}

int exit_code(const Outcome& out) {
  if (out.cause == "exited") return out.code;
  if (out.cause == "wall_timeout" || out.cause == "cpu_timeout") return kTimeLimit;
  if (out.cause == "spawn_error")
    return out.stage != "exec" ? kNoJail : out.error == ENOENT ? kNotThere : kCannotRun;
  if (out.cause == "cancelled") return 128 + SIGTERM;
  if (out.cause == "infra_error") return kNoJail;
  return 128 + (out.signal != 0 ? out.signal : SIGKILL);
}

std::string pair(const char* key, std::int64_t value) {
  return "\"" + std::string(key) + "\": " + std::to_string(value);
}
std::string pair(const char* key, const std::string& value) {
  return "\"" + std::string(key) + "\": " + json_string(value);
}

std::string collect(const Box& box, const RunOptions& options) {
  std::string list;
  for (const std::string& path : options.collect) {
    std::string name = path;
    std::replace(name.begin(), name.end(), '/', '_');
    const std::string to = options.out + "/" + name;
    const Taken taken =
        copy_artefact(box.work(), path, static_cast<std::uint64_t>(options.collect_kib) << 10, to);
    list += list.empty() ? "" : ", ";
    list += "{" + pair("path", path) + ", ";
    if (taken.error == 0)
      list += pair("file", to) + ", " + pair("bytes", static_cast<std::int64_t>(taken.bytes)) + "}";
    else
      list += pair("refused", taken.why) + "}";
    if (taken.error != 0 && !options.json) complain("artefact '" + path + "': " + taken.why);
  }
  return "[" + list + "]";
}

std::string object(const Outcome& out,
                   const Machine& machine,
                   const Streams& streams,
                   const std::string& collected) {
  std::string text = "{" + pair("cause", out.cause);
  if (out.cause == "exited") text += ", " + pair("code", out.code);
  if (out.signal != 0) text += ", " + pair("signal", out.signal);
  if (!out.stage.empty()) text += ", " + pair("stage", out.stage);
  if (out.error != 0) text += ", " + pair("errno", errno_name(out.error));
  constexpr const char* kNames[] = {"out", "err"};
  for (std::size_t i = 0; i < 2; ++i) {
    const BoundedText& t = streams.texts.at(i);
    const std::string name = kNames[i], whole = t.text();
    text += ", " + pair(name.c_str(), whole);
    if (!is_utf8(whole)) text += ", " + pair((name + "_base64").c_str(), base64(whole));
    text += ", " + pair((name + "_bytes").c_str(), static_cast<std::int64_t>(t.total()));
    text += ", \"" + name + "_truncated\": " + (t.cut() ? "true" : "false");
  }
  text += ", \"usage\": {" + pair("wall_us", out.wall_us) + ", " +
          pair("user_us", out.end.user_us) + ", " + pair("system_us", out.end.system_us) + ", " +
          pair("max_rss_kib", out.end.max_rss_kib);
  if (out.cpu_us >= 0) text += ", " + pair("tree_cpu_us", out.cpu_us);
  if (out.peak_bytes >= 0) text += ", " + pair("peak_bytes", out.peak_bytes);
  text += "}, \"notes\": [";
  for (std::size_t i = 0; i < out.notes.size(); ++i)
    text += (i == 0 ? "" : ", ") + json_string(out.notes[i]);
  text += "], \"enforced\": {";
  for (std::size_t i = 0; i < machine.layers.size(); ++i) {
    const Layer& l = machine.layers[i];
    text +=
        (i == 0 ? "" : ", ") + pair(l.name.c_str(), l.state + (l.why.empty() ? "" : ": " + l.why));
  }
  return text + "}, \"collected\": " + collected + "}\n";
}

}  // namespace

int run(int argc, char** argv) {
  RunOptions options;
  if (std::string error = read_options(argc, argv, options); !error.empty()) {
    complain(error);
    return 2;
  }
  if (options.help) {
    const std::string help = run_help();
    return ::write(1, help.data(), help.size()) < 0 ? 1 : 0;
  }
  // What marks the trees of control groups as in use, whatever the program's file is called.
  ::prctl(PR_SET_NAME, "seedbed-box");
  sigset_t ends;
  ::sigemptyset(&ends);
  for (const int sig : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) ::sigaddset(&ends, sig);
  ::sigprocmask(SIG_BLOCK, &ends, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  const Fd signals(::signalfd(-1, &ends, SFD_CLOEXEC));

  Machine machine(options);
  if (const std::string refused = machine.refusal(); !refused.empty()) return complain(refused);
  if (machine.groups.memory().tree.empty())
    options.request.limits.address_bytes =
        static_cast<std::uint64_t>(options.request.limits.memory_mib) << 20;
  // Uids of boxes of different supervisors are apart as far as their pids are.
  const auto slot = static_cast<unsigned>(::getpid() % 4'000'000);
  options.request.uid = 700'000'000U + 2 * slot;
  options.request.init_uid = options.request.uid + 1;
  options.request.once = true;
  Streams streams(static_cast<std::size_t>(options.output_kib) << 10);
  if (!streams.open(options.json)) return complain("pipes: " + errno_name(errno));

  Outcome out;
  int code = 0;
  {
    Box box(machine.plan(), machine.groups, 1);
    const auto open = [&]() -> Failure {
      Failure f = box.start(options.request);
      if (f.error == 0)
        f = box.spawn(1, options.argv, options.env, options.directory,
                      {streams.theirs[0].get(), streams.theirs[1].get(), streams.theirs[2].get()});
      return f.error == 0 ? box.ready() : f;
    };
    Failure failure = open();
    if (failure.stage == "proc" && options.level == Level::standard) {
      machine.layer("proc", "off", errno_name(failure.error));
      options.request.proc = false;
      failure = open();
    }
    streams.theirs = {};
    if (failure.error != 0) return complain(could_not(failure));
    machine.groups.sweep();
    follow(box, options, streams, signals.get(), out);
    explain(box, options, out);
    code = exit_code(out);
    const std::string collected = collect(box, options);
    if (options.json) {
      const std::string text = object(out, machine, streams, collected);
      static_cast<void>(::write(1, text.data(), text.size()));
    }
  }
  if (!options.json && out.cause != "exited" && out.cause != "signaled")
    complain(out.cause + (out.stage.empty() ? "" : " at " + out.stage) +
             (out.error != 0 ? ": " + errno_name(out.error) : ""));
  return code;
}

}  // namespace seedbed::sandbox::box
