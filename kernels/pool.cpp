#include "kernels/pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "base/check.h"

namespace seedbed::kernels {

namespace {
// How often a thread looks before it sleeps: ops of one layer follow each other within
// microseconds, and waking a sleeper costs more than that.
constexpr int kSpins = 20'000;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}
}  // namespace

// A round of work is open while its pieces last. Threads that come in time enter it and are waited
// for; one that the system gave no time to finds the round closed and is not missed: on a busy
// machine the caller never waits for a thread that is not running.
struct Pool::State {
  static constexpr std::uint64_t kActive = 0xffff, kOpen = 0x10000, kRound = 0x20000;

  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<std::uint64_t> gate{0};  // round * kRound + open + how many are inside
  std::atomic<bool> stop{false};
  std::atomic<int> sleepers{0};
  // The job of the present round: written while nobody is inside.
  void (*work)(void*, std::int64_t, std::int64_t) = nullptr;
  void* context = nullptr;
  std::int64_t count = 0, grain = 1;
  std::atomic<std::int64_t> next{0};

  static std::uint64_t round_of(std::uint64_t gate_value) { return gate_value / kRound; }

  void take_pieces() {
    for (;;) {
      const std::int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= count) return;
      work(context, begin, std::min(begin + grain, count));
    }
  }
  void serve() {
    std::uint64_t seen = 0;
    for (;;) {
      int spins = 0;
      while (round_of(gate.load(std::memory_order_acquire)) == seen &&
             !stop.load(std::memory_order_relaxed)) {
        if (++spins < kSpins) {
          relax();
          continue;
        }
        std::unique_lock lock(mutex);
        sleepers.fetch_add(1);
        wake.wait(lock, [&] { return round_of(gate.load()) != seen || stop.load(); });
        sleepers.fetch_sub(1);
      }
      if (stop.load()) return;
      std::uint64_t now = gate.load(std::memory_order_acquire);
      seen = round_of(now);
      while (round_of(now) == seen && (now & kOpen) != 0) {
        if (!gate.compare_exchange_weak(now, now + 1, std::memory_order_acq_rel)) continue;
        take_pieces();
        gate.fetch_sub(1, std::memory_order_release);
        break;
      }
    }
  }
};

Pool::Pool(int threads) : state_(std::make_unique<State>()) {
  SEEDBED_CHECK(threads >= 1 && threads <= 1024, threads);
  for (int i = 1; i < threads; ++i)
    state_->threads.emplace_back([s = state_.get()] { s->serve(); });
}

Pool::~Pool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop.store(true);
  }
  state_->wake.notify_all();
  for (auto& thread : state_->threads) thread.join();
}

int Pool::threads() const {
  return static_cast<int>(state_->threads.size()) + 1;
}

void Pool::run(std::int64_t count,
               std::int64_t grain,
               void (*work)(void*, std::int64_t, std::int64_t),
               void* context) {
  State& s = *state_;
  if (s.threads.empty()) {
    work(context, 0, count);
    return;
  }
  s.work = work;
  s.context = context;
  s.count = count;
  s.grain = grain < 1 ? 1 : grain;
  s.next.store(0, std::memory_order_relaxed);
  const std::uint64_t round = State::round_of(s.gate.load(std::memory_order_relaxed)) + 1;
  // Sequentially consistent against `sleepers`: a thread that misses it is seen asleep.
  s.gate.store(round * State::kRound + State::kOpen);
  if (s.sleepers.load() != 0) {
    { const std::lock_guard lock(s.mutex); }
    s.wake.notify_all();
  }
  s.take_pieces();
  s.gate.fetch_and(~State::kOpen, std::memory_order_acq_rel);
  for (int spins = 0; (s.gate.load(std::memory_order_acquire) & State::kActive) != 0;) {
    if (++spins < kSpins)
      relax();
    else
      std::this_thread::yield();
  }
}

namespace {
struct Scratch {
  void* memory[8] = {};
  std::size_t size[8] = {};
  ~Scratch() {
    for (void* p : memory) std::free(p);
  }
};
}  // namespace

void* scratch(int slot, std::size_t bytes) {
  thread_local Scratch mine;
  if (mine.size[slot] < bytes) {
    std::free(mine.memory[slot]);
    const std::size_t size = (bytes + 4095) / 4096 * 4096;
    mine.memory[slot] = std::aligned_alloc(64, size);
    if (mine.memory[slot] == nullptr) throw std::bad_alloc();
    mine.size[slot] = size;
  }
  return mine.memory[slot];
}

void kernel_check_failed(
    const char* condition, const char* file, int line, long long a, long long b) {
  check_failed(condition, file, line, check_operands(a, b));
}

}  // namespace seedbed::kernels
