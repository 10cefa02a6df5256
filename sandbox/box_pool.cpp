#include "sandbox/box_pool.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <thread>

namespace seedbed::sandbox {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t us_since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
}

// The last so many values, for quantiles.
class Window {
 public:
  void add(std::int64_t value) {
    if (values_.size() == kSize) values_.pop_front();
    values_.push_back(value);
  }
  [[nodiscard]] std::int64_t quantile(double q) const {
    if (values_.empty()) return 0;
    std::vector<std::int64_t> sorted(values_.begin(), values_.end());
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
  }

 private:
  static constexpr std::size_t kSize = 4096;
  std::deque<std::int64_t> values_;
};

}  // namespace

struct BoxPool::State {
  std::shared_ptr<Boxes> boxes;
  BoxSpec spec;
  PoolOptions options;
  mutable std::mutex mutex;
  std::condition_variable work, changed;
  std::deque<std::unique_ptr<LiveBox>> ready, returned;
  int out = 0, making = 0, burying = 0, waiting = 0;
  bool stopping = false;
  std::optional<Error> failed;  // the last attempt's, while nobody has been told
  PoolMetrics counts;
  Window waits, makes;
  std::thread thread;

  [[nodiscard]] int alive() const {
    return out + making + burying + static_cast<int>(ready.size() + returned.size());
  }
  [[nodiscard]] int wanted() const {
    if (stopping) return 0;
    const int missing = options.ready + waiting - static_cast<int>(ready.size());
    return std::clamp(std::min(missing, options.open - alive()), 0, options.starting);
  }

  void bury(std::unique_lock<std::mutex>& lock) {
    std::deque<std::unique_ptr<LiveBox>> gone;
    gone.swap(returned);
    burying = static_cast<int>(gone.size());
    lock.unlock();
    std::int64_t oom = 0;
    for (auto& box : gone) box->hang_up();  // all at once: their ends overlap
    for (auto& box : gone)
      if (const auto end = box->close(); end.ok()) oom += end->oom_kills;
    gone.clear();
    lock.lock();
    counts.oom_kills += oom;
    burying = 0;
    changed.notify_all();
  }

  void make(std::unique_lock<std::mutex>& lock, int count) {
    making = count;
    lock.unlock();
    const auto begin = Clock::now();
    auto made = boxes->open(spec, count);
    const std::int64_t us = us_since(begin) / count;
    lock.lock();
    making = 0;
    if (made.ok()) {
      counts.made += count;
      makes.add(us);
      for (auto& box : *made) (stopping ? returned : ready).push_back(std::move(box));
    } else {
      ++counts.failures;
      failed = made.error();
    }
    changed.notify_all();
  }

  void drop_old() {
    while (!ready.empty() && Clock::now() - ready.front()->born() > options.max_age) {
      returned.push_back(std::move(ready.front()));
      ready.pop_front();
      ++counts.expired;
    }
  }

  void run() {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      drop_old();
      if (!returned.empty()) {
        bury(lock);
        continue;
      }
      // After a failure the next attempt waits for somebody who needs it.
      if (const int count = failed && waiting == 0 ? 0 : wanted(); count > 0) {
        make(lock, count);
        if (failed && waiting == 0) work.wait_for(lock, Milliseconds(200));
        continue;
      }
      if (stopping) return;
      work.wait_for(lock, Milliseconds(1000));
    }
  }
};

BoxPool::BoxPool(std::shared_ptr<Boxes> boxes, BoxSpec spec, PoolOptions options)
    : state_(std::make_unique<State>()) {
  state_->boxes = std::move(boxes);
  state_->spec = std::move(spec);
  state_->options = options;
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

BoxPool::~BoxPool() {
  drain();
}

Result<std::unique_ptr<LiveBox>> BoxPool::take(Milliseconds patience) {
  State& s = *state_;
  const auto begin = Clock::now();
  std::unique_lock<std::mutex> lock(s.mutex);
  if (s.waiting++ == 0) s.failed.reset();  // of an attempt that nobody waited for
  const bool hit = !s.ready.empty();
  for (;;) {
    while (!s.stopping && !s.ready.empty()) {
      auto box = std::move(s.ready.front());
      s.ready.pop_front();
      if (box->next(Milliseconds(0)) ||
          box->ended()) {  // nobody asked it anything: it must be silent
        ++s.counts.unhealthy;
        s.returned.push_back(std::move(box));
        continue;
      }
      --s.waiting;
      ++s.out;
      ++s.counts.taken;
      if (hit) ++s.counts.hits;
      s.waits.add(us_since(begin));
      s.work.notify_one();
      return box;
    }
    if (s.failed) {
      --s.waiting;
      const Error error = *s.failed;
      s.failed.reset();
      return error;
    }
    s.work.notify_one();
    if (s.stopping || s.changed.wait_until(lock, begin + patience) == std::cv_status::timeout) {
      --s.waiting;
      return make_error(Where::sandbox, "pool", std::to_string(s.alive()) + " boxes",
                        s.stopping ? "is being drained" : "none came free in time",
                        "give boxes back sooner, allow more open ones, or wait longer");
    }
  }
}

void BoxPool::give_back(std::unique_ptr<LiveBox> box) {
  const std::scoped_lock lock(state_->mutex);
  --state_->out;
  state_->returned.push_back(std::move(box));
  state_->work.notify_one();
}

Result<BoxEnd> BoxPool::end(std::unique_ptr<LiveBox> box) {
  auto ended = box->close();
  box.reset();
  const std::scoped_lock lock(state_->mutex);
  --state_->out;
  if (ended.ok()) state_->counts.oom_kills += ended->oom_kills;
  state_->work.notify_one();
  return ended;
}

PoolMetrics BoxPool::metrics() const {
  const std::scoped_lock lock(state_->mutex);
  PoolMetrics out = state_->counts;
  out.wait_p50_us = state_->waits.quantile(0.5);
  out.wait_p95_us = state_->waits.quantile(0.95);
  out.make_p50_us = state_->makes.quantile(0.5);
  out.make_p95_us = state_->makes.quantile(0.95);
  out.ready = static_cast<int>(state_->ready.size());
  out.out = state_->out;
  return out;
}

void BoxPool::drain() {
  State& s = *state_;
  {
    const std::scoped_lock lock(s.mutex);
    s.stopping = true;
    for (auto& box : s.ready) s.returned.push_back(std::move(box));
    s.ready.clear();
    s.work.notify_all();
    s.changed.notify_all();
  }
  if (s.thread.joinable()) s.thread.join();
}

}  // namespace seedbed::sandbox
