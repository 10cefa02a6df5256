// The two walls around programs in a box: a system call filter that lets ordinary programs work and
// refuses what no tool needs, and Landlock behind the read-only mounts.
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <utility>

#include "sandbox/box/order.h"
#include "sandbox/box/spawn.h"
#include "sandbox/broker/bpf.h"
#include "sandbox/broker/landlock.h"

namespace seedbed::sandbox::box {
namespace {

// Kernel administration, looking into or steering other processes, file handles, asynchronous
// rings, keys, namespaces, memory policy, and switches of the address space. Whatever is not named
// here is allowed: any program may run, it just has nothing to attack the kernel's odd corners
// with.
constexpr int kDenied[] = {
    __NR_mount,
    __NR_umount2,
    __NR_pivot_root,
    __NR_chroot,
    __NR_open_tree,
    __NR_move_mount,
    __NR_fsopen,
    __NR_fsconfig,
    __NR_fsmount,
    __NR_fspick,
    __NR_mount_setattr,
    __NR_swapon,
    __NR_swapoff,
    __NR_reboot,
    __NR_kexec_load,
    __NR_init_module,
    __NR_finit_module,
    __NR_delete_module,
    __NR_acct,
    __NR_quotactl,
    443,  // quotactl_fd
    __NR_syslog,
    __NR_settimeofday,
    __NR_clock_settime,
    __NR_adjtimex,
    __NR_clock_adjtime,
    __NR_sethostname,
    __NR_setdomainname,
    __NR_vhangup,
    __NR_nfsservctl,
    __NR_name_to_handle_at,
    __NR_open_by_handle_at,
    __NR_fanotify_init,
    __NR_fanotify_mark,
    __NR_ptrace,
    __NR_process_vm_readv,
    __NR_process_vm_writev,
    __NR_pidfd_getfd,
    __NR_process_madvise,
    __NR_kcmp,
    __NR_perf_event_open,
    __NR_bpf,
    __NR_userfaultfd,
    __NR_io_uring_setup,
    __NR_io_uring_enter,
    __NR_io_uring_register,
    __NR_add_key,
    __NR_request_key,
    __NR_keyctl,
    __NR_setns,
    __NR_unshare,
    __NR_migrate_pages,
    __NR_move_pages,
    __NR_mbind,
    __NR_set_mempolicy,
    450,  // set_mempolicy_home_node
    447,  // memfd_secret
    __NR_lookup_dcookie,
#if defined(__x86_64__)
    __NR_kexec_file_load,
    __NR_iopl,
    __NR_ioperm,
    __NR_modify_ldt,
    __NR_uselib,
    __NR_ustat,
    __NR_sysfs,
    __NR__sysctl,
    __NR_create_module,
    __NR_get_kernel_syms,
    __NR_query_module,
#endif
};
constexpr std::uint32_t kDeniedPrctl[] = {PR_SET_MM, PR_SET_SECCOMP, PR_SET_PTRACER};
constexpr std::uint32_t kNamespaceFlags = 0x7E020000U;
constexpr std::uint32_t kAskPersonality = 0xffffffffU;

void sockets(bpf::Program& p, bool inet, std::uint32_t denied) {
  for (const int number : {__NR_socket, __NR_socketpair})
    p.when(number, denied, [&] {
      p.arg(0);
      p.ret_if(AF_UNIX, SECCOMP_RET_ALLOW);
      if (inet) p.ret_if(AF_INET, SECCOMP_RET_ALLOW);
      if (inet) p.ret_if(AF_INET6, SECCOMP_RET_ALLOW);
      // Programs that look for interfaces or names ask by netlink first and do without.
      p.ret(SECCOMP_RET_ERRNO | EAFNOSUPPORT);
    });
}

bpf::Program wide(bool inet) {
  constexpr std::uint32_t denied = SECCOMP_RET_ERRNO | EPERM;
  bpf::Program p;
  p.load(offsetof(seccomp_data, arch));
  p.ret_unless(bpf::kArch, SECCOMP_RET_KILL_PROCESS);
  p.load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  p.ret_if_any_bit(0x40000000U, SECCOMP_RET_KILL_PROCESS);  // x32
#endif
  static constexpr auto kSorted = bpf::sorted(kDenied);
  p.ret_if_in(kSorted, denied);
  p.ret_if(435, SECCOMP_RET_ERRNO | ENOSYS);  // clone3: its flags lie behind a pointer
  p.when(__NR_clone, SECCOMP_RET_ALLOW, [&] {
    p.arg(0);
    p.ret_if_any_bit(kNamespaceFlags, denied);
  });
  p.when(__NR_personality, denied, [&] {
    p.arg(0);
    p.ret_if(0, SECCOMP_RET_ALLOW);
    p.ret_if(kAskPersonality, SECCOMP_RET_ALLOW);
  });
  p.when(__NR_ioctl, SECCOMP_RET_ALLOW, [&] {
    p.arg(1);
    for (const std::uint32_t request : {TIOCSTI, TIOCLINUX, TIOCSETD, TIOCCONS})
      p.ret_if(request, denied);
  });
  p.when(__NR_prctl, SECCOMP_RET_ALLOW, [&] {
    p.arg(0);
    for (const std::uint32_t option : kDeniedPrctl) p.ret_if(option, denied);
  });
  sockets(p, inet, denied);
  p.ret(SECCOMP_RET_ALLOW);
  return p;
}

int allow(int set, const char* path, std::uint64_t rights) {
  const Fd folder(::open(path, O_PATH | O_CLOEXEC));
  if (!folder) return errno == ENOENT ? 0 : errno;
  landlock_path_beneath_attr beneath{};
  beneath.allowed_access = rights;
  beneath.parent_fd = folder.get();
  return ::syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0U) == 0
             ? 0
             : errno;
}

}  // namespace

int install_box_filter(bool inet) {
  bpf::Program program = wide(inet);
  sock_fprog code = program.finish();
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0U, &code) == 0 ? 0 : errno;
}

int make_wall(bool inet, const char* const* writable, int count, Fd& out) {
  landlock::Rights handled;
  if (const int e = landlock::handled_rights(handled)) return e;
  if (inet) handled.net = 0;
  Fd set(landlock::make_ruleset(handled));
  if (!set) return errno;
  constexpr std::uint64_t kRead =
      LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
  if (const int e = allow(set.get(), "/", kRead & handled.fs)) return e;
  constexpr std::uint64_t kDevices = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
                                     landlock::kTruncate | landlock::kIoctlDev;
  for (const char* device : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"})
    if (const int e = allow(set.get(), device, kDevices & handled.fs)) return e;
  // Writing a descriptor's own file by /proc/self/fd, as shells do with /dev/stderr.
  if (const int e = allow(set.get(), "/proc", (kRead | LANDLOCK_ACCESS_FS_WRITE_FILE) & handled.fs))
    return e;
  constexpr std::uint64_t kNever = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
  for (const char* area : {"/tmp", "/work", "/dev/shm"})
    if (const int e = allow(set.get(), area, handled.fs & ~kNever)) return e;
  for (int i = 0; i < count; ++i)
    if (const int e = allow(set.get(), writable[i], handled.fs & ~kNever)) return e;
  out = std::move(set);
  return 0;
}

int enter_wall(const Fd& wall) {
  return ::syscall(SYS_landlock_restrict_self, wall.get(), 0U) == 0 ? 0 : errno;
}

}  // namespace seedbed::sandbox::box
