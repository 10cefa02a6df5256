// Each attack is really tried by a program inside a box, once made by root and once by a plain
// user; what the kernel answered is compared with what it must say.
#include <sstream>

#include "tests/sandbox/box_kit.h"

namespace seedbed::sandbox {
namespace {

struct Expected {
  const char *attack, *root, *user;
};
// Reads of /etc reach the box's own; files on /tmp are not executable only for want of a format.
constexpr Expected kAttacks[] = {
    {"read_shadow", "ENOENT", "ENOENT"},
    {"read_hostname", "ok", "ok"},
    {"read_proc", "ok", "ok"},
    {"read_sys", "ENOENT", "ENOENT"},
    {"read_dev", "ENOENT", "ENOENT"},
    {"dotdot", "ok", "ok"},
    {"write_root", "EROFS", "EROFS"},
    {"write_tmp", "ok", "ok"},
    {"socket_inet", "EAFNOSUPPORT", "EAFNOSUPPORT"},
    {"socket_inet6", "EAFNOSUPPORT", "EAFNOSUPPORT"},
    {"socket_vsock", "EAFNOSUPPORT", "EAFNOSUPPORT"},
    {"socket_unix", "ok", "ok"},
    {"socket_netlink", "EAFNOSUPPORT", "EAFNOSUPPORT"},
    {"socketpair", "ok", "ok"},
    {"ptrace_me", "EPERM", "EPERM"},
    {"ptrace_attach", "EPERM", "EPERM"},
    {"process_vm", "EPERM", "EPERM"},
    {"pidfd_getfd", "EPERM", "EPERM"},
    {"mount", "EPERM", "EPERM"},
    {"remount", "EPERM", "EPERM"},
    {"umount", "EPERM", "EPERM"},
    {"pivot_root", "EPERM", "EPERM"},
    {"chroot", "EPERM", "EPERM"},
    {"fsopen", "EPERM", "EPERM"},
    {"unshare_user", "EPERM", "EPERM"},
    {"unshare_mount", "EPERM", "EPERM"},
    {"clone_newuser", "EPERM", "EPERM"},
    {"clone3", "ENOSYS", "ENOSYS"},
    {"setns", "EPERM", "EPERM"},
    {"io_uring", "EPERM", "EPERM"},
    {"keyctl", "EPERM", "EPERM"},
    {"add_key", "EPERM", "EPERM"},
    {"request_key", "EPERM", "EPERM"},
    {"find_key", "EPERM", "EPERM"},
    {"personality", "EPERM", "EPERM"},
    {"bpf", "EPERM", "EPERM"},
    {"userfaultfd", "EPERM", "EPERM"},
    {"perf", "EPERM", "EPERM"},
    {"memfd", "ok", "ok"},
    {"mknod", "EACCES", "EACCES"},
    {"setuid", "EPERM", "EINVAL"},
    {"setgroups", "EPERM", "EPERM"},
    {"no_new_privs", "1", "1"},
    {"seccomp_mode", "2", "2"},
    {"capabilities", "0 0", "0 0"},
    {"second_exec", "ETXTBSY ETXTBSY EBADF EBADF", "ETXTBSY ETXTBSY EBADF EBADF"},
    {"raise_limits", "EPERM EPERM EPERM", "EPERM EPERM EPERM"},
    {"executable_memory", "ok ok", "ok ok"},
    {"fill_tmp", "ENOSPC 64", "ENOSPC 64"},
    {"fill_inodes", "ENOSPC 16313", "ENOSPC 16313"},
    {"fork_bomb", "EAGAIN 63", "EAGAIN 70"},
};

// "" where every answer is the expected one.
std::string differences(bool root) {
  // In a folder that anybody may enter: the build's own may be closed to others.
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / ("attack-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  ::chmod(folder.c_str(), 0755);
  std::filesystem::copy_file(kit::hostile(), folder / "hostile",
                             std::filesystem::copy_options::overwrite_existing);
  std::string names;
  for (const Expected& row : kAttacks) names += std::string(" ") + row.attack;
  kit::Words flags = {"--isolation", root ? "strict" : "standard", "--mount",
                      (folder / "hostile").string() + ":/opt/hostile"};
  const auto ran = kit::shell_in_box("exec 3>&1; exec /opt/hostile" + names, flags, [root] {
    if (!root) kit::become_nobody();
  });
  std::filesystem::remove_all(folder);
  std::map<std::string, std::string> answers;
  std::istringstream lines(ran.text("out"));
  for (std::string line; std::getline(lines, line);)
    if (const auto colon = line.find(": "); colon != std::string::npos)
      answers[line.substr(0, colon)] = line.substr(colon + 2);
  std::string text;
  for (const Expected& row : kAttacks) {
    const std::string wanted = root ? row.root : row.user;
    if (answers[row.attack] != wanted)
      text +=
          std::string(row.attack) + ": '" + answers[row.attack] + "', wanted '" + wanted + "'\n";
  }
  return text.empty() ? text : text + ran.err + ran.out;
}

TEST(BoxAttack, RootsBoxAnswersAsItMust) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  EXPECT_EQ(differences(true), "");
}

TEST(BoxAttack, APlainUsersBoxAnswersAsItMust) {
  if (::geteuid() == 0 && !kit::nobody_reaches_programs())
    GTEST_SKIP() << "nobody cannot reach the build folder";
  EXPECT_EQ(differences(false), "");
}

}  // namespace
}  // namespace seedbed::sandbox
