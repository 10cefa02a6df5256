#include "sandbox/broker/filter.h"

#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <initializer_list>

#include "sandbox/broker/bpf.h"

namespace seedbed::sandbox {
namespace {

using bpf::Program;

#ifdef __NR_clone3
constexpr int kClone3 = __NR_clone3;
#else
constexpr int kClone3 = 435;
#endif

// Allowed whatever the arguments. The file calls reach only the jail's empty root and its work
// area; there is no call that makes a socket.
constexpr int kAllowed[] = {
    __NR_read,
    __NR_write,
    __NR_recvfrom,
    __NR_sendto,
    __NR_futex,
    __NR_clock_gettime,
    __NR_readv,
    __NR_writev,
    __NR_recvmsg,
    __NR_sendmsg,
    __NR_ppoll,
    __NR_brk,
    __NR_munmap,
    __NR_mremap,
    __NR_madvise,
    // Memory and start-up.
    __NR_set_tid_address,
    __NR_set_robust_list,
    __NR_get_robust_list,
    __NR_rseq,
    __NR_getrandom,
    __NR_sigaltstack,
    // Signals and the end.
    __NR_rt_sigaction,
    __NR_rt_sigprocmask,
    __NR_rt_sigreturn,
    __NR_rt_sigpending,
    __NR_rt_sigtimedwait,
    __NR_rt_sigsuspend,
    __NR_kill,
    __NR_tkill,
    __NR_tgkill,
    __NR_exit,
    __NR_exit_group,
    __NR_restart_syscall,
    __NR_wait4,
    __NR_waitid,
    // Time.
    __NR_clock_nanosleep,
    __NR_clock_getres,
    __NR_nanosleep,
    __NR_gettimeofday,
    __NR_times,
    __NR_setitimer,
    __NR_getitimer,
    __NR_timer_create,
    __NR_timer_settime,
    __NR_timer_gettime,
    __NR_timer_getoverrun,
    __NR_timer_delete,
    __NR_timerfd_create,
    __NR_timerfd_settime,
    __NR_timerfd_gettime,
    // Who am I: nothing here changes anything.
    __NR_getpid,
    __NR_gettid,
    __NR_getppid,
    __NR_getpgid,
    __NR_getsid,
    __NR_getuid,
    __NR_geteuid,
    __NR_getgid,
    __NR_getegid,
    __NR_getresuid,
    __NR_getresgid,
    __NR_getgroups,
    __NR_getrlimit,
    __NR_getrusage,
    __NR_uname,
    __NR_sysinfo,
    __NR_getcpu,
    __NR_capget,
    __NR_sched_yield,
    __NR_sched_getaffinity,
    __NR_sched_getparam,
    __NR_sched_getscheduler,
    __NR_getpriority,
    // Files and descriptors.
    __NR_openat,
    __NR_close,
    __NR_close_range,
    __NR_lseek,
    __NR_pread64,
    __NR_pwrite64,
    __NR_preadv,
    __NR_pwritev,
    __NR_fstat,
    __NR_newfstatat,
    __NR_statx,
    __NR_statfs,
    __NR_fstatfs,
    __NR_faccessat,
    __NR_faccessat2,
    __NR_readlinkat,
    __NR_getcwd,
    __NR_chdir,
    __NR_fchdir,
    __NR_getdents64,
    __NR_truncate,
    __NR_ftruncate,
    __NR_fallocate,
    __NR_fsync,
    __NR_fdatasync,
    __NR_fadvise64,
    __NR_msync,
    __NR_umask,
    __NR_flock,
    __NR_dup,
    __NR_dup3,
    __NR_pipe2,
    __NR_unlinkat,
    __NR_mkdirat,
    __NR_renameat,
    __NR_renameat2,
    __NR_linkat,
    __NR_symlinkat,
    __NR_fchmod,
    __NR_fchmodat,
    __NR_utimensat,
    __NR_epoll_create1,
    __NR_epoll_ctl,
    __NR_epoll_pwait,
    __NR_eventfd2,
    __NR_shutdown,
#if defined(__x86_64__)
    __NR_poll,
    __NR_select,
    __NR_pselect6,
    __NR_arch_prctl,
    __NR_open,
    __NR_creat,
    __NR_stat,
    __NR_lstat,
    __NR_access,
    __NR_readlink,
    __NR_getdents,
    __NR_dup2,
    __NR_pipe,
    __NR_unlink,
    __NR_mkdir,
    __NR_rmdir,
    __NR_rename,
    __NR_link,
    __NR_symlink,
    __NR_chmod,
    __NR_epoll_create,
    __NR_epoll_wait,
    __NR_eventfd,
    __NR_time,
    __NR_alarm,
    __NR_pause,
    __NR_getpgrp,
    __NR_vfork,
    __NR_fork,
#endif
};
constexpr std::uint32_t kFcntl[] = {F_DUPFD, F_GETFD, F_SETFD,  F_GETFL,         F_SETFL,
                                    F_GETLK, F_SETLK, F_SETLKW, F_DUPFD_CLOEXEC, 36,
                                    37,      38};  // the last three: locks of an open file
                                                   // description
constexpr std::uint32_t kIoctl[] = {TCGETS, FIONREAD, FIONBIO};
constexpr std::uint32_t kPrctl[] = {PR_SET_NAME,     PR_GET_NAME,    PR_GET_NO_NEW_PRIVS,
                                    PR_GET_DUMPABLE, PR_GET_SECCOMP, PR_CAPBSET_READ,
                                    PR_GET_PDEATHSIG};
constexpr std::uint32_t kNamespaceFlags =
    0x7E020000U;  // CLONE_NEW* of every kind that clone() takes

void one_of(Program& p, int argument, const std::uint32_t* begin, const std::uint32_t* end) {
  p.arg(argument);
  for (; begin != end; ++begin) p.ret_if(*begin, SECCOMP_RET_ALLOW);
}

void argument_rules(Program& p, std::uint32_t denied) {
  for (const int number : {__NR_mmap, __NR_mprotect})  // new code never becomes executable
    p.when(number, SECCOMP_RET_ALLOW, [&] {
      p.arg(2);
      p.ret_if_any_bit(PROT_EXEC, denied);
    });
  p.when(__NR_clone, SECCOMP_RET_ALLOW, [&] {
    p.arg(0);
    p.ret_if_any_bit(kNamespaceFlags, denied);
  });
  p.when(__NR_execveat, denied, [&] {
    p.arg(0);
    p.ret_unless(kProgramFd, denied);
    p.arg(4);
    p.ret_if(AT_EMPTY_PATH, SECCOMP_RET_ALLOW);
  });
  p.when(__NR_prlimit64, denied,
         [&] {  // its own limits only (the kernel lets nobody here raise them)
           p.arg(0);
           p.ret_if(0, SECCOMP_RET_ALLOW);
         });
  p.when(__NR_fcntl, denied, [&] { one_of(p, 1, std::begin(kFcntl), std::end(kFcntl)); });
  p.when(__NR_ioctl, denied, [&] { one_of(p, 1, std::begin(kIoctl), std::end(kIoctl)); });
  p.when(__NR_prctl, denied, [&] { one_of(p, 0, std::begin(kPrctl), std::end(kPrctl)); });
}

Program tool_server(std::uint32_t denied) {
  Program p;
  p.load(offsetof(seccomp_data, arch));
  p.ret_unless(bpf::kArch, SECCOMP_RET_KILL_PROCESS);
  p.load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  p.ret_if_any_bit(0x40000000U, SECCOMP_RET_KILL_PROCESS);  // x32
#endif
  static constexpr auto kSorted = bpf::sorted(kAllowed);
  p.ret_if_in(kSorted, SECCOMP_RET_ALLOW);
  // Its flags lie behind a pointer that a filter cannot read: the C library falls back to clone.
  p.ret_if(kClone3, SECCOMP_RET_ERRNO | ENOSYS);
  argument_rules(p, denied);
  p.ret(denied);
  return p;
}

}  // namespace

int install_filter(int& listener) {
  listener = -1;
  Program named = tool_server(SECCOMP_RET_USER_NOTIF);
  sock_fprog code = named.finish();
  const long fd =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &code);
  if (fd >= 0) {
    listener = static_cast<int>(fd);
    return 0;
  }
  // EBUSY: a filter around us has a listener already, and there is one a thread.
  if (errno != EBUSY && errno != EINVAL) return errno;
  Program plain = tool_server(SECCOMP_RET_ERRNO | EPERM);
  code = plain.finish();
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0U, &code) == 0 ? 0 : errno;
}

}  // namespace seedbed::sandbox
