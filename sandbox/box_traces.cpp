#include "sandbox/box_traces.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "sandbox/box/serve.h"

namespace seedbed::sandbox {
namespace {

namespace fs = std::filesystem;

bool is_of_boxes(const fs::path& process, int server) {
  std::ifstream status(process / "status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string key;
    unsigned long value = 0;
    if (!(words >> key >> value)) continue;
    if (key == "PPid:" && value == static_cast<unsigned long>(server)) return true;
    if (key == "Uid:" && value >= box::kFirstUid) return true;
  }
  return false;
}

template <class Counts>
std::size_t count(const fs::path& folder, Counts&& counts) {
  std::size_t n = 0;
  std::error_code error;  // what goes away while it is looked at counts as gone
  for (auto at = fs::directory_iterator(folder, error); !error && at != fs::directory_iterator();
       at.increment(error))
    n += counts(at->path()) ? 1 : 0;
  return n;
}

}  // namespace

Traces traces(int server) {
  Traces out;
  out.descriptors = count("/proc/self/fd", [](const fs::path&) { return true; });
  out.processes = count("/proc", [server](const fs::path& p) { return is_of_boxes(p, server); });
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) ++out.mounts;
  const std::string tree = "seedbed-" + std::to_string(server);
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (auto at = fs::recursive_directory_iterator("/sys/fs/cgroup", options, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error))
    if (at->path().parent_path().filename() == tree && at->is_directory(error)) ++out.groups;
  return out;
}

}  // namespace seedbed::sandbox
