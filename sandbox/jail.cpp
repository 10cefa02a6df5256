#include "sandbox/jail.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "base/check.h"
#include "sandbox/broker/errno_name.h"
#include "sandbox/broker/packets.h"
#include "sandbox/broker/sys.h"
#include "sandbox/broker/wire.h"
#include "sandbox/libexec.h"
#include "sandbox/spawn.h"

namespace seedbed::sandbox {
namespace {

constexpr int kAnswerMs = 30'000;  // above all that the broker itself waits for

// The parent's half of the channel; shared by the broker's owner and every open jail. One question
// at a time.
class Channel {
 public:
  Channel(Fd control, int pid) : control_(std::move(control)), pid_(pid) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() { close(); }

  void close() {  // the broker ends its jails and itself; it is reaped here
    const std::scoped_lock lock(mutex_);
    if (!control_) return;
    control_.reset();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  struct Answer {
    wire::Reply reply;
    Fd socket, pidfd;
  };
  Result<Answer> ask(const wire::Request& request, int descriptor = -1) {
    const std::scoped_lock lock(mutex_);
    if (!control_) return gone("is closed");
    if (!send(request, descriptor)) return gone("does not listen: " + errno_name(errno));
    if (!readable(control_.get(), kAnswerMs)) return gone("does not answer");
    Answer answer;
    if (!receive(answer)) return gone("has ended");
    return answer;
  }
  [[nodiscard]] int fd() const { return control_.get(); }

 private:
  static Error gone(const std::string& how) {
    return make_error(Where::sandbox, "broker", "", how,
                      "run again; if it stays so, see `seedbed doctor`");
  }

  bool send(const wire::Request& request, int descriptor) const {
    return send_packet(control_.get(), &request, sizeof request, &descriptor,
                       descriptor >= 0 ? 1 : 0) == static_cast<ssize_t>(sizeof request);
  }

  bool receive(Answer& answer) const {
    std::array<Fd, kMaxPassed> fds;
    std::size_t passed = 0;
    const ssize_t n =
        receive_packet(control_.get(), &answer.reply, sizeof answer.reply, 0, fds, passed);
    if (passed == 2) {
      answer.socket = std::move(fds[0]);
      answer.pidfd = std::move(fds[1]);
    }
    return n == static_cast<ssize_t>(sizeof answer.reply);
  }

  std::mutex mutex_;
  Fd control_;
  int pid_;
};

struct Started {
  std::shared_ptr<Channel> channel;
  std::vector<Layer> layers;
};

Result<Started> start_broker() {
  SEEDBED_TRY(const std::string program, libexec_path("seedbed-broker"));
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return make_error(Where::sandbox, "broker", "", "socketpair failed: " + errno_name(errno),
                      "raise the limit of open files");
  Fd ours(pair[0]);
  Fd theirs(pair[1]);
  SEEDBED_TRY(const int pid, spawn_helper(program, {std::to_string(::getpid())}, theirs.get()));
  theirs.reset();
  Started out;
  out.channel = std::make_shared<Channel>(std::move(ours), pid);
  wire::Hello hello;
  if (!readable(out.channel->fd(), kAnswerMs) ||
      ::recv(out.channel->fd(), &hello, sizeof hello, 0) != static_cast<ssize_t>(sizeof hello))
    return make_error(
        Where::sandbox, "broker", program, "ended before it said what this machine offers",
        "see that the file is the one built with this program, and that /proc is mounted");
  for (std::size_t i = 0; i < hello.layers.size(); ++i) {
    const wire::LayerReport& l = hello.layers.at(i);
    out.layers.push_back({std::string(wire::kLayerNames.at(i)),
                          static_cast<LayerState>(std::min<std::uint8_t>(l.state, 2)), l.why.data(),
                          l.remedy.data()});
  }
  return out;
}

bool one_of(const std::string& name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Whether a level is satisfied with a layer as it is.
bool enough(Isolation level, const Layer& layer) {
  if (layer.state == LayerState::on) return true;
  if (level == Isolation::strict) return false;
  if (layer.state == LayerState::weak) return true;
  if (one_of(layer.name, {"cgroup_memory", "cgroup_pids", "cgroup_kill", "landlock"})) return true;
  return level == Isolation::weak &&
         !one_of(layer.name, {"rlimits", "no_caps", "no_new_privs", "seccomp"});
}

Step refuse_missing(Isolation level, const std::vector<Layer>& layers) {
  const auto on = [&layers](std::string_view name) {
    return std::any_of(layers.begin(), layers.end(),
                       [&](const Layer& l) { return l.name == name && l.state == LayerState::on; });
  };
  std::vector<const Layer*> missing;
  for (const Layer& layer : layers)
    if (!enough(level, layer)) missing.push_back(&layer);
  // Even the weakest jail hides the host's files.
  if (level == Isolation::weak && !on("pivot_root") && !on("landlock"))
    for (const Layer& layer : layers)
      if (layer.name == "landlock") missing.push_back(&layer);
  if (missing.empty()) return {};
  const std::string name(enum_names(Isolation{}).at(static_cast<std::size_t>(level)));
  const Layer& first = *missing.front();
  std::string found = first.why + ", " + name + " isolation wants it";
  for (std::size_t i = 1; i < missing.size(); ++i)
    found += (i == 1 ? " (missing too: " : ", ") + missing[i]->name;
  if (missing.size() > 1) found += ")";
  std::string todo = first.remedy;
  if (level != Isolation::weak) {
    const Isolation next =
        level == Isolation::strict && !refuse_missing(Isolation::standard, layers)
            ? Isolation::standard
            : Isolation::weak;
    if (!refuse_missing(next, layers))
      todo += (todo.empty() ? "run with --isolation " : ", or run with --isolation ") +
              std::string(enum_names(Isolation{}).at(static_cast<std::size_t>(next)));
  }
  return make_error(Where::sandbox, "jail", first.name, found, todo);
}

// A limit that is no limit would weaken the jail without a word.
Step check_limits(const JailLimits& limits) {
  const struct {
    const char* name;
    int value, low, high;
  } rows[] = {{"memory_mib", limits.memory_mib, 4, 1 << 20},
              {"pids", limits.pids, 1, 30'000},
              {"tmpfs_mib", limits.tmpfs_mib, 1, 1 << 16},
              {"open_files", limits.open_files, 8, 1000},
              {"cpu_percent", limits.cpu_percent, 0, 100'000}};
  for (const auto& row : rows)
    if (row.value < row.low || row.value > row.high)
      return make_error(Where::sandbox, "jail limit", row.name,
                        std::to_string(row.value) + ", must be from " + std::to_string(row.low) +
                            " to " + std::to_string(row.high),
                        "set it within");
  return {};
}

std::string remedy_of(const std::string& stage, const std::vector<Layer>& layers) {
  if (stage == "exec") return "the program must be a static executable for this machine";
  if (stage == "slots")
    return "close jails first: one broker holds " + std::to_string(wire::kMaxJails);
  if (stage == "cgroup_cpu")
    return "ask for no CPU quota, or run where the cpu controller is delegated";
  if (stage == "affinity") return "name a core that this process may use, or none";
  for (const Layer& l : layers)
    if (l.name == stage && !l.remedy.empty()) return l.remedy;
  return "`seedbed doctor` shows what this machine offers";
}

}  // namespace

struct Jail::State {
  std::shared_ptr<Channel> channel;
  std::uint32_t id = 0;
  int pid = 0;
  Fd socket, pidfd;
};

Jail::Jail(std::unique_ptr<State> state) : state_(std::move(state)) {}
Jail::Jail(Jail&&) noexcept = default;
Jail& Jail::operator=(Jail&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

namespace {
wire::Request about(wire::Op op, std::uint32_t jail) {
  wire::Request request;
  request.op = op;
  request.jail = jail;
  return request;
}
}  // namespace

Jail::~Jail() {
  if (!state_) return;
  // A broker that is gone has taken the jail with it.
  static_cast<void>(state_->channel->ask(about(wire::Op::close, state_->id)).ok());
}

int Jail::socket() const {
  return state_->socket.get();
}
int Jail::pid() const {
  return state_->pid;
}

void Jail::kill() {
  if (sys_pidfd_kill(state_->pidfd.get()) != 0) return;  // gone already, by another cause
  static_cast<void>(state_->channel->ask(about(wire::Op::kill, state_->id)).ok());
}

std::string Jail::cause() {
  readable(state_->pidfd.get(), 200);  // the socket closes a little before the process is gone
  const auto answer = state_->channel->ask(about(wire::Op::cause, state_->id));
  if (!answer.ok()) return "lost: " + answer.error().message;
  return answer->reply.text.data();
}

struct Broker::State {
  std::shared_ptr<Channel> channel;
  std::vector<Layer> layers;
};

Broker::Broker(std::unique_ptr<State> state) : state_(std::move(state)) {}
Broker::~Broker() {
  state_->channel->close();
}
const std::vector<Layer>& Broker::layers() const {
  return state_->layers;
}

Result<std::shared_ptr<Broker>> Broker::start(Isolation level) {
  SEEDBED_TRY(Started started, start_broker());
  if (auto refused = refuse_missing(level, started.layers)) return *std::move(refused);
  auto state = std::make_unique<State>();
  state->channel = std::move(started.channel);
  state->layers = std::move(started.layers);
  return std::shared_ptr<Broker>(new Broker(std::move(state)));
}

Result<Jail> Broker::open(const std::string& program,
                          const std::vector<std::string>& argv,
                          const JailLimits& limits) {
  if (auto refused = check_limits(limits)) return *std::move(refused);
  const Fd file(::open(program.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return make_error(Where::sandbox, "jail program", program,
                      "cannot be opened: " + errno_name(errno), "build it first");
  wire::Request request;
  request.memory_mib = limits.memory_mib;
  request.pids = limits.pids;
  request.tmpfs_mib = limits.tmpfs_mib;
  request.open_files = limits.open_files;
  request.cpu_percent = limits.cpu_percent;
  request.core = limits.core;
  for (const std::string& word : argv) {
    if (request.argv_bytes + word.size() + 1 > request.argv.size())
      return make_error(Where::sandbox, "jail program", program,
                        "arguments above " + std::to_string(wire::kArgvBytes) + " bytes",
                        "send them by the socket");
    std::memcpy(request.argv.data() + request.argv_bytes, word.c_str(), word.size() + 1);
    request.argv_bytes += static_cast<std::uint32_t>(word.size() + 1);
    ++request.argc;
  }
  SEEDBED_TRY(Channel::Answer answer, state_->channel->ask(request, file.get()));
  if (answer.reply.error != 0) {
    const std::string stage = answer.reply.stage.data();
    return make_error(Where::sandbox, "jail", stage, "failed: " + errno_name(answer.reply.error),
                      remedy_of(stage, state_->layers));
  }
  SEEDBED_CHECK(answer.socket && answer.pidfd, answer.reply.jail);
  auto state = std::make_unique<Jail::State>();
  state->channel = state_->channel;
  state->id = answer.reply.jail;
  state->socket = std::move(answer.socket);
  state->pidfd = std::move(answer.pidfd);
  state->pid = answer.reply.pid;
  return Jail(std::move(state));
}

std::vector<Layer> probe_layers() {
  auto started = start_broker();
  if (started.ok()) return std::move(started->layers);
  std::vector<Layer> none;
  for (const std::string_view name : wire::kLayerNames)
    none.push_back({std::string(name), LayerState::off, started.error().message,
                    "build the target seedbed-broker"});
  return none;
}

}  // namespace seedbed::sandbox
