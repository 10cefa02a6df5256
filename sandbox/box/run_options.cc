#include "sandbox/box/run_options.h"

#include <charconv>
#include <cstring>

#include "sandbox/box/mount_text.h"

namespace seedbed::sandbox::box {
namespace {

struct Number {
  const char *flag, *about;
  std::int64_t low, high;
  void (*set)(RunOptions&, std::int64_t);
  std::int64_t standard;
};

constexpr Number kNumbers[] = {
    {"--wall-ms", "until everything inside is killed", 1, 86'400'000,
     [](RunOptions& o, std::int64_t n) { o.wall_ms = n; }, 60'000},
    {"--cpu-ms", "processor time of the whole tree; 0: no limit", 0, 86'400'000,
     [](RunOptions& o, std::int64_t n) { o.cpu_ms = n; }, 0},
    {"--memory-mib", "memory of the whole tree", 4, 1 << 20,
     [](RunOptions& o, std::int64_t n) { o.request.limits.memory_mib = static_cast<int>(n); }, 512},
    {"--pids", "processes and threads at once", 1, 30'000,
     [](RunOptions& o, std::int64_t n) { o.request.limits.pids = static_cast<int>(n); }, 64},
    {"--files", "open files of a process", 8, 20'000,
     [](RunOptions& o, std::int64_t n) { o.request.limits.open_files = static_cast<int>(n); }, 256},
    {"--tmpfs-mib", "/tmp, /work and /dev/shm together", 1, 1 << 16,
     [](RunOptions& o, std::int64_t n) {
       o.request.limits.tmpfs_bytes = static_cast<std::uint64_t>(n) << 20;
     },
     64},
    {"--inodes", "files and folders in there", 64, 10'000'000,
     [](RunOptions& o, std::int64_t n) {
       o.request.limits.tmpfs_inodes = static_cast<std::uint64_t>(n);
     },
     16'384},
    {"--file-mib", "largest file that can be written", 1, 1 << 16,
     [](RunOptions& o, std::int64_t n) {
       o.request.limits.file_bytes = static_cast<std::uint64_t>(n) << 20;
     },
     64},
    {"--output-kib", "kept of each stream with --json: head and tail", 1, 1 << 16,
     [](RunOptions& o, std::int64_t n) { o.output_kib = n; }, 256},
    {"--collect-kib", "largest file that is collected", 1, 1 << 20,
     [](RunOptions& o, std::int64_t n) { o.collect_kib = n; }, 16'384},
};

std::string wrong(const std::string& at, const std::string& what, const std::string& todo) {
  return "option '" + at + "': " + what + "; " + todo;
}

std::string add_mount(const std::string& text, RunOptions& out) {
  MountRequest mount;
  const MountFault fault = read_mount(text, mount.source, mount.target, mount.writable);
  if (!fault.what.empty()) return wrong("--mount", fault.what, fault.todo);
  if (out.request.mounts.size() >= kMaxMounts)
    return wrong("--mount", "more than " + std::to_string(kMaxMounts), "mount a common folder");
  out.request.mounts.push_back(mount);
  return "";
}

}  // namespace

std::string read_options(int argc, char** argv, RunOptions& out) {
  out.env = {"PATH=/usr/local/bin:/usr/bin:/bin",
             "HOME=/work",
             "TMPDIR=/tmp",
             "LANG=C.UTF-8",
             "LC_ALL=C.UTF-8",
             "TZ=UTC",
             "USER=agent",
             "LOGNAME=agent",
             "SHELL=/bin/sh"};
  int i = 0;
  for (; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--") {
      ++i;
      break;
    }
    if (flag.empty() || flag[0] != '-') break;
    if (flag == "--json") {
      out.json = true;
      continue;
    }
    if (flag == "--help" || flag == "-h") {
      out.help = true;
      return "";
    }
    const Number* number = nullptr;
    for (const Number& row : kNumbers)
      if (flag == row.flag) number = &row;
    const bool known = number != nullptr || flag == "--net" || flag == "--mount" ||
                       flag == "--env" || flag == "--cwd" || flag == "--isolation" ||
                       flag == "--collect" || flag == "--out";
    if (!known)
      return wrong(flag, "is unknown",
                   "see `seedbed sandbox run --help`; the command comes after --");
    if (i + 1 >= argc) return wrong(flag, "its value is missing", "give one");
    const std::string value = argv[++i];
    if (number != nullptr) {
      std::int64_t n = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
      if (error != std::errc() || end != value.data() + value.size() || n < number->low ||
          n > number->high)
        return wrong(flag,
                     "'" + value + "', wanted a number from " + std::to_string(number->low) +
                         " to " + std::to_string(number->high),
                     "correct it");
      number->set(out, n);
    } else if (flag == "--net") {
      if (value != "none" && value != "loopback")
        return wrong(flag, "'" + value + "', wanted none or loopback", "correct it");
      out.request.net = value == "none" ? Net::none : Net::loopback;
    } else if (flag == "--mount") {
      if (std::string error = add_mount(value, out); !error.empty()) return error;
    } else if (flag == "--env") {
      if (value.find('=') == std::string::npos || value[0] == '=')
        return wrong(flag, "'" + value + "', wanted NAME=VALUE", "correct it");
      out.env.push_back(value);
    } else if (flag == "--cwd") {
      if (value.empty() || value[0] != '/')
        return wrong(flag, "'" + value + "', wanted an absolute path inside", "correct it");
      out.directory = value;
    } else if (flag == "--isolation") {
      if (value != "strict" && value != "standard")
        return wrong(flag, "'" + value + "', wanted strict or standard", "correct it");
      out.level = value == "strict" ? Level::strict : Level::standard;
    } else if (flag == "--collect") {
      out.collect.push_back(value);
    } else {
      out.out = value;
    }
  }
  for (; i < argc; ++i) out.argv.emplace_back(argv[i]);
  if (out.argv.empty())
    return wrong("CMD", "there is no command",
                 "for instance: seedbed sandbox run -- /bin/echo hello");
  if (!out.collect.empty() && out.out.empty())
    return wrong("--collect", "has no --out DIR", "name the folder that the files go to");
  return "";
}

std::string run_help() {
  std::string text =
      "usage: seedbed sandbox run [flags] -- CMD [ARG...]\n\n"
      "Runs one command in a jail of its own: namespaces, a read-only root with the host's /usr,\n"
      "work areas in memory, limits on the whole tree, no capabilities, Landlock, seccomp.\n\n";
  for (const Number& row : kNumbers) {
    std::string line = "  " + std::string(row.flag) + " N";
    line.resize(24, ' ');
    text += line + row.about + " [" + std::to_string(row.standard) + "]\n";
  }
  text +=
      "  --net none|loopback   no sockets but unix ones, or an interface of its own [none]\n"
      "  --mount SRC:DST[:rw]  show a file or folder of the host; repeatable\n"
      "  --env NAME=VALUE      nothing of the caller's environment comes along; repeatable\n"
      "  --cwd DIR             where the command starts [/work]\n"
      "  --collect PATH        a file below /work to keep, with --out DIR; repeatable\n"
      "  --out DIR             where collected files go\n"
      "  --isolation LEVEL     strict: every layer; standard: without control groups, Landlock or "
      "/proc\n"
      "                        where this machine has none, each named with --json [strict]\n"
      "  --json                capture the output, print one object at the end\n\n"
      "exit code: the command's; 128+N: ended by signal N; 124: a time limit; 125: no jail could "
      "be\n"
      "made; 126, 127: the command cannot be run, is not there\n\n"
      "example: seedbed sandbox run --wall-ms 2000 --memory-mib 128 -- python3 -c 'print(6*7)'\n";
  return text;
}

}  // namespace seedbed::sandbox::box
