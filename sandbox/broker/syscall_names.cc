// Names of the calls that a filter refuses, so that a violation is never a bare number.
#include <asm/unistd.h>

#include "sandbox/broker/filter.h"

namespace seedbed::sandbox {
namespace {

struct Name {
  int number;
  std::string_view text;
};
#define N(call) Name{__NR_##call, #call},
constexpr Name kNames[] = {
    N(ptrace) N(process_vm_readv) N(process_vm_writev) N(process_madvise) N(kcmp) N(pidfd_open) N(
        pidfd_getfd) N(pidfd_send_signal) N(socket) N(socketpair) N(connect) N(bind) N(listen)
        N(accept) N(accept4) N(getsockname) N(getpeername) N(setsockopt) N(getsockopt) N(
            recvmmsg) N(sendmmsg) N(mount) N(umount2) N(pivot_root) N(chroot) N(open_tree)
            N(move_mount) N(fsopen) N(fsconfig) N(fsmount) N(fspick) N(mount_setattr) N(swapon) N(
                swapoff) N(unshare) N(setns) N(clone) N(clone3) N(execve) N(execveat) N(personality)
                N(keyctl) N(add_key) N(request_key) N(bpf) N(perf_event_open) N(userfaultfd) N(
                    io_uring_setup) N(io_uring_enter) N(io_uring_register) N(io_setup) N(io_submit)
                    N(io_destroy) N(io_getevents) N(io_cancel) N(memfd_create) N(memfd_secret) N(
                        init_module) N(finit_module) N(delete_module) N(kexec_load)
                        N(kexec_file_load) N(reboot) N(syslog) N(acct) N(quotactl) N(
                            name_to_handle_at) N(open_by_handle_at) N(mknodat) N(fanotify_init)
                            N(fanotify_mark) N(inotify_init1) N(inotify_add_watch) N(setuid) N(
                                setgid) N(setreuid) N(setregid) N(setresuid) N(setresgid)
                                N(setgroups) N(setfsuid) N(setfsgid) N(capset) N(prctl) N(
                                    seccomp) N(landlock_create_ruleset) N(landlock_add_rule)
                                    N(landlock_restrict_self) N(prlimit64) N(setrlimit) N(
                                        setpriority) N(sched_setscheduler) N(sched_setparam)
                                        N(sched_setaffinity) N(sched_setattr) N(ioprio_set) N(
                                            mlock) N(mlock2) N(mlockall) N(munlockall) N(mbind)
                                            N(set_mempolicy) N(migrate_pages) N(
                                                move_pages) N(mmap) N(mprotect) N(pkey_mprotect)
                                                N(pkey_alloc) N(remap_file_pages) N(shmget) N(
                                                    shmat) N(shmctl) N(semget)
                                                    N(semop) N(semctl) N(semtimedop) N(msgget) N(
                                                        msgsnd) N(msgrcv) N(msgctl) N(mq_open) N(mq_unlink)
                                                        N(mq_notify) N(fcntl) N(ioctl) N(splice) N(
                                                            tee) N(vmsplice) N(sendfile) N(copy_file_range)
                                                            N(fchown) N(fchownat) N(setxattr) N(
                                                                fsetxattr) N(getxattr) N(fgetxattr) N(sethostname)
                                                                N(setdomainname) N(settimeofday) N(
                                                                    clock_settime) N(clock_adjtime) N(adjtimex)
                                                                    N(vhangup) N(lookup_dcookie) N(nfsservctl) N(
                                                                        setsid) N(setpgid) N(openat2)
                                                                        N(signalfd4) N(membarrier) N(
                                                                            mincore) N(sync) N(syncfs) N(sync_file_range)
                                                                            N(readahead) N(
                                                                                rt_sigqueueinfo) N(rt_tgsigqueueinfo)
#if defined(__x86_64__)
                                                                                N(
                                                                                    iopl) N(ioperm)
                                                                                    N(modify_ldt) N(
                                                                                        uselib) N(ustat)
                                                                                        N(sysfs) N(
                                                                                            _sysctl) N(create_module)
                                                                                            N(mknod) N(
                                                                                                chown) N(lchown)
                                                                                                N(epoll_pwait2) N(
                                                                                                    signalfd) N(inotify_init)
                                                                                                    N(utime) N(
                                                                                                        utimes)
                                                                                                        N(futimesat)
#endif
};
#undef N

}  // namespace

std::string_view syscall_name(int number) {
  for (const Name& name : kNames)
    if (name.number == number) return name.text;
  return {};
}

}  // namespace seedbed::sandbox
