#include "sandbox/boxes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "sandbox/box/ask.h"
#include "sandbox/box/serve.h"
#include "sandbox/broker/errno_name.h"
#include "sandbox/libexec.h"
#include "sandbox/spawn.h"

namespace seedbed::sandbox {
namespace {

constexpr int kAnswerMs = 30'000;  // above all that the server itself waits for
constexpr int kSideBySide = 16;    // boxes that start at once: what fits into the socket's buffer

Error server_error(const std::string& how) {
  return make_error(Where::sandbox, "server of boxes", "", how,
                    "run again; if it stays so, see `seedbed doctor`");
}

Error refused(const box::Answer& answer) {
  const std::string stage = answer.stage.data();
  const bool denied = stage == "clone3" || stage == "user_uid";
  return make_error(
      Where::sandbox, "jail", denied ? "namespaces" : stage, errno_name(answer.error),
      denied ? "run as root, or allow user namespaces (sysctl user.max_user_namespaces, "
               "kernel.apparmor_restrict_unprivileged_userns, the container's seccomp profile)"
             : "`seedbed doctor` shows what this machine offers");
}

Result<Fd> mount_words(const std::vector<BoxMount>& mounts, std::uint64_t& bytes) {
  std::string text;
  for (const auto& m : mounts) {
    if (m.source.empty() || m.target.empty() || m.target[0] != '/')
      return make_error(Where::usage, "mount", m.source + ":" + m.target,
                        "wanted two absolute paths", "name the host's path and the one inside");
    for (const std::string& word : {m.source, m.target, std::string(m.writable ? "w" : "r")})
      text.append(word.c_str(), word.size() + 1);
  }
  bytes = text.size();
  if (mounts.size() > box::kMaxMounts || bytes > box::kMaxMountWords)
    return make_error(Where::usage, "mounts", std::to_string(mounts.size()),
                      "wanted at most " + std::to_string(box::kMaxMounts),
                      "mount folders above them");
  if (text.empty()) return Fd();
  Fd file(::memfd_create("mounts", MFD_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return server_error("memory file: " + errno_name(errno));
  return file;
}

}  // namespace

struct Boxes::Heard {
  box::Answer answer;
  Fd control, work;
};

struct Boxes::State {
  std::mutex mutex;  // one question at a time
  Fd control;
  int pid = -1;
  std::uint32_t next = 1;
  std::set<std::uint32_t> waiting;         // opened, `closed` not yet heard
  std::map<std::uint32_t, BoxEnd> closed;  // heard, not yet asked for

  // Answers that nobody waited for must never be taken for another question's.
  Error lost(const std::string& how) {
    control.reset();
    return server_error(how);
  }

  // The next answer that is no `closed`; those are kept.
  Result<Heard> hear(std::uint32_t until_closed = 0) {
    for (;;) {
      if (!control) return server_error("is closed");
      if (!readable(control.get(), kAnswerMs)) return lost("does not answer");
      Heard heard;
      std::array<Fd, kMaxPassed> fds;
      std::size_t passed = 0;
      const ssize_t n =
          receive_packet(control.get(), &heard.answer, sizeof heard.answer, 0, fds, passed);
      if (n != static_cast<ssize_t>(sizeof heard.answer)) return lost("has ended");
      if (passed == 2) {
        heard.control = std::move(fds[0]);
        heard.work = std::move(fds[1]);
      }
      if (heard.answer.what != box::Word::closed) return heard;
      const box::Answer& a = heard.answer;
      if (waiting.erase(a.id) != 0)
        closed[a.id] = {a.oom_kills, a.pids_refused, a.cpu_us, a.peak_bytes};
      if (a.id == until_closed) return heard;
    }
  }

  bool send(const box::Wanted& wanted, int fd = -1) const {
    return send_packet(control.get(), &wanted, sizeof wanted, &fd, fd >= 0 ? 1 : 0) ==
           static_cast<ssize_t>(sizeof wanted);
  }
};

struct LiveBox::State {
  std::shared_ptr<Boxes> boxes;
  std::uint32_t id = 0, next_job = 1;
  Fd control, work;
  std::chrono::steady_clock::time_point born = std::chrono::steady_clock::now();
  bool closed = false;
};

LiveBox::LiveBox(std::unique_ptr<State> state) : state_(std::move(state)) {}

LiveBox::~LiveBox() {
  if (!state_->closed) static_cast<void>(close());
}

Result<std::uint32_t> LiveBox::spawn(const Command& command, const std::array<int, 3>& fds) {
  const std::uint32_t job = state_->next_job++;
  if (command.argv.empty())
    return make_error(Where::usage, "command", "", "is empty", "name a program");
  if (const int error = box::ask_spawn(state_->control.get(), job, command.argv, command.env,
                                       command.directory, fds)) {
    ended_ = error == EPIPE || error == ECONNRESET;
    return make_error(Where::sandbox, "box", "", "does not listen: " + errno_name(error),
                      "open another");
  }
  return job;
}

void LiveBox::signal(std::uint32_t job, int signal) {
  box::Ask ask;
  ask.op = box::Op::kill;
  ask.job = job;
  ask.signal = signal;
  ::send(state_->control.get(), &ask, sizeof ask, MSG_NOSIGNAL);
}

void LiveBox::kill_all() {
  box::Ask ask;
  ask.op = box::Op::kill_all;
  ::send(state_->control.get(), &ask, sizeof ask, MSG_NOSIGNAL);
}

void LiveBox::kill_rest(std::uint32_t job, const std::vector<int>& spared) {
  box::Ask ask;
  ask.op = box::Op::kill_rest;
  ask.job = job;
  std::copy_n(spared.begin(), std::min(spared.size(), ask.spared.size()), ask.spared.begin());
  ::send(state_->control.get(), &ask, sizeof ask, MSG_NOSIGNAL);
}

std::optional<box::Told> LiveBox::next(Milliseconds time) {
  if (ended_ || !readable(state_->control.get(), static_cast<int>(time.count())))
    return std::nullopt;
  box::Told told;
  const ssize_t n = ::recv(state_->control.get(), &told, sizeof told, MSG_DONTWAIT);
  if (n == static_cast<ssize_t>(sizeof told)) return told;
  ended_ = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
  return std::nullopt;
}

int LiveBox::control() const {
  return state_->control.get();
}
int LiveBox::work() const {
  return state_->work.get();
}
std::chrono::steady_clock::time_point LiveBox::born() const {
  return state_->born;
}

void LiveBox::hang_up() {
  state_->control.reset();
  ended_ = true;
}

Result<BoxEnd> LiveBox::close() {
  state_->closed = true;
  hang_up();
  Boxes::State& server = *state_->boxes->state_;
  const std::scoped_lock lock(server.mutex);
  if (server.closed.count(state_->id) == 0) {
    box::Wanted wanted;
    wanted.what = box::Wish::close;
    wanted.id = state_->id;
    if (!server.send(wanted)) return server_error("does not listen: " + errno_name(errno));
    SEEDBED_TRY(const auto heard, server.hear(state_->id));
    static_cast<void>(heard);
  }
  const auto found = server.closed.find(state_->id);
  if (found == server.closed.end()) return server_error("does not know this box");
  const BoxEnd end = found->second;
  server.closed.erase(found);
  return end;
}

Boxes::Boxes(std::unique_ptr<State> state) : state_(std::move(state)) {}

Boxes::~Boxes() {
  state_->control.reset();
  while (state_->pid > 0 && ::waitpid(state_->pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

int Boxes::pid() const {
  return state_->pid;
}

bool Boxes::lost() const {
  const std::scoped_lock lock(state_->mutex);
  return !state_->control;
}

Result<std::shared_ptr<Boxes>> Boxes::start(Isolation level) {
  SEEDBED_TRY(const std::string program, libexec_path("seedbed-box"));
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return server_error("socketpair: " + errno_name(errno));
  auto state = std::make_unique<State>();
  state->control.reset(pair[0]);
  const Fd theirs(pair[1]);
  SEEDBED_TRY(state->pid, spawn_helper(program, {"serve"}, theirs.get()));
  std::shared_ptr<Boxes> boxes(new Boxes(std::move(state)));
  SEEDBED_TRY(const auto hello, boxes->state_->hear());
  const box::Answer& a = hello.answer;
  if (level == Isolation::strict) {
    const char* missing = a.cgroup_memory == 0 ? "cgroup_memory"
                          : a.cgroup_pids == 0 ? "cgroup_pids"
                          : a.landlock_abi < 6 ? "landlock"
                                               : nullptr;
    if (missing != nullptr)
      return make_error(Where::sandbox, "jail", missing, "off or weak, strict isolation wants it",
                        "`seedbed doctor` tells what to do, or name --isolation standard");
  }
  return boxes;
}

Result<std::vector<std::unique_ptr<LiveBox>>> Boxes::open(const BoxSpec& spec, int count) {
  box::Wanted wanted;
  wanted.limits = spec.limits;
  wanted.net = spec.net;
  wanted.mounts = static_cast<std::uint32_t>(spec.mounts.size());
  SEEDBED_TRY(const Fd words, mount_words(spec.mounts, wanted.bytes));
  std::vector<std::unique_ptr<LiveBox>> out;  // ends what it holds after the lock is gone
  const std::scoped_lock lock(state_->mutex);
  std::optional<Error> failed;
  for (int asked = 0; asked < count && !failed;) {
    const int batch = std::min(count - asked, kSideBySide);
    for (int i = 0; i < batch; ++i) {
      wanted.id = state_->next++;
      if (!state_->send(wanted, words.get()))
        return state_->lost("does not listen: " + errno_name(errno));
    }
    for (int i = 0; i < batch; ++i) {
      SEEDBED_TRY(auto heard, state_->hear());
      if (heard.answer.what == box::Word::opened)
        out.push_back(take_over(std::move(heard)));
      else
        failed = refused(heard.answer);
    }
    asked += batch;
  }
  if (failed) return *failed;
  return out;
}

std::unique_ptr<LiveBox> Boxes::take_over(Heard heard) {
  auto live = std::make_unique<LiveBox::State>();
  live->boxes = shared_from_this();
  live->id = heard.answer.id;
  live->control = std::move(heard.control);
  live->work = std::move(heard.work);
  state_->waiting.insert(live->id);
  return std::unique_ptr<LiveBox>(new LiveBox(std::move(live)));
}

Result<std::unique_ptr<LiveBox>> Boxes::open(const BoxSpec& spec) {
  SEEDBED_TRY(auto one, open(spec, 1));
  return std::move(one.front());
}

}  // namespace seedbed::sandbox
