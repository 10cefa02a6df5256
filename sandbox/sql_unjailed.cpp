#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "sandbox/libexec.h"
#include "sandbox/sql_client.h"

namespace seedbed::sandbox {
namespace {

struct Child {
  int socket = -1;
  pid_t pid = -1;
  std::string cause;

  Child() = default;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    end();
    if (socket >= 0) close(socket);
  }
  void end() {
    if (pid < 0) return;
    ::kill(pid, SIGKILL);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    cause = WIFEXITED(status) ? "exited " + std::to_string(WEXITSTATUS(status))
                              : "signal " + std::to_string(WTERMSIG(status));
    pid = -1;
  }
};

}  // namespace

Result<std::unique_ptr<SqlHostClient>> open_unjailed_sql_host_for_tests() {
  SEEDBED_TRY(const std::string program, libexec_path("seedbed-sql-host"));
  int pair[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return make_error(Where::sandbox, "tool host", "socketpair", std::strerror(errno), "");
  // dup2 onto the same number would keep close-on-exec, so the child's end starts above the number
  // that it ends at.
  const int theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, wire::kHostDescriptor + 1);
  close(pair[1]);
  auto child = std::make_shared<Child>();
  child->socket = pair[0];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs, wire::kHostDescriptor);
  char* const argv[] = {const_cast<char*>("seedbed-sql-host"), nullptr};
  char* const envp[] = {nullptr};
  const int rc = posix_spawn(&child->pid, program.c_str(), &actions, nullptr, argv, envp);
  posix_spawn_file_actions_destroy(&actions);
  close(theirs);
  if (rc != 0) {
    child->pid = -1;
    return make_error(Where::sandbox, "tool host", program, std::strerror(rc),
                      "build seedbed-sql-host");
  }
  return std::make_unique<SqlHostClient>(HostProcess{child->socket, [child] { child->end(); },
                                                     [child] { return child->cause; }, child});
}

}  // namespace seedbed::sandbox
