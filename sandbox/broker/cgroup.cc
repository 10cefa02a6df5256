#include "sandbox/broker/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <vector>

#include "sandbox/broker/sys.h"

namespace seedbed::sandbox {

bool write_file(const char* path, std::string_view text) {
  const Fd fd(::open(path, O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

namespace {

constexpr std::string_view kPrefix = "seedbed-";

std::string read_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> part{};
  for (ssize_t n = 0;
       fd && (n = ::read(fd.get(), part.data(), part.size())) > 0 && text.size() < 1'000'000;)
    text.append(part.data(), static_cast<std::size_t>(n));
  return text;
}

std::vector<std::string_view> pieces(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = text.find(separator);
    out.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return out;
}

bool has_word(std::string_view list, std::string_view word, char separator) {
  if (!list.empty() && list.back() == '\n') list.remove_suffix(1);
  for (const std::string_view piece : pieces(list, separator))
    if (piece == word) return true;
  return false;
}

std::int64_t number_after(const std::string& text,
                          std::string_view key) {  // a line "key N"; 0 where absent
  for (const std::string_view line : pieces(text, '\n')) {
    if (line.substr(0, key.size()) != key || line.size() <= key.size() || line[key.size()] != ' ')
      continue;
    std::int64_t n = 0;
    std::from_chars(line.data() + key.size() + 1, line.data() + line.size(), n);
    return n;
  }
  return 0;
}

struct Place {
  std::string mount, own;  // own: our group's folder below the mount
};

// Our own group in the hierarchy of `controller`, from /proc/self/cgroup.
std::string own_path(const std::string& groups, std::string_view controller) {
  std::string path;
  for (const std::string_view line : pieces(groups, '\n')) {  // "4:memory:/path"
    const std::size_t a = line.find(':');
    const std::size_t b = a == std::string_view::npos ? a : line.find(':', a + 1);
    if (b == std::string_view::npos) continue;
    const std::string_view names = line.substr(a + 1, b - a - 1);
    if (controller.empty() ? names.empty() : has_word(names, controller, ','))
      path = line.substr(b + 1);
  }
  return path;
}

// Where hierarchies usually lie: the whole list of mounts takes the kernel as long as ten of these
// looks. Empty where it is not so, or only a part of the hierarchy is shown.
Place usual_place(const std::string& path, std::string_view controller) {
  constexpr long kV1 = 0x27e0eb, kV2 = 0x63677270;
  const std::string base = "/sys/fs/cgroup";
  const std::array<std::string, 2> mounts =
      controller.empty() ? std::array{base, base + "/unified"}
                         : std::array{base + "/" + std::string(controller), std::string()};
  for (const std::string& mount : mounts) {
    struct statfs what {};
    if (mount.empty() || ::statfs(mount.c_str(), &what) != 0 ||
        static_cast<long>(what.f_type) != (controller.empty() ? kV2 : kV1))
      continue;
    const std::string own = mount + (path == "/" ? "" : path);
    if (::access(own.c_str(), F_OK) == 0) return {mount, own};
  }
  return {};
}

// Where `controller` ("" = the unified hierarchy) is mounted, and our own group in it. mountinfo:
// read when it is needed.
Place find_place(std::string& mountinfo, const std::string& groups, std::string_view controller) {
  const std::string path = own_path(groups, controller);
  if (path.empty()) return {};
  Place place = usual_place(path, controller);
  if (!place.own.empty()) return place;
  if (mountinfo.empty()) mountinfo = read_file("/proc/self/mountinfo");
  for (const std::string_view line : pieces(mountinfo, '\n')) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const auto left = pieces(line.substr(0, dash), ' ');
    const auto right = pieces(line.substr(dash + 3), ' ');
    if (left.size() < 5 || right.size() < 3) continue;
    if (controller.empty() ? right[0] != "cgroup2"
                           : (right[0] != "cgroup" || !has_word(right[2], controller, ',')))
      continue;
    const std::string_view root = left[3];  // the mount may show a part of the hierarchy only
    std::string_view below = path;
    if (root != "/" && below.substr(0, root.size()) == root) below.remove_prefix(root.size());
    place.mount = left[4];
    place.own = place.mount + (below == "/" ? std::string() : std::string(below));
    return place;
  }
  return place;
}

bool alive(
    std::string_view name) {  // of a tree: is its broker, or its box's supervisor, still there?
  int pid = 0;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), pid);
  if (pid <= 0) return true;  // not one of ours: leave it
  const std::string comm = read_file("/proc/" + std::to_string(pid) + "/comm");
  return comm == "seedbed-broker\n" || comm == "seedbed-box\n";
}

// Removes the trees beside `own` of brokers that are gone. Their jails died with them; a group that
// still has members stays.
void sweep_beside(const std::string& own) {
  const std::string base = own.substr(0, own.rfind('/'));
  DIR* dir = ::opendir(base.c_str());
  if (dir == nullptr) return;
  std::vector<std::string> stale;
  while (const dirent* entry = ::readdir(dir)) {  // NOLINT(concurrency-mt-unsafe): one thread
    const std::string_view name = entry->d_name;
    if (name.substr(0, kPrefix.size()) == kPrefix && base + "/" + std::string(name) != own &&
        !alive(name))
      stale.emplace_back(base + "/" + std::string(name));
  }
  ::closedir(dir);
  for (const std::string& tree : stale) {
    if (DIR* inner = ::opendir(tree.c_str()); inner != nullptr) {
      while (const dirent* entry = ::readdir(inner))  // NOLINT(concurrency-mt-unsafe): one thread
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
          ::rmdir((tree + "/" + entry->d_name).c_str());
      ::closedir(inner);
    }
    ::rmdir(tree.c_str());
  }
}

bool make_tree(Cgroups::Controller& c, const std::string& base) {
  const std::string tree = base + "/" + std::string(kPrefix) + std::to_string(::getpid());
  if (::mkdir(tree.c_str(), 0755) != 0 && errno != EEXIST) {
    c.error = errno;
    c.why = "mkdir " + tree;
    return false;
  }
  c.tree = tree;
  return true;
}

// v2: a group with processes of its own cannot hand controllers down, so look upwards for one that
// does.
bool make_tree_v2(Cgroups::Controller& c,
                  const Place& place,
                  std::string_view controller,
                  Cgroups::Layout layout) {
  const std::string grant = "+" + std::string(controller);
  for (std::string base = place.own; base.size() >= place.mount.size() && !base.empty();) {
    const bool offered = has_word(read_file(base + "/cgroup.controllers"), controller, ' ');
    const bool handed =
        offered && (has_word(read_file(base + "/cgroup.subtree_control"), controller, ' ') ||
                    write_file((base + "/cgroup.subtree_control").c_str(), grant));
    if (handed && make_tree(c, base)) {
      if (layout == Cgroups::Layout::one ||
          write_file((c.tree + "/cgroup.subtree_control").c_str(), grant))
        return true;
      c.error = errno;
      c.why = "write " + c.tree + "/cgroup.subtree_control";
      ::rmdir(c.tree.c_str());
      c.tree.clear();
    } else if (c.why.empty()) {
      c.error = offered ? errno : ENOENT;
      c.why = "no group at or above " + place.own + " hands down '" + std::string(controller) + "'";
    }
    base.resize(base.rfind('/'));
  }
  return false;
}

void open_controller(Cgroups::Controller& c,
                     std::string& mountinfo,
                     const std::string& groups,
                     std::string_view controller,
                     Cgroups::Layout layout) {
  if (const Place v1 = find_place(mountinfo, groups, controller); !v1.own.empty()) {
    make_tree(c, v1.own);
    return;
  }
  c.v2 = true;
  const Place v2 = find_place(mountinfo, groups, "");
  if (v2.own.empty()) {
    c.error = ENOENT;
    c.why = "no cgroup file system is mounted";
    return;
  }
  make_tree_v2(c, v2, controller, layout);
}

}  // namespace

std::string Cgroups::folder(const Controller& c, std::uint32_t jail) const {
  return layout_ == Layout::one ? c.tree : c.tree + "/jail-" + std::to_string(jail);
}

bool Cgroups::make_folder(const Controller& c, std::uint32_t jail) const {
  if (layout_ == Layout::one && !removed_) return true;  // the tree itself
  const std::string path = folder(c, jail);
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return true;
  if (errno != ENOENT || layout_ == Layout::one) return false;
  ::mkdir(c.tree.c_str(), 0755);  // an empty tree may be swept by a broker that cannot see our pid
  return ::mkdir(path.c_str(), 0755) == 0;
}

bool Cgroups::set(const Controller& c,
                  std::uint32_t jail,
                  const char* file,
                  std::string_view value) const {
  return write_file((folder(c, jail) + "/" + file).c_str(), value);
}

Cgroups::Cgroups(Layout layout) : layout_(layout) {
  std::string mountinfo;
  const std::string groups = read_file("/proc/self/cgroup");
  open_controller(memory_, mountinfo, groups, "memory", layout);
  open_controller(pids_, mountinfo, groups, "pids", layout);
  if (layout == Layout::many) open_controller(cpu_, mountinfo, groups, "cpu", layout);
  kill_.v2 = true;
  if (memory_.v2 && !memory_.tree.empty()) {
    kill_.tree = memory_.tree;  // the same group serves both
  } else if (const Place v2 = find_place(mountinfo, groups, ""); !v2.own.empty()) {
    make_tree(kill_, v2.own);
  } else {
    kill_.error = ENOENT;
    kill_.why = "no unified cgroup hierarchy is mounted";
  }
  if (layout == Layout::many) sweep();
}

void Cgroups::sweep() const {
  for (const Controller* c : {&memory_, &pids_, &cpu_, &kill_})
    if (!c->tree.empty()) sweep_beside(c->tree);
}

Cgroups::~Cgroups() {
  if (removed_) return;
  for (const Controller* c : {&memory_, &pids_, &cpu_, &kill_})
    if (!c->tree.empty()) ::rmdir(c->tree.c_str());
}

bool Cgroups::make(std::uint32_t jail, const CgroupLimits& limits, std::string_view& stage) {
  stage = "cgroup_memory";
  if (!memory_.tree.empty() && limits.memory_mib > 0) {
    const std::string bytes = std::to_string(static_cast<std::int64_t>(limits.memory_mib) << 20);
    if (!make_folder(memory_, jail)) return false;
    if (!set(memory_, jail, memory_.v2 ? "memory.max" : "memory.limit_in_bytes", bytes))
      return false;
    // Absent where the kernel does not account swap; then there is the one limit.
    if (memory_.v2) {
      set(memory_, jail, "memory.swap.max", "0");
      set(memory_, jail, "memory.oom.group", "1");
    } else {
      set(memory_, jail, "memory.memsw.limit_in_bytes", bytes);
    }
  }
  stage = "cgroup_pids";
  if (!pids_.tree.empty() && limits.pids > 0) {
    if (!make_folder(pids_, jail) || !set(pids_, jail, "pids.max", std::to_string(limits.pids)))
      return false;
  }
  stage = "cgroup_cpu";
  if (limits.cpu_percent > 0) {
    if (cpu_.tree.empty()) {
      errno = cpu_.error;
      return false;
    }
    const std::string quota = std::to_string(limits.cpu_percent * 1000);
    if (!make_folder(cpu_, jail)) return false;
    if (!(cpu_.v2 ? set(cpu_, jail, "cpu.max", quota + " 100000")
                  : set(cpu_, jail, "cpu.cfs_quota_us", quota)))
      return false;
  }
  stage = "cgroup_kill";
  if (!kill_.tree.empty() && !make_folder(kill_, jail)) return false;
  removed_ = false;
  return true;
}

std::array<Cgroups::Named, 4> Cgroups::all() const {
  return {{{&memory_, "cgroup_memory"},
           {&pids_, "cgroup_pids"},
           {&cpu_, "cgroup_cpu"},
           {&kill_, "cgroup_kill"}}};
}

bool Cgroups::open_gate(std::uint32_t jail, CgroupGate& gate, std::string_view& stage) const {
  std::size_t next = 0;
  for (const auto& [c, name] : all()) {
    stage = name;
    if (c->tree.empty()) continue;
    const std::string path = folder(*c, jail) + (c->v2 ? "" : "/tasks");
    Fd file(::open(path.c_str(), (c->v2 ? O_RDONLY | O_DIRECTORY : O_WRONLY) | O_CLOEXEC));
    if (!file && errno == ENOENT) continue;  // no such limit was asked for
    if (!file) return false;
    if (!c->v2)
      gate.tasks.at(next++) = {std::move(file), name};
    else if (!gate.unified)
      gate.unified = std::move(file);
  }
  return true;
}

int CgroupGate::enter(std::string_view& stage) const {
  for (const auto& [file, name] : tasks) {
    if (!file) break;
    stage = name;
    if (::write(file.get(), "0", 1) != 1) return errno;
  }
  return 0;
}

long clone_into(clone_args& args, const CgroupGate& gate, bool& inside) {
  inside = static_cast<bool>(gate.unified);
  if (inside) {
    clone_args into = args;
    into.flags |= CLONE_INTO_CGROUP;
    into.cgroup = static_cast<std::uint64_t>(gate.unified.get());
    const long pid = sys_clone3(into);
    if (pid >= 0 || errno == EAGAIN || errno == ENOMEM) return pid;
    inside = false;  // an older kernel, or a place that may only be written to
  }
  return sys_clone3(args);
}

bool Cgroups::attach(std::uint32_t jail, int pid, std::string_view& stage, bool v2_only) const {
  const std::string text = std::to_string(pid);
  for (const auto& [c, name] : all()) {
    stage = name;
    if ((v2_only && !c->v2) || c->tree.empty() || ::access(folder(*c, jail).c_str(), F_OK) != 0)
      continue;  // no such limit was asked for
    if (!set(*c, jail, "cgroup.procs", text)) return false;
  }
  return true;
}

bool Cgroups::kill(std::uint32_t jail) {
  return !kill_.tree.empty() && set(kill_, jail, "cgroup.kill", "1");
}

bool Cgroups::remove(std::uint32_t jail) {
  bool gone = true;
  for (const Controller* c : {&memory_, &pids_, &cpu_, &kill_})
    if (!c->tree.empty() && ::rmdir(folder(*c, jail).c_str()) != 0 && errno == EBUSY) gone = false;
  removed_ = gone && layout_ == Layout::one;
  return gone;
}

std::int64_t Cgroups::oom_kills(std::uint32_t jail) const {
  if (memory_.tree.empty()) return 0;
  return number_after(
      read_file(folder(memory_, jail) + (memory_.v2 ? "/memory.events" : "/memory.oom_control")),
      "oom_kill");
}

std::int64_t Cgroups::cpu_us(std::uint32_t jail) const {
  // The unified hierarchy counts without any controller.
  if (kill_.tree.empty()) return -1;
  const std::string text = read_file(folder(kill_, jail) + "/cpu.stat");
  return text.empty() ? -1 : number_after(text, "usage_usec");
}

std::int64_t Cgroups::peak_bytes(std::uint32_t jail) const {
  if (memory_.tree.empty()) return -1;
  const std::string text = read_file(folder(memory_, jail) +
                                     (memory_.v2 ? "/memory.peak" : "/memory.max_usage_in_bytes"));
  std::int64_t n = -1;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

std::int64_t Cgroups::pids_refused(std::uint32_t jail) const {
  return pids_.tree.empty() ? 0
                            : number_after(read_file(folder(pids_, jail) + "/pids.events"), "max");
}

}  // namespace seedbed::sandbox
