#include "sandbox/spawn.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/process/v2/posix/default_launcher.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/process/v2/stdio.hpp>
#include <exception>
#include <vector>

#include "sandbox/broker/wire.h"

namespace seedbed::sandbox {

namespace bp = boost::process::v2;

namespace {

// Passes the control channel. The library's own bind_fd of release 1.81 returns nothing from a
// function that must (undefined behaviour, seen as a double free), hence this one.
struct PassControl {
  int control;

  boost::system::error_code on_setup(bp::posix::default_launcher& launcher,
                                     const bp::filesystem::path&,
                                     const char* const*) const {
    launcher.fd_whitelist.push_back(wire::kControlFd);
    return {};
  }
  boost::system::error_code on_exec_setup(bp::posix::default_launcher&,
                                          const bp::filesystem::path&,
                                          const char* const*) const {
    // On itself dup2 would leave close-on-exec set.
    const bool passed = control == wire::kControlFd ? ::fcntl(control, F_SETFD, 0) == 0
                                                    : ::dup2(control, wire::kControlFd) >= 0;
    return passed ? boost::system::error_code()
                  : boost::system::error_code(errno, boost::system::system_category());
  }
};

}  // namespace

Result<int> spawn_helper(const std::string& program,
                         const std::vector<std::string>& args,
                         int control) {
  const auto failed = [&program](const std::string& why) {
    return make_error(Where::sandbox, "helper program", program, "cannot be started: " + why,
                      "build it again; it belongs beside this program");
  };
  try {
    boost::asio::io_context context;
    bp::posix::default_launcher launcher;
    const char* const empty[] = {nullptr};
    launcher.env = empty;  // keys and tokens of ours stay here
    boost::system::error_code error;
    auto process = launcher(context, error, program, args,
                            bp::process_stdio{nullptr, nullptr, nullptr}, PassControl{control});
    if (error) return failed(error.message());
    const int pid = static_cast<int>(process.id());
    process.detach();  // waited for by pid: the handle would need its context to live on
    return pid;
  } catch (const std::exception& e) {
    return failed(e.what());
  }
}

}  // namespace seedbed::sandbox
