#include "cli/sandbox_mixed.h"

#include <csignal>
#include <mutex>
#include <thread>

#include "sandbox/box_exec.h"
#include "sandbox/box_pool.h"
#include "sandbox/box_traces.h"

namespace seedbed::cli {
namespace {

using sandbox::ExecCause;
using sandbox::Milliseconds;

enum class Kind { good, crash, hang, flood, fork };

Kind kind_of(int call) {
  switch (call % 10) {
    case 3:
      return Kind::crash;
    case 5:
      return Kind::hang;
    case 7:
      return Kind::flood;
    case 9:
      return Kind::fork;
    default:
      return Kind::good;
  }
}

const char* script_of(Kind kind) {
  switch (kind) {
    case Kind::good:
      return "echo fine > f; cat f";
    case Kind::crash:
      return "kill -SEGV $$";
    case Kind::hang:
      return "trap '' TERM; sleep 1000";
    case Kind::flood:
      return "head -c 2000000 /dev/zero";
    case Kind::fork:
      return "f() { f & f & wait; }; f 2>/dev/null";
  }
  return "";
}

// What must be seen of a call of a kind; empty: it was.
std::string judge(Kind kind, const sandbox::Execution& run, const sandbox::BoxEnd& end) {
  const auto cause =
      std::string(sandbox::enum_names(run.cause)[static_cast<std::size_t>(run.cause)]);
  bool right = false;
  switch (kind) {
    case Kind::good:
      right = run.cause == ExecCause::exited && run.code == 0 && run.out == "fine\n";
      break;
    case Kind::crash:
      right = run.cause == ExecCause::signaled && run.signal == SIGSEGV;
      break;
    case Kind::hang:
      right = run.cause == ExecCause::wall_timeout;
      break;
    case Kind::flood:
      right =
          run.cause == ExecCause::exited && run.out_bytes == 2'000'000 && run.out.size() < 300'000;
      break;
    case Kind::fork:
      right = end.pids_refused > 0;
      break;
  }
  return right ? ""
               : "kind " + std::to_string(static_cast<int>(kind)) + " ended as " + cause +
                     ", code " + std::to_string(run.code) + ", signal " +
                     std::to_string(run.signal) + ", " + std::to_string(run.out_bytes) +
                     " bytes, " + std::to_string(end.pids_refused) + " forks refused";
}

}  // namespace

Result<MixedResult> mixed_calls(Output& out,
                                const std::shared_ptr<sandbox::Boxes>& boxes,
                                int calls,
                                int callers,
                                int ready,
                                bool mixed,
                                const std::atomic<bool>& stop) {
  MixedResult result;
  const sandbox::Traces before = sandbox::traces(boxes->pid());
  std::mutex mutex;
  std::optional<Error> failed;
  {
    sandbox::BoxSpec spec;
    spec.limits.pids = 24;
    sandbox::PoolOptions options;
    options.ready = ready;
    sandbox::BoxPool pool(boxes, spec, options);
    Progress progress(out, mixed ? "mixed calls" : "good calls", "calls");
    std::atomic<int> next = 0;
    const auto work = [&] {
      for (int i = next++; i < calls && !stop; i = next++) {
        const Kind kind = mixed ? kind_of(i) : Kind::good;
        sandbox::Command command;
        command.argv = {"/bin/sh", "-c", script_of(kind)};
        sandbox::ExecLimits limits;
        limits.wall = Milliseconds(kind == Kind::hang || kind == Kind::fork ? 100 : 30'000);
        auto box = pool.take();
        const auto run = box.ok() ? sandbox::execute(**box, command, limits)
                                  : Result<sandbox::Execution>(box.error());
        auto end = box.ok() ? pool.end(std::move(*box)) : Result<sandbox::BoxEnd>(box.error());
        const std::scoped_lock lock(mutex);
        progress.at(++result.calls, calls);
        if (!run.ok() || !end.ok()) {
          failed = run.ok() ? end.error() : run.error();
          next = calls;
          return;
        }
        if (kind == Kind::good) result.good_ms.push_back(static_cast<double>(run->wall_us) / 1000);
        const std::string wrong = judge(kind, *run, *end);
        if (!wrong.empty() && ++result.wrong == 1) result.first_wrong = wrong;
      }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < callers; ++i) threads.emplace_back(work);
    for (auto& thread : threads) thread.join();
  }
  if (failed) return *failed;
  const sandbox::Traces after = sandbox::traces(boxes->pid());
  const auto more = [&result](std::size_t was, std::size_t is, const char* what) {
    if (is <= was) return;
    result.left += static_cast<int>(is - was);
    result.what_is_left += std::to_string(is - was) + " " + what + " ";
  };
  more(before.descriptors, after.descriptors, "descriptors");
  more(before.mounts, after.mounts, "mounts");
  more(before.groups, after.groups, "groups");
  more(before.processes, after.processes, "processes");
  return result;
}

}  // namespace seedbed::cli
