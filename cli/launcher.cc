// seedbed: small and static, so that `sandbox run` starts at once; everything else is the program
// beside it.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "sandbox/box/run_options.h"

namespace {

// The folder of this program, with its last slash; empty where it cannot be told. A full buffer may
// hold only the beginning of the name.
std::string own_folder() {
  std::array<char, 4096> own{};
  const ssize_t length = ::readlink("/proc/self/exe", own.data(), own.size());
  const auto size = static_cast<std::size_t>(length > 0 ? length : 0);
  if (size == 0 || size == own.size() || own[0] != '/') return {};
  const std::string path(own.data(), size);
  return path.substr(0, path.rfind('/') + 1);
}

int fail(const std::string& line) {
  static_cast<void>(::write(2, line.data(), line.size()));
  return 127;
}

// Never by a relative name: that would be whatever lies in the current folder.
int start_program(char** argv) {
  const std::string folder = own_folder();
  if (folder.empty())
    return fail(
        "seedbed: link '/proc/self/exe': found no path that can be read, wanted the place of this "
        "program, beside which seedbed-program lies; mount /proc, or start seedbed-program "
        "itself\n");
  const std::string path = folder + "seedbed-program";
  ::execv(path.c_str(), argv);
  return fail("seedbed: program " + path + ": cannot be started: " +
              std::strerror(errno) +  // NOLINT(concurrency-mt-unsafe): one thread
              "; keep seedbed-program beside seedbed, or build it\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc >= 3 && std::strcmp(argv[1], "sandbox") == 0 && std::strcmp(argv[2], "run") == 0)
    return seedbed::sandbox::box::run(argc - 3, argv + 3);
  return start_program(argv);
}
