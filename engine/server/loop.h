// One thread's event loop, and descriptors that wait in it; the one place that knows Asio.
#pragma once
#include <functional>
#include <memory>

namespace seedbed::engine::server {

class Watched;

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run();  // until finish() was called and nothing waits any more
  void finish();
  void post(std::function<void()> work);             // from any thread
  void every(int period_ms, std::function<void()>);  // until finish()

 private:
  friend class Watched;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Owns a descriptor. What waits for it is called once, from run(), or dropped by close().
class Watched {
 public:
  Watched(Loop& loop, int fd);
  ~Watched();
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  [[nodiscard]] int fd() const;  // -1 where the loop would not have it, or once closed
  void when_readable(std::function<void()> call);
  void when_writable(std::function<void()> call);
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace seedbed::engine::server
