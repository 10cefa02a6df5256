// seedbed: small and static, so that `sandbox run` starts at once; everything else is the program
// beside it.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "sandbox/box/run_options.h"

namespace {

int start_program(char** argv) {
  std::array<char, 4096> own{};
  const ssize_t size = ::readlink("/proc/self/exe", own.data(), own.size() - 1);
  std::string path(own.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  path.resize(path.rfind('/') + 1);
  path += "seedbed-program";
  ::execv(path.c_str(), argv);
  const std::string line = "seedbed: program " + path + ": cannot be started: " +
                           std::strerror(errno) +  // NOLINT(concurrency-mt-unsafe): one thread
                           "; keep seedbed-program beside seedbed, or build it\n";
  static_cast<void>(::write(2, line.data(), line.size()));
  return 127;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc >= 3 && std::strcmp(argv[1], "sandbox") == 0 && std::strcmp(argv[2], "run") == 0)
    return seedbed::sandbox::box::run(argc - 3, argv + 3);
  return start_program(argv);
}
