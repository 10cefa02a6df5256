// The root of a box: the host's /usr read-only, an /etc of a few made-up files, /proc, five
// devices, and one sized tmpfs behind /tmp, /work and /dev/shm.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdio>
#include <cstring>

#include "sandbox/box/order.h"

namespace seedbed::sandbox::box {
namespace {

constexpr unsigned long kSafe = MS_NOSUID | MS_NODEV;

int error_of(long rc) {
  return rc < 0 ? errno : 0;
}

struct Path {  // a small text buffer: no heap here
  std::array<char, 4096> text{};
  explicit Path(std::string_view a, std::string_view b = {}) {
    const std::size_t n = a.size() + b.size() < text.size() ? a.size() + b.size() : 0;
    if (n == 0) return;
    std::memcpy(text.data(), a.data(), a.size());
    std::memcpy(text.data() + a.size(), b.data(), b.size());
  }
  [[nodiscard]] const char* get() const { return text.data(); }
};

int make_file(const char* path, std::string_view text) {
  const Fd fd(::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444));
  if (!fd) return errno;
  return ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0
                                                                                          : errno;
}

// A folder or file of the host, as it is, at a place below the new root ("." is the new root).
int bind(const char* source, const char* target, bool writable) {
  if (::mount(source, target, nullptr, MS_BIND, nullptr) != 0) return errno;
  const unsigned long flags =
      MS_REMOUNT | MS_BIND | kSafe | (writable ? 0UL : static_cast<unsigned long>(MS_RDONLY));
  if (::mount(nullptr, target, nullptr, flags, nullptr) == 0) return 0;
  // In a user namespace a mount keeps the host's own noexec, noatime and the like.
  struct stat st {};
  return errno == EPERM && ::stat(target, &st) == 0
             ? error_of(::mount(nullptr, target, nullptr, flags | MS_NOEXEC | MS_RELATIME, nullptr))
             : errno;
}

// /bin, /lib and their like: links into /usr on most hosts, folders of their own on some.
int show_system(const char* name) {
  const Path host("/", name);
  std::array<char, 256> link{};
  const ssize_t n = ::readlink(host.get(), link.data(), link.size() - 1);
  if (n > 0) return error_of(::symlink(link.data(), name));
  struct stat st {};
  if (::lstat(host.get(), &st) != 0 || !S_ISDIR(st.st_mode)) return 0;  // not on this host
  if (::mkdir(name, 0755) != 0) return errno;
  return bind(host.get(), name, false);
}

// What the dynamic loader and Debian's alternatives need; the rest of /etc stays outside.
int make_etc(unsigned uid) {
  if (::mkdir("etc", 0755) != 0) return errno;
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(),
                "root:x:0:0::/nonexistent:/bin/false\nagent:x:%u:%u::/work:/bin/sh\n", uid, uid);
  if (const int e = make_file("etc/passwd", text.data())) return e;
  std::snprintf(text.data(), text.size(), "root:x:0:\nagent:x:%u:\n", uid);
  if (const int e = make_file("etc/group", text.data())) return e;
  if (const int e = make_file("etc/hosts", "127.0.0.1 localhost jail\n::1 localhost\n")) return e;
  if (const int e = make_file("etc/hostname", "jail\n")) return e;
  if (const int e = make_file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"))
    return e;
  struct stat st {};
  if (::stat("/etc/ld.so.cache", &st) == 0) {
    if (const int e = make_file("etc/ld.so.cache", "")) return e;
    if (const int e = bind("/etc/ld.so.cache", "etc/ld.so.cache", false)) return e;
  }
  if (::stat("/etc/alternatives", &st) == 0) {
    if (::mkdir("etc/alternatives", 0755) != 0) return errno;
    if (const int e = bind("/etc/alternatives", "etc/alternatives", false)) return e;
  }
  return 0;
}

int make_devices(bool may_make_nodes) {
  constexpr struct {
    const char *name, *host;
    unsigned minor;
  } kDevices[] = {{"dev/null", "/dev/null", 3},
                  {"dev/zero", "/dev/zero", 5},
                  {"dev/full", "/dev/full", 7},
                  {"dev/random", "/dev/random", 8},
                  {"dev/urandom", "/dev/urandom", 9}};
  if (::mkdir("dev", 0755) != 0 || ::mkdir("dev/shm", 01777) != 0) return errno;
  for (const auto& d : kDevices) {
    if (may_make_nodes && ::mknod(d.name, S_IFCHR | 0666, makedev(1, d.minor)) == 0) continue;
    if (const int e = make_file(d.name, "")) return e;
    if (::mount(d.host, d.name, nullptr, MS_BIND, nullptr) != 0) return errno;
  }
  constexpr const char* kLinks[][2] = {{"/proc/self/fd", "dev/fd"},
                                       {"/proc/self/fd/0", "dev/stdin"},
                                       {"/proc/self/fd/1", "dev/stdout"},
                                       {"/proc/self/fd/2", "dev/stderr"}};
  for (const auto& link : kLinks)
    if (::symlink(link[0], link[1]) != 0) return errno;
  return 0;
}

// One tmpfs behind three places, so that one size bounds them together.
int make_work_areas(const Order& order) {
  std::array<char, 192> options{};
  std::snprintf(options.data(), options.size(), "size=%llu,nr_inodes=%llu,mode=0700",
                static_cast<unsigned long long>(order.limits.tmpfs_bytes),
                static_cast<unsigned long long>(order.limits.tmpfs_inodes));
  for (const char* folder : {"tmp", "work"})
    if (::mkdir(folder, 0755) != 0) return errno;
  // Over a folder of the old root, which takes it away with it: each unmounting of its own makes
  // the kernel wait for all its readers.
  if (::mount("seedbed", "/usr", "tmpfs", kSafe, options.data()) != 0) return errno;
  constexpr struct {
    const char *part, *place;
    mode_t mode;
  } kPlaces[] = {
      {"/usr/tmp", "tmp", 01777}, {"/usr/work", "work", 0755}, {"/usr/shm", "dev/shm", 01777}};
  for (const auto& p : kPlaces) {
    if (::mkdir(p.part, p.mode) != 0 || ::chown(p.part, order.uid, order.uid) != 0 ||
        ::mount(p.part, p.place, nullptr, MS_BIND, nullptr) != 0)
      return errno;
  }
  return 0;
}

// The folders above a target, then the target itself as its source is, which is open as `source`.
int make_place(const Mount& m, int source) {
  Path path(".", m.target);
  char* text = path.text.data();
  for (char* at = std::strchr(text + 2, '/'); at != nullptr; at = std::strchr(at + 1, '/')) {
    *at = '\0';
    if (::mkdir(text, 0755) != 0 && errno != EEXIST) return errno;
    *at = '/';
  }
  struct stat st {};
  if (::fstat(source, &st) != 0) return errno;
  if (S_ISDIR(st.st_mode)) {
    if (::mkdir(text, 0755) != 0 && errno != EEXIST) return errno;
  } else {
    const int e = make_file(text, "");
    if (e != 0 && e != EEXIST) return e;
  }
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "/proc/self/fd/%d", source);
  return bind(name.data(), text, m.writable);
}

int mount_proc() {
  if (::mkdir("proc", 0555) != 0) return errno;
  constexpr unsigned long kFlags = kSafe | MS_NOEXEC;
  if (::mount("proc", "proc", "proc", kFlags, "hidepid=invisible") != 0 &&
      ::mount("proc", "proc", "proc", kFlags, "hidepid=2") != 0)
    return errno;
  return error_of(
      ::mount(nullptr, "proc", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kFlags, nullptr));
}

}  // namespace

int make_box_root(const Order& order, std::string_view& stage) {
  stage = "mount_ns";
  if (const int e = make_private_mounts()) return e;
  stage = "mount";
  // The host's /tmp is out of sight from here on.
  std::array<Fd, kMaxMounts> sources;
  for (int i = 0; i < order.mount_count; ++i) {
    Fd& source = sources.at(static_cast<std::size_t>(i));
    source.reset(::open(order.mounts[i].source, O_PATH | O_CLOEXEC));
    if (!source) return errno;
  }
  stage = "tmpfs";
  // Any folder serves to mount on: only this namespace sees it. Device nodes work on this file
  // system alone, which nobody inside can write to.
  if (::mount("seedbed", "/tmp", "tmpfs", MS_NOSUID, "size=1m,nr_inodes=1024,mode=0755") != 0)
    return errno;
  if (::chdir("/tmp") != 0) return errno;
  stage = "root";
  if (::mkdir("usr", 0755) != 0) return errno;
  if (const int e = bind("/usr", "usr", false)) return e;
  for (const char* name : {"bin", "sbin", "lib", "lib32", "lib64"})
    if (const int e = show_system(name)) return e;
  stage = "etc";
  if (const int e = make_etc(order.uid)) return e;
  stage = "dev";
  if (const int e = make_devices(order.plan.root)) return e;
  stage = "proc";
  if (order.proc)
    if (const int e = mount_proc()) return e;
  stage = "work";
  if (const int e = make_work_areas(order)) return e;
  stage = "mount";
  for (int i = 0; i < order.mount_count; ++i)
    if (const int e = make_place(order.mounts[i], sources.at(static_cast<std::size_t>(i)).get()))
      return e;
  stage = "pivot_root";
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno;
  if (::umount2(".", MNT_DETACH) != 0) return errno;  // the old root was stacked on the new one
  if (::chdir("/") != 0) return errno;
  return error_of(
      ::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, nullptr));
}

}  // namespace seedbed::sandbox::box
