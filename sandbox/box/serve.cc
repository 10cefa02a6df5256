// The server of boxes: one thread, static and small, so that what a box costs does not depend on
// the program that wants it. It never waits for a box: each is a state machine over its
// descriptors.
#include "sandbox/box/serve.h"

#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

#include <bitset>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "sandbox/box/box.h"
#include "sandbox/box/mount_text.h"
#include "sandbox/broker/landlock.h"
#include "sandbox/broker/packets.h"

namespace seedbed::sandbox::box {
namespace {

constexpr std::int64_t kStartMs = 10'000;
constexpr int kScopes = 6;  // Landlock's ABI that keeps abstract sockets of one network apart
constexpr std::uint64_t kClientKey = 0;

std::int64_t now_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
}

void put_stage(Answer& answer, std::string_view stage) {
  std::memcpy(answer.stage.data(), stage.data(), stage.size() < 27 ? stage.size() : 27);
}

// The mounts of an order; false where the words are not what they must be.
bool read_mounts(const Wanted& wanted, int fd, std::vector<MountRequest>& out) {
  if (wanted.mounts == 0) return wanted.bytes == 0;
  if (wanted.mounts > kMaxMounts || wanted.bytes == 0 || wanted.bytes > kMaxMountWords)
    return false;
  std::string text(wanted.bytes, '\0');
  if (::pread(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) return false;
  std::size_t at = 0;
  const auto next = [&](std::string& word) {
    const std::size_t end = text.find('\0', at);
    if (end == std::string::npos) return false;
    word = text.substr(at, end - at);
    at = end + 1;
    return !word.empty();
  };
  for (std::uint32_t i = 0; i < wanted.mounts; ++i) {
    MountRequest m;
    std::string mode;
    if (!next(m.source) || !next(m.target) || !next(mode) ||
        !place_fault(m.source, m.target).what.empty())
      return false;
    m.writable = mode == "w";
    out.push_back(std::move(m));
  }
  return at == text.size();
}

class Server {
 public:
  int run() {
    epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_ || !watch(kServeFd, kClientKey)) return 70;
    if (!prepare()) return 70;
    while (client_there_) {
      std::array<epoll_event, 64> events{};
      const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                 starting_ > 0 ? 100 : -1);
      if (n < 0 && errno != EINTR) return 70;
      for (int i = 0; i < n && client_there_; ++i) {
        const std::uint64_t key = events.at(static_cast<std::size_t>(i)).data.u64;
        if (key == kClientKey)
          listen();
        else
          look_at(static_cast<std::uint32_t>(key >> 1), (key & 1) != 0);
      }
      if (starting_ > 0) give_up_late();
    }
    // All at once first: their ends overlap.
    for (auto& [id, live] : boxes_) live.box->kill();
    boxes_.clear();
    return 0;
  }

 private:
  struct Live {
    std::unique_ptr<Box> box;
    bool started = false;
    std::int64_t deadline = 0;
    unsigned slot = 0;
  };

  bool prepare() {
    plan_.root = ::geteuid() == 0;
    plan_.user_ns = !plan_.root;
    plan_.mount_ns = plan_.pid_ns = plan_.net_ns = plan_.ipc_ns = plan_.uts_ns = plan_.cgroup_ns =
        plan_.own_root = true;
    const int abi = landlock_abi();
    plan_.landlock = abi >= 0;
    // One network with nobody in it serves all boxes without one, as long as Landlock keeps the
    // names of abstract sockets apart.
    shared_net_ = plan_.root && abi >= kScopes && ::unshare(CLONE_NEWNET) == 0;
    Answer hello;
    hello.landlock_abi = static_cast<std::uint8_t>(abi < 0 ? 0 : abi);
    hello.cgroup_memory = groups_.memory().tree.empty() ? 0 : 1;
    hello.cgroup_pids = groups_.pids().tree.empty() ? 0 : 1;
    hello.cgroup_kill = groups_.kill_switch().tree.empty() ? 0 : 1;
    return say(hello);
  }

  bool watch(int fd, std::uint64_t key) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = key;
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }

  bool say(const Answer& answer, const int* fds = nullptr, std::size_t count = 0) {
    const bool said = send_packet(kServeFd, &answer, sizeof answer, fds, count) ==
                      static_cast<ssize_t>(sizeof answer);
    client_there_ = client_there_ && said;
    return said;
  }

  void listen() {
    Wanted wanted;
    std::array<Fd, kMaxPassed> fds;
    std::size_t passed = 0;
    const ssize_t n = receive_packet(kServeFd, &wanted, sizeof wanted, MSG_DONTWAIT, fds, passed);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n != static_cast<ssize_t>(sizeof wanted)) {
      client_there_ = false;
      return;
    }
    if (wanted.what == Wish::open) return open(wanted, passed > 0 ? fds[0].get() : -1);
    const auto found = boxes_.find(wanted.id);
    if (found != boxes_.end()) found->second.box->kill();  // its pidfd tells the rest
  }

  void refuse(std::uint32_t id, int error, std::string_view stage) {
    Answer answer;
    answer.what = Word::refused;
    answer.id = id;
    answer.error = error;
    put_stage(answer, stage);
    say(answer);
  }

  void open(const Wanted& wanted, int words) {
    if (boxes_.count(wanted.id) != 0 || wanted.id > 0x7fffffffU)
      return refuse(wanted.id, EEXIST, "id");
    Request request;
    request.limits = wanted.limits;
    request.net = wanted.net;
    request.proc = wanted.proc;
    request.shared_net = shared_net_ && wanted.net == Net::none;
    if (!read_mounts(wanted, words, request.mounts)) return refuse(wanted.id, EINVAL, "mount");
    if (boxes_.size() >= kSlots) return refuse(wanted.id, EUSERS, "boxes");
    while (used_.test(next_slot_)) next_slot_ = (next_slot_ + 1) % kSlots;
    const unsigned slot = next_slot_;
    request.uid =
        kFirstUid + (static_cast<unsigned>(::getpid()) % 100'000U) * 2 * kSlots + 2 * slot;
    request.init_uid = request.uid + 1;
    if (groups_.memory().tree.empty())
      request.limits.address_bytes = static_cast<std::uint64_t>(request.limits.memory_mib) << 20;
    Live live;
    live.box = std::make_unique<Box>(plan_, groups_, wanted.id);
    live.deadline = now_ms() + kStartMs;
    const Failure failure = live.box->start(request);
    if (failure.error != 0) return refuse(wanted.id, failure.error, failure.stage);
    if (!watch(live.box->control(), std::uint64_t{wanted.id} << 1))
      return refuse(wanted.id, errno, "epoll");
    live.slot = slot;
    used_.set(slot);
    next_slot_ = (slot + 1) % kSlots;  // as late as can be again: what was its uid's has time to go
    boxes_.emplace(wanted.id, std::move(live));
    ++starting_;
  }

  void look_at(std::uint32_t id, bool ended) {
    const auto found = boxes_.find(id);
    if (found == boxes_.end()) return;
    if (ended)
      bury(found);
    else if (!found->second.started)
      hand_out(found);
  }

  using Place = std::map<std::uint32_t, Live>::iterator;

  void drop(Place place) {  // ends it, reaps, removes the groups
    used_.reset(place->second.slot);
    boxes_.erase(place);
  }

  void hand_out(Place place) {
    Live& live = place->second;
    --starting_;
    const Failure failure = live.box->ready();
    if (failure.error != 0) {
      const std::uint32_t id = place->first;
      drop(place);
      return refuse(id, failure.error, failure.stage);
    }
    live.started = true;
    // From here on the client alone holds it: when the client goes, pid 1 does.
    const Fd control = live.box->take_control();
    const Fd work = live.box->take_work();
    Answer answer;
    answer.what = Word::opened;
    answer.id = place->first;
    const std::array<int, 2> fds = {control.get(), work.get()};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, control.get(), nullptr);
    if (!watch(live.box->pidfd(), std::uint64_t{place->first} << 1 | 1)) client_there_ = false;
    say(answer, fds.data(), fds.size());
  }

  void bury(Place place) {
    Box& box = *place->second.box;
    box.kill();  // pid 1 has ended; whoever still ends is ended by the group, too
    Answer answer;
    answer.what = Word::closed;
    answer.id = place->first;
    answer.oom_kills = box.oom_kills();
    answer.pids_refused = box.pids_refused();
    answer.cpu_us = box.cpu_us();
    answer.peak_bytes = box.peak_bytes();
    drop(place);
    say(answer);
  }

  void give_up_late() {
    const std::int64_t now = now_ms();
    for (auto at = boxes_.begin(); at != boxes_.end();) {
      const auto next = std::next(at);
      if (!at->second.started && at->second.deadline < now) {
        const std::uint32_t id = at->first;
        --starting_;
        drop(at);
        refuse(id, ETIMEDOUT, "start");
      }
      at = next;
    }
  }

  Plan plan_;
  Cgroups groups_;
  Fd epoll_;
  bool client_there_ = true, shared_net_ = false;
  int starting_ = 0;
  unsigned next_slot_ = 0;
  std::bitset<kSlots> used_;  // uids of boxes that are alive
  std::map<std::uint32_t, Live> boxes_;
};

}  // namespace

int serve() {
  ::signal(SIGPIPE, SIG_IGN);
  // A terminal's interrupt is the client's to handle: it closes the socket when it ends.
  for (const int sig : {SIGINT, SIGHUP, SIGQUIT}) ::signal(sig, SIG_IGN);
  return Server().run();
}

}  // namespace seedbed::sandbox::box
