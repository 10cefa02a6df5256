// A static program that attacks its jail from inside, one attack a run: seedbed-hostile ATTACK.
// Writes what the kernel said as one line to descriptor 3, "ok" where the attack succeeded; the
// test decides which answer is right.
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int kSocket = 3;

void say(const std::string& line) {
  const std::string text = line + "\n";
  // A tool host's jail gives a socket; in a box it is whatever the shell made of descriptor 3.
  if (::send(kSocket, text.data(), text.size(), MSG_NOSIGNAL) < 0 && errno == ENOTSOCK)
    static_cast<void>(!::write(kSocket, text.data(), text.size()));
}
std::string outcome(long rc) {
  if (rc >= 0) return "ok";
  const char* name = ::strerrorname_np(errno);
  return name != nullptr ? name : std::to_string(errno);
}
std::string try_open(const char* path, int flags) {
  return outcome(::open(path, flags, 0600));
}
long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  return ::syscall(number, a, b, c, d, e);
}

std::string open_descriptors() {
  std::string all;
  for (int fd = 0; fd < 4096; ++fd)
    if (::fcntl(fd, F_GETFD) >= 0) all += (all.empty() ? "" : ",") + std::to_string(fd);
  return all;
}

std::string list_root() {
  DIR* dir = ::opendir("/");
  if (dir == nullptr) return outcome(-1);
  std::string names;
  while (const dirent* entry = ::readdir(dir)) names += std::string(" ") + entry->d_name;
  ::closedir(dir);
  return names;
}

std::string capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> now{};
  if (::syscall(SYS_capget, &header, now.data()) != 0) return outcome(-1);
  std::uint32_t any = 0;
  for (const auto& part : now) any |= part.effective | part.permitted | part.inheritable;
  int bounding = 0;
  for (int cap = 0; cap < 64; ++cap)
    bounding += ::prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 ? 1 : 0;
  return std::to_string(any) + " " + std::to_string(bounding);
}

// MiB that went into /tmp until it refused, in files of one MiB.
std::string fill_tmp() {
  const std::vector<char> block(1 << 16, 'x');
  long total = 0;
  for (int i = 0; i < 1000; ++i) {
    const int fd = ::open(("/tmp/fill" + std::to_string(i)).c_str(), O_WRONLY | O_CREAT, 0600);
    if (fd < 0) return outcome(-1);
    for (int j = 0; j < 16; ++j) {
      const ssize_t n = ::write(fd, block.data(), block.size());
      if (n < 0) return outcome(n) + " " + std::to_string(total >> 20);
      total += n;
    }
    ::close(fd);
  }
  return "ok";
}

// Files that went into /tmp until it refused.
std::string fill_inodes() {
  for (int i = 0; i < 100'000; ++i) {
    const int fd = ::open(("/tmp/" + std::to_string(i)).c_str(), O_WRONLY | O_CREAT, 0600);
    if (fd < 0) return outcome(-1) + " " + std::to_string(i);
    ::close(fd);
  }
  return "ok";
}

std::string fork_bomb() {
  int made = 0;
  for (int i = 0; i < 10'000; ++i) {
    const pid_t pid = ::fork();
    if (pid < 0) return outcome(-1) + " " + std::to_string(made);
    if (pid == 0) {
      for (;;) ::pause();
    }
    ++made;
  }
  return "ok";
}

[[noreturn]] void eat_memory() {
  for (;;) {
    const std::size_t size = 8 << 20;
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) ::_exit(9);
    std::memset(at, 1, size);
  }
}

std::string second_exec() {
  const int fd = ::open("/tmp/program", O_RDWR | O_CREAT, 0700);
  if (fd < 0) return outcome(-1);
  char* const argv[] = {nullptr};
  std::string all = outcome(::execve("/tmp/program", argv, argv));
  all += " " + outcome(::syscall(SYS_execveat, fd, "", argv, argv, AT_EMPTY_PATH));
  all += " " + outcome(::dup2(fd, 1000));  // the one descriptor that the filter lets through
  all += " " + outcome(::syscall(SYS_execveat, 1000, "", argv, argv, AT_EMPTY_PATH));
  return all;
}

std::string raise_limits() {
  rlimit more{4096, 4096};
  std::string all = outcome(::setrlimit(RLIMIT_NOFILE, &more));
  more = {RLIM_INFINITY, RLIM_INFINITY};
  all += " " + outcome(::setrlimit(RLIMIT_CORE, &more));
  return all + " " + outcome(::nice(-5) == -1 ? -1 : 0);
}

std::string executable_memory() {
  void* at = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::string all = outcome(at == MAP_FAILED ? -1 : 0);
  at = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return all + " " + outcome(::mprotect(at, 4096, PROT_READ | PROT_EXEC));
}

struct Attack {
  std::string_view name;
  std::string (*run)();
};
const Attack kAttacks[] = {
    {"hello", [] { return std::string("hello"); }},
    {"read_shadow", [] { return try_open("/etc/shadow", O_RDONLY); }},
    {"read_hostname", [] { return try_open("/etc/hostname", O_RDONLY); }},
    {"read_proc", [] { return try_open("/proc/self/status", O_RDONLY); }},
    {"read_sys", [] { return try_open("/sys/kernel", O_RDONLY); }},
    {"read_dev", [] { return try_open("/dev/vda", O_RDONLY); }},
    {"dotdot", [] { return try_open("/../../../etc/passwd", O_RDONLY); }},
    {"list_root", list_root},
    {"write_root", [] { return try_open("/file", O_WRONLY | O_CREAT); }},
    {"write_tmp", [] { return try_open("/tmp/file", O_WRONLY | O_CREAT); }},
    {"socket_inet", [] { return outcome(::socket(AF_INET, SOCK_STREAM, 0)); }},
    {"socket_inet6", [] { return outcome(::socket(AF_INET6, SOCK_DGRAM, 0)); }},
    {"socket_vsock", [] { return outcome(::socket(40, SOCK_STREAM, 0)); }},
    {"socket_unix", [] { return outcome(::socket(AF_UNIX, SOCK_STREAM, 0)); }},
    {"socket_netlink", [] { return outcome(::socket(AF_NETLINK, SOCK_RAW, 0)); }},
    {"socketpair",
     [] {
       int two[2];
       return outcome(::socketpair(AF_UNIX, SOCK_STREAM, 0, two));
     }},
    {"ptrace_me", [] { return outcome(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }},
    {"ptrace_attach", [] { return outcome(::ptrace(PTRACE_ATTACH, 1, nullptr, nullptr)); }},
    {"process_vm", [] { return outcome(call(SYS_process_vm_readv, 1)); }},
    {"pidfd_getfd", [] { return outcome(call(SYS_pidfd_getfd, 0)); }},
    {"mount", [] { return outcome(::mount("none", "/tmp", "tmpfs", 0, nullptr)); }},
    {"remount",
     [] { return outcome(::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND, nullptr)); }},
    {"umount", [] { return outcome(::umount2("/tmp", MNT_DETACH)); }},
    {"pivot_root", [] { return outcome(::syscall(SYS_pivot_root, ".", ".")); }},
    {"chroot", [] { return outcome(::chroot("/tmp")); }},
    {"fsopen", [] { return outcome(::syscall(SYS_fsopen, "tmpfs", 0)); }},
    {"unshare_user", [] { return outcome(::unshare(CLONE_NEWUSER)); }},
    {"unshare_mount", [] { return outcome(::unshare(CLONE_NEWNS)); }},
    {"clone_newuser", [] { return outcome(call(SYS_clone, CLONE_NEWUSER | SIGCHLD)); }},
    {"clone3", [] { return outcome(call(SYS_clone3)); }},
    {"setns", [] { return outcome(::setns(0, 0)); }},
    {"io_uring", [] { return outcome(call(SYS_io_uring_setup, 1)); }},
    {"keyctl", [] { return outcome(call(SYS_keyctl, 0, -3, 1)); }},
    {"request_key",
     [] { return outcome(::syscall(SYS_request_key, "user", "seedbed_probe", nullptr, -4)); }},
    {"find_key", [] { return outcome(call(SYS_keyctl, 10, -4, 0)); }},
    {"add_key", [] { return outcome(::syscall(SYS_add_key, "user", "k", "v", 1, -4)); }},
    {"personality", [] { return outcome(call(SYS_personality, 0x0040000)); }},
    {"bpf", [] { return outcome(call(SYS_bpf)); }},
    {"userfaultfd", [] { return outcome(call(SYS_userfaultfd)); }},
    {"perf", [] { return outcome(call(SYS_perf_event_open)); }},
    {"memfd", [] { return outcome(::syscall(SYS_memfd_create, "x", 0)); }},
    {"mknod", [] { return outcome(::mknod("/tmp/vda", S_IFBLK | 0600, 0xfe00)); }},
    {"setuid", [] { return outcome(::setuid(0)); }},
    {"setgroups", [] { return outcome(call(SYS_setgroups)); }},
    {"unpin",
     [] {
       cpu_set_t set;
       CPU_ZERO(&set);
       CPU_SET(0, &set);
       return outcome(::sched_setaffinity(0, sizeof set, &set));
     }},
    {"dumpable",
     [] {
       return std::to_string(::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)) + " " +
              outcome(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
     }},
    {"kill_all", [] { return outcome(::kill(-1, SIGKILL)); }},
    {"no_new_privs", [] { return std::to_string(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)); }},
    {"seccomp_mode", [] { return std::to_string(::prctl(PR_GET_SECCOMP, 0, 0, 0, 0)); }},
    {"uid",
     [] {
       return std::to_string(::getuid()) + " " + std::to_string(::geteuid()) + " " +
              std::to_string(::getgid()) + " " + std::to_string(::getgroups(0, nullptr));
     }},
    {"pid", [] { return std::to_string(::getpid()) + " " + std::to_string(::getppid()); }},
    {"cores",
     [] {
       cpu_set_t set;
       ::sched_getaffinity(0, sizeof set, &set);
       return std::to_string(CPU_COUNT(&set)) + (CPU_ISSET(1, &set) ? " 1" : " 0");
     }},
    {"environment",
     [] {
       return std::string(environ == nullptr || environ[0] == nullptr ? "empty" : environ[0]);
     }},
    {"capabilities", capabilities},
    {"descriptors", open_descriptors},
    {"fill_tmp", fill_tmp},
    {"fill_inodes", fill_inodes},
    {"fork_bomb", fork_bomb},
    {"second_exec", second_exec},
    {"raise_limits", raise_limits},
    {"executable_memory", executable_memory},
    {"eat_memory", []() -> std::string { eat_memory(); }},
    {"eat_memory_child",
     [] {
       if (::fork() == 0) eat_memory();
       ::wait(nullptr);
       return std::string("survived");
     }},
    {"exit_3", []() -> std::string { ::_exit(3); }},
    {"crash",
     []() -> std::string {
       ::raise(SIGSEGV);
       *static_cast<volatile int*>(nullptr) = 1;
       return "alive";
     }},
    {"abort", []() -> std::string { std::abort(); }},
    {"sleep",
     []() -> std::string {
       say("asleep");
       for (;;) ::pause();
     }},
    {"stop",
     []() -> std::string {
       say("stopping");
       ::kill(0, SIGSTOP);
       for (;;) ::pause();
     }},
    {"daemon",
     [] {
       if (::fork() == 0) {
         for (;;) ::pause();
       }
       return std::string("left one behind");
     }},
    {"burn",
     []() -> std::string {
       say("burning");
       for (volatile bool on = true; on;) {
       }
       return "";
     }},
    {"spam",
     []() -> std::string {
       for (;;) call(SYS_bpf);
     }},
#if defined(__x86_64__)
    {"int80",
     [] {
       long r = 20;
       __asm__ volatile("int $0x80" : "+a"(r) : : "memory");
       return outcome(r);
     }},  // getpid of 32 bit
    {"x32", [] { return outcome(call(0x40000000L + 39)); }},
#endif
};

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    for (const Attack& attack : kAttacks)
      if (attack.name == argv[i]) say(std::string(attack.name) + ": " + attack.run());
  // Stays until the test has read: the parent closes the socket to let go.
  char c = 0;
  static_cast<void>(::recv(kSocket, &c, 1, 0));
  return 0;
}
