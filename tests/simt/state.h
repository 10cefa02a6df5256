// What the runtime knows of the block that runs. Used by the runtime's own files alone.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/simt/fiber.h"
#include "tests/simt/runtime.h"

namespace simt {

constexpr int kMaxThreads = 1024, kLanes = 32, kWarps = kMaxThreads / kLanes, kBarriers = 16;

enum class State : std::uint8_t { ready, running, waiting, left };

struct Copy {  // cp.async, not yet done
  void* to;
  const void* from;
  std::size_t bytes;
  bool valid;
  std::uint32_t group;
  Loc at;
};

struct Thread {
  Context context;
  Shape index{};
  int linear = 0, lane = 0, warp = 0;
  State state = State::ready;
  const char* waits_in = "";  // the operation, for the table of a deadlock
  unsigned waits_mask = 0;    // or 0: a barrier
  int waits_barrier = 0;
  Loc waits_at;
  std::vector<Copy> copies;
  std::uint32_t groups = 0;                   // committed
  std::array<std::uint32_t, kLanes> clock{};  // race check: what it has seen of its warp's lanes
};

// Lanes of one mask meet: each deposits, the last one to come computes and lets the others go. Two
// sets of deposits suffice: nobody deposits for the second next meeting before all have read.
struct Meeting {
  unsigned mask = 0, arrived = 0;
  Op op = Op::sync;
  Loc at;
  std::uint32_t generation = 0;
  struct alignas(16) Deposit {
    std::byte bytes[48];
  };
  struct alignas(16) Result {
    std::byte bytes[16];
  };
  Deposit deposit[2][kLanes];
  Result result[2][kLanes];
};

struct Warp {
  unsigned lanes = 0, left = 0;  // that exist; of them, those that left the kernel
  std::vector<std::unique_ptr<Meeting>> meetings;
  std::array<std::uint32_t, kWarps> clock{};  // race check: what it has seen of each warp
};

struct Barrier {
  int arrived = 0, expected = 0, votes = 0, result = 0;
  bool all = false;  // of the block
  Loc at;
  std::vector<Thread*> waiting;  // and perhaps the one who runs: it completes the barrier
};

// Threads that could go on, in the order that was asked for.
class Ready {
 public:
  void clear() { first_ = end_ = 0; }
  [[nodiscard]] bool empty() const { return first_ == end_; }
  void push(Thread* thread) { ring_[end_++ % kSize] = thread; }
  Thread* pop(Order order, std::uint64_t& random) {
    if (order == Order::lifo) return ring_[--end_ % kSize];
    if (order == Order::random) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      std::swap(ring_[first_ % kSize], ring_[(first_ + random % (end_ - first_)) % kSize]);
    }
    return ring_[first_++ % kSize];
  }

 private:
  static constexpr std::uint32_t kSize = 2 * kMaxThreads;
  Thread* ring_[kSize];
  std::uint32_t first_ = 0, end_ = 0;
};

struct Runtime {
  Order order = Order::fifo;
  std::uint64_t seed = 1, random = 1;
  bool strict = true;
  Counts counts;

  Grid grid{};
  void (*body)(const void*) = nullptr;
  const void* context = nullptr;
  std::uint64_t block = 0;         // a number of its own for each block of the program
  std::uint64_t launch_begin = 0;  // the first block of this launch
  int threads = 0, left = 0;
  bool from_main = false;  // the switch now under way

  Context main;
  Thread* current = nullptr;
  Thread thread[kMaxThreads];
  Warp warp[kWarps];
  Barrier barrier[kBarriers];
  Ready ready;
  std::unique_ptr<Stacks> stacks;
  std::string failure;
};
extern Runtime* const rt;  // never destroyed

// Waits until somebody makes the current thread ready; what and where are for the table.
void wait_here(const char* what, unsigned mask, int barrier, Loc at);
void make_ready(Thread& thread);
// In random order the one who completed a meeting does not always go on first.
void maybe_yield();
[[noreturn]] void fail(const std::string& what, Loc at);
std::string where_text(Loc at);

// memory.cpp
void begin_block_memory(std::size_t dynamic_bytes);
void end_block_memory();    // finds what was written beside the arrays
void clear_block_memory();  // after a failure
bool in_shared(const void* p, std::size_t bytes);
std::size_t shared_offset(const void* p);  // in [0, shared_capacity())
std::size_t shared_capacity();
// The array or gap that holds p, in words.
std::string shared_name(const void* p);
bool in_array(const void* p, std::size_t bytes);

// warp.cpp: the lanes that still wait go on without `gone`, if it was the last to come.
void finish_without(Meeting& meeting, const Thread& gone);
void meet_to_arrive(int barrier, Loc at);  // all lanes of the warp that have not left
// barrier.cpp
void lane_left(Thread& thread);

// race.cpp: nothing in a build without the check.
namespace race {
enum class Access : std::uint8_t { read, write, atomic, copy_issued, copy_done };
void begin_block();
void join_warp(int warp, unsigned mask);  // __syncwarp of the lanes of mask
void arrive(int barrier, const Thread& thread);
void step(int warp);  // what it does from now on, an arrival before did not tell of
void release(int barrier, const std::vector<Thread*>& waiting);
// What the runtime does itself in the name of a thread.
void touch(Access access, const Thread& by, const void* p, std::size_t bytes, Loc at);
}  // namespace race

}  // namespace simt
