#include "engine/server/loop.h"

#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

namespace seedbed::engine::server {

namespace asio = boost::asio;
using Code = boost::system::error_code;

struct Loop::Impl {
  asio::io_context io{1};  // one thread runs it
  asio::executor_work_guard<asio::io_context::executor_type> guard = asio::make_work_guard(io);
  asio::steady_timer timer{io};
  std::chrono::milliseconds period{0};
  std::function<void()> tick;
  bool finished = false;

  void arm() {
    timer.expires_after(period);
    timer.async_wait([this](const Code& code) {
      if (code || finished) return;
      tick();
      if (!finished) arm();
    });
  }
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

void Loop::run() {
  impl_->io.run();
}

void Loop::finish() {
  impl_->finished = true;
  impl_->guard.reset();
  impl_->timer.cancel();
}

void Loop::post(std::function<void()> work) {
  asio::post(impl_->io, std::move(work));
}

void Loop::every(int period_ms, std::function<void()> call) {
  impl_->period = std::chrono::milliseconds(period_ms);
  impl_->tick = std::move(call);
  impl_->arm();
}

struct Watched::Impl {
  using Descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;
  explicit Impl(asio::io_context& io) : descriptor(io) {}

  void wait(Descriptor::wait_type what, std::function<void()> call) {
    if (!descriptor.is_open()) return;
    descriptor.async_wait(what, [call = std::move(call)](const Code& code) {
      if (!code) call();
    });
  }
  Descriptor descriptor;
};

Watched::Watched(Loop& loop, int fd) : impl_(std::make_unique<Impl>(loop.impl_->io)) {
  Code code;
  impl_->descriptor.assign(fd, code);
  if (code) ::close(fd);
}

Watched::~Watched() {
  close();
}

int Watched::fd() const {
  return impl_->descriptor.is_open() ? impl_->descriptor.native_handle() : -1;
}

void Watched::when_readable(std::function<void()> call) {
  impl_->wait(Impl::Descriptor::wait_read, std::move(call));
}

void Watched::when_writable(std::function<void()> call) {
  impl_->wait(Impl::Descriptor::wait_write, std::move(call));
}

void Watched::close() {
  Code code;
  impl_->descriptor.close(code);
}

}  // namespace seedbed::engine::server
