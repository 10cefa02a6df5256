#include "sandbox/box_exec.h"

#include <fcntl.h>
#include <poll.h>

#include <csignal>

#include "sandbox/box/output.h"
#include "sandbox/without_sigpipe.h"

namespace seedbed::sandbox {
namespace {

using Clock = std::chrono::steady_clock;
constexpr Milliseconds kPatience{2000};  // for a killed program to end

struct Pipe {
  Fd ours, theirs;
};

bool make_pipe(Pipe& p, bool we_read) {
  std::array<int, 2> made{};
  if (::pipe2(made.data(), O_CLOEXEC) != 0) return false;
  p.ours.reset(made[we_read ? 0 : 1]);
  p.theirs.reset(made[we_read ? 1 : 0]);
  return ::fcntl(p.ours.get(), F_SETFL, O_NONBLOCK) == 0;
}

void read_some(Fd& from, box::BoundedText& text) {
  std::array<char, 65536> piece{};
  for (int round = 0; from && round < 16; ++round) {
    const ssize_t n = ::read(from.get(), piece.data(), piece.size());
    if (n > 0) {
      text.add(std::string_view(piece.data(), static_cast<std::size_t>(n)));
      continue;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) from.reset();
    return;
  }
}

void write_some(Fd& to, std::string_view& input) {
  const WithoutSigpipe quiet;
  while (to && !input.empty()) {
    const ssize_t n = ::write(to.get(), input.data(), input.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) input = {};  // it does not read
    input.remove_prefix(n < 0 ? 0 : static_cast<std::size_t>(n));
  }
  to.reset();
}

class Run {
 public:
  Run(LiveBox& box, const ExecLimits& limits, std::string_view input)
      : box_(box),
        limits_(limits),
        input_(input),
        out_(limits.output_bytes),
        err_(limits.output_bytes) {}

  Result<Execution> operator()(const Command& command) {
    Pipe in, out, err;
    if (!make_pipe(in, false) || !make_pipe(out, true) || !make_pipe(err, true))
      return make_error(Where::sandbox, "pipes", "", "cannot be made",
                        "raise the limit of open files");
    const auto begin = Clock::now();
    SEEDBED_TRY(job_, box_.spawn(command, {in.theirs.get(), out.theirs.get(), err.theirs.get()}));
    in_ = std::move(in.ours);
    outs_ = {std::move(out.ours), std::move(err.ours)};
    in.theirs.reset();
    out.theirs.reset();
    err.theirs.reset();
    follow(begin + limits_.wall);
    for (std::size_t i = 0; i < 2; ++i) read_some(outs_.at(i), i == 0 ? out_ : err_);
    result_.wall_us =
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
    result_.out_bytes = out_.total();
    result_.err_bytes = err_.total();
    result_.out = out_.text();
    result_.err = err_.text();
    return std::move(result_);
  }

 private:
  void follow(Clock::time_point deadline) {
    while (!over_) {
      const auto left = std::chrono::duration_cast<Milliseconds>(deadline - Clock::now());
      if (left.count() < 0) {
        if (timed_out_) {  // killed, and still there: the box is of no use any more
          result_.cause = ExecCause::box_ended;
          box_.hang_up();
          return;
        }
        timed_out_ = true;
        box_.signal(job_, SIGKILL);
        deadline = Clock::now() + kPatience;
        continue;
      }
      std::array<pollfd, 4> polled = {{{box_.control(), POLLIN, 0},
                                       {outs_[0].get(), POLLIN, 0},
                                       {outs_[1].get(), POLLIN, 0},
                                       {in_.get(), POLLOUT, 0}}};
      if (::poll(polled.data(), polled.size(), static_cast<int>(left.count()) + 1) < 0 &&
          errno != EINTR)
        return;
      if (polled[1].revents != 0) read_some(outs_[0], out_);
      if (polled[2].revents != 0) read_some(outs_[1], err_);
      if (polled[3].revents != 0) write_some(in_, input_);
      if (polled[0].revents != 0) hear();
    }
  }

  void hear() {
    while (const auto told = box_.next(Milliseconds(0))) {
      if (told->job != job_) continue;  // an earlier one's end
      if (told->what == box::Tell::failed) {
        result_.cause = ExecCause::spawn_error;
        result_.error = told->error;
        result_.stage = told->stage.data();
        over_ = true;
      } else if (told->what == box::Tell::ended) {
        end(*told);
      }
    }
    if (!box_.ended() || over_) return;
    result_.cause = ExecCause::box_ended;
    over_ = true;
  }

  void end(const box::Told& told) {
    over_ = true;
    result_.user_us = told.user_us;
    result_.system_us = told.system_us;
    result_.max_rss_kib = told.max_rss_kib;
    if (told.code == CLD_EXITED)
      result_.code = told.status;
    else
      result_.signal = told.status;
    result_.cause = timed_out_                 ? ExecCause::wall_timeout
                    : told.code == CLD_EXITED  ? ExecCause::exited
                    : result_.signal == SIGSYS ? ExecCause::seccomp_violation
                                               : ExecCause::signaled;
  }

  LiveBox& box_;
  const ExecLimits& limits_;
  std::string_view input_;
  box::BoundedText out_, err_;
  Execution result_;
  std::uint32_t job_ = 0;
  Fd in_;
  std::array<Fd, 2> outs_;
  bool over_ = false, timed_out_ = false;
};

}  // namespace

Result<Execution> execute(LiveBox& box,
                          const Command& command,
                          const ExecLimits& limits,
                          std::string_view input) {
  return Run(box, limits, input)(command);
}

void explain(Execution& execution, const BoxEnd& end) {
  const bool killed = execution.cause == ExecCause::signaled && execution.signal == SIGKILL;
  if (end.oom_kills > 0 && (killed || execution.cause == ExecCause::box_ended))
    execution.cause = ExecCause::memory_limit;
}

}  // namespace seedbed::sandbox
