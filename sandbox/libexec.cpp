#include "sandbox/libexec.h"

#include <unistd.h>

#include <array>

namespace seedbed::sandbox {
namespace {

std::string own_folder() {
  std::array<char, 4096> path{};
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
  if (size <= 0 || static_cast<std::size_t>(size) == path.size()) return {};
  const std::string_view whole(path.data(), static_cast<std::size_t>(size));
  return std::string(whole.substr(0, whole.rfind('/')));
}

}  // namespace

Result<std::string> libexec_path(std::string_view name) {
  std::string tried;
  for (const std::string& folder : {own_folder(), std::string(SEEDBED_LIBEXEC)}) {
    if (folder.empty()) continue;
    std::string path = folder + "/" + std::string(name);
    if (access(path.c_str(), X_OK) == 0) return path;
    tried += (tried.empty() ? "" : ", ") + path;
  }
  return make_error(Where::sandbox, "helper program", name, "not found at " + tried,
                    "keep it beside the seedbed executable, or build it");
}

}  // namespace seedbed::sandbox
