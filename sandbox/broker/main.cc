// seedbed-broker PARENT_PID: started by Broker::start() with the control channel as descriptor 3.
// One thread; makes, watches and ends all the jails of its parent. Ends, and takes every jail and
// group with it, when the parent dies or closes the channel. Always built static and without
// sanitizers: what it runs after clone must be small and predictable.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>

#include "sandbox/broker/filter.h"
#include "sandbox/broker/jailed.h"
#include "sandbox/broker/packets.h"
#include "sandbox/broker/probe.h"
#include "sandbox/broker/wire.h"

namespace seedbed::sandbox {
namespace {

using wire::kControlFd;

ssize_t receive_request(wire::Request& request, Fd& program) {
  std::array<Fd, kMaxPassed> fds;
  std::size_t passed = 0;
  const ssize_t n = receive_packet(kControlFd, &request, sizeof request, MSG_DONTWAIT, fds, passed);
  if (passed > 0) program = std::move(fds[0]);
  return n;
}

bool send_reply(const wire::Reply& reply, int socket = -1, int pidfd = -1) {
  const std::array<int, 2> fds = {socket, pidfd};
  return send_packet(kControlFd, &reply, sizeof reply, fds.data(), socket >= 0 ? fds.size() : 0) ==
         static_cast<ssize_t>(sizeof reply);
}

bool serve_one(Jails& jails) {  // false: the parent is gone
  wire::Request request;
  Fd program;
  const ssize_t n = receive_request(request, program);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n != static_cast<ssize_t>(sizeof request)) return false;
  wire::Reply reply;
  reply.jail = request.jail;
  if (request.op == wire::Op::open) {
    const Opened opened = jails.open(request, program.get());
    reply.error = opened.error;
    reply.jail = opened.jail;
    wire::put(reply.stage, opened.stage);
    if (opened.error != 0) return send_reply(reply);
    reply.pid = jails.find(opened.jail)->pid;
    return send_reply(reply, opened.socket.get(), jails.find(opened.jail)->pidfd.get());
  }
  Jailed* jail = jails.find(request.jail);
  if (jail == nullptr) {
    reply.error = ESRCH;
    return send_reply(reply);
  }
  jails.on_exit(*jail);
  if (request.op == wire::Op::kill) jails.kill(*jail);
  if (request.op == wire::Op::cause) {
    reply.running = jail->ended ? 0 : 1;
    wire::put(reply.text, jails.words(*jail));
  }
  if (request.op == wire::Op::close) jails.close(request.jail);
  return send_reply(reply);
}

void serve(Jails& jails, int parent, int signals) {
  std::vector<pollfd> polled;
  std::vector<std::uint32_t> owners;
  for (;;) {
    polled.assign({{kControlFd, POLLIN, 0}, {parent, POLLIN, 0}, {signals, POLLIN, 0}});
    owners.clear();
    for (const auto& [id, jail] :
         jails.all()) {  // two entries each; a negative descriptor is skipped
      polled.push_back({jail.ended ? -1 : jail.pidfd.get(), POLLIN, 0});
      polled.push_back({jail.listener.get(), POLLIN, 0});
      owners.push_back(id);
    }
    const int n = ::poll(polled.data(), polled.size(), jails.sweep_leftovers() ? -1 : 100);
    if (n < 0 && errno != EINTR) return;
    if (n <= 0) continue;
    if (polled[1].revents != 0 || polled[2].revents != 0) return;
    for (std::size_t i = 0; i < owners.size(); ++i) {
      Jailed* jail = jails.find(owners[i]);
      if (jail == nullptr) continue;
      if ((polled[4 + 2 * i].revents & POLLIN) != 0)
        jails.on_refusal(*jail);
      else if (polled[4 + 2 * i].revents != 0)
        jail->listener.reset();
      if (polled[3 + 2 * i].revents != 0) jails.on_exit(*jail);
    }
    if (polled[0].revents != 0 && !serve_one(jails)) return;
  }
}

int run(int parent_pid) {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  sigset_t ends;
  ::sigemptyset(&ends);
  for (const int sig : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) ::sigaddset(&ends, sig);
  const Fd signals(::signalfd(-1, &ends, SFD_CLOEXEC));
  ::setsid();  // a Ctrl-C meant for the parent is the parent's to handle
  ::umask(022);
  if (::chdir("/") != 0) return 1;
  ::fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  // A pidfd of the process, not PDEATHSIG: that one fires when the thread that started us ends.
  const Fd parent(sys_pidfd_open(parent_pid));
  if (!parent || ::getppid() != parent_pid) return 1;

  // Uids of different brokers are apart as far as their pids are.
  const unsigned first_uid =
      600'000U + static_cast<unsigned>(::getpid() % 32'768) * wire::kMaxJails;
  Cgroups groups;
  const Probe probe = probe_machine(groups, first_uid);
  if (::send(kControlFd, &probe.hello, sizeof probe.hello, MSG_NOSIGNAL) < 0) return 1;
  Jails jails(probe.plan, groups, first_uid);
  serve(jails, parent.get(), signals.get());
  jails.close_all();
  return 0;
}

}  // namespace
}  // namespace seedbed::sandbox

int main(int argc, char** argv) {
  return argc == 2 ? seedbed::sandbox::run(std::atoi(argv[1])) : 2;
}
