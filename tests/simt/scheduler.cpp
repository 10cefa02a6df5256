// Theory of operation. A launch runs its blocks one after another, in the order asked for, on the
// calling thread. A block begins with all threads ready, each with a stack of its own; the
// scheduler is no thread: whoever must wait switches straight to the next that is ready, and the
// last to leave switches to main.
//   (1) A thread waits only in a barrier or a meeting of lanes; there it is neither running nor
//       ready. Whoever completes the meeting makes the others ready and goes on itself.
//   (2) Nothing is ready and some wait: a deadlock; the table of who waits where is the message.
//   (3) fail() ends the thread that calls it; the others are left where they wait. The next block
//       arms all stacks anew.
#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <numeric>
#include <utility>

#include "tests/simt/builtins.h"
#include "tests/simt/state.h"

namespace simt {

Runtime* const rt = new Runtime;

namespace {
std::mutex one_launch;

void run_next(bool leaving);

struct Unwind {};  // from fail() to the beginning of the thread's stack

void thread_main() {
  Context somebody;  // main's bounds are learnt by the first thread of a block
  Stacks::entered(std::exchange(rt->from_main, false) ? rt->main : somebody);
  Thread& me = *rt->current;
  try {
    rt->body(rt->context);
    me.state = State::left;
    ++rt->left;
    lane_left(me);
    run_next(true);
  } catch (const Unwind&) {
    leave_context(me.context, rt->main);
  }
}

void enter(Thread& next) {
  next.state = State::running;
  rt->current = &next;
  ++rt->counts.switches;
  set_thread_index(next.index);
}

std::string deadlock_table() {
  // (what, where) -> linear numbers
  std::map<std::string, std::vector<int>> groups;
  for (int i = 0; i < rt->threads; ++i) {
    const Thread& t = rt->thread[i];
    if (t.state == State::left) {
      groups["left the kernel"].push_back(i);
    } else if (t.state == State::waiting) {
      char detail[64] = "";
      if (t.waits_mask != 0)
        std::snprintf(detail, sizeof detail, ", mask %08x", t.waits_mask);
      else if (t.waits_barrier != 0)
        std::snprintf(detail, sizeof detail, " %d", t.waits_barrier);
      groups[std::string("waits in ") + t.waits_in + detail + " at " + where_text(t.waits_at)]
          .push_back(i);
    } else {
      groups["runs or could run"].push_back(i);
    }
  }
  std::string text;
  for (const auto& [what, members] : groups) {
    text += "\n  threads";
    for (std::size_t i = 0, shown = 0; i < members.size(); ++shown) {
      std::size_t j = i;
      while (j + 1 < members.size() && members[j + 1] == members[j] + 1) ++j;
      if (shown == 8) {
        text += " ...";
        break;
      }
      text += " " + std::to_string(members[i]);
      if (j > i) text += "-" + std::to_string(members[j]);
      i = j + 1;
    }
    text += " " + what;
  }
  return text;
}

Loc first_waiting() {
  for (int i = 0; i < rt->threads; ++i)
    if (rt->thread[i].state == State::waiting) return rt->thread[i].waits_at;
  return {};
}

// The current thread waits or has left: whoever is ready runs, or main when all have left.
void run_next(bool leaving) {
  Thread& me = *rt->current;
  if (rt->ready.empty()) {
    if (rt->left == rt->threads) leave_context(me.context, rt->main);
    fail("deadlock: nobody can go on", first_waiting());
  }
  Thread& next = *rt->ready.pop(rt->order, rt->random);
  if (&next == &me) {
    me.state = State::running;
    return;
  }
  enter(next);
  if (leaving) leave_context(me.context, next.context);
  switch_context(me.context, next.context);
}

void reset_block() {
  rt->ready.clear();
  for (auto& barrier : rt->barrier) {
    barrier.arrived = 0;
    barrier.waiting.clear();
  }
  for (auto& warp : rt->warp)
    for (auto& meeting : warp.meetings) meeting->arrived = 0;
  for (int i = 0; i < rt->threads; ++i) rt->thread[i].copies.clear();
}

void run_block(Shape index) {
  const Shape size = rt->grid.block;
  ++rt->block;
  ++rt->counts.blocks;
  set_block_index(index);
  begin_block_memory(rt->grid.dynamic_bytes);
  rt->left = 0;
  rt->ready.clear();
  for (int w = 0; w < kWarps; ++w) {
    const int lanes = std::min(std::max(rt->threads - w * kLanes, 0), kLanes);
    rt->warp[w].lanes = lanes == 0 ? 0 : 0xffffffffU >> (kLanes - lanes);
    rt->warp[w].left = 0;
  }
  for (int i = 0; i < rt->threads; ++i) {
    Thread& t = rt->thread[i];
    const auto n = static_cast<std::uint32_t>(i);
    t.index = {n % size.x, n / size.x % size.y, n / (size.x * size.y)};
    t.linear = i, t.lane = i % kLanes, t.warp = i / kLanes;
    t.copies.clear();
    t.groups = 0;
    rt->stacks->arm(t.context, n, thread_main);
    make_ready(t);
  }
  race::begin_block();
  Thread& first = *rt->ready.pop(rt->order, rt->random);
  enter(first);
  rt->from_main = true;
  switch_context(rt->main, first.context);
  rt->current = nullptr;
  if (rt->failure.empty()) end_block_memory();
  if (!rt->failure.empty()) {
    reset_block();
    clear_block_memory();
    rt->stacks->forget_poison();
  }
}

void check_shape(const Grid& g) {
  const std::uint64_t threads = std::uint64_t{g.block.x} * g.block.y * g.block.z;
  const char* wrong = nullptr;
  if (threads == 0 || threads > kMaxThreads || g.block.z > 64) wrong = "1 to 1024 threads a block";
  if (g.grid.x > 0x7fffffffU || g.grid.y > 65535 || g.grid.z > 65535)
    wrong = "at most 2^31 - 1, 65535 and 65535 blocks";
  if (g.dynamic_bytes > 227 * 1024) wrong = "at most 227 KiB of shared memory";
  if (wrong != nullptr) throw Failure(std::string("launch: no device takes this shape: ") + wrong);
}
}  // namespace

void set_order(Order order, std::uint64_t seed) {
  rt->order = order;
  rt->seed = seed;
}
void set_strict(bool strict) {
  rt->strict = strict;
}
Counts counts() {
  return rt->counts;
}
int lane() {
  return rt->current->lane;
}

void make_ready(Thread& thread) {
  thread.state = State::ready;
  rt->ready.push(&thread);
}

void wait_here(const char* what, unsigned mask, int barrier, Loc at) {
  Thread& me = *rt->current;
  me.state = State::waiting;
  me.waits_in = what, me.waits_mask = mask, me.waits_barrier = barrier, me.waits_at = at;
  run_next(false);
}

void yield_thread() {
  make_ready(*rt->current);
  run_next(false);
}
void maybe_yield() {
  if (rt->order == Order::random && (rt->random & 0x100) != 0) yield_thread();
}

std::string where_text(Loc at) {
  return at.line == 0 ? std::string("?") : std::string(at.file) + ":" + std::to_string(at.line);
}

void fail(const std::string& what, Loc at) {
  rt->failure = where_text(at) + ": " + what;
  if (rt->current == nullptr) throw Failure(rt->failure);
  const Shape b = block_index();
  rt->failure += "\n  in block (" + std::to_string(b.x) + ", " + std::to_string(b.y) + ", " +
                 std::to_string(b.z) + "), thread " + std::to_string(rt->current->linear) +
                 deadlock_table();
  // What the failing thread holds is destroyed on the way. Not where the compiler's calls before
  // each access end here: the code around them does not expect an exception.
  if (race_checked()) leave_context(rt->current->context, rt->main);
  throw Unwind{};
}

void run_grid(const Grid& grid, void (*body)(const void* context), const void* context) {
  check_shape(grid);
  const std::lock_guard lock(one_launch);
  if (grid.grid.x == 0 || grid.grid.y == 0 || grid.grid.z == 0) return;
  if (rt->stacks == nullptr) rt->stacks = std::make_unique<Stacks>(kMaxThreads, 256 * 1024);
  rt->grid = grid, rt->body = body, rt->context = context;
  rt->threads = static_cast<int>(grid.block.x * grid.block.y * grid.block.z);
  rt->random = rt->seed * 0x9e3779b97f4a7c15U | 1;
  rt->launch_begin = rt->block + 1;
  ++rt->counts.launches;
  set_sizes(grid.grid, grid.block);
  const std::uint64_t x = grid.grid.x, y = grid.grid.y, blocks = x * y * grid.grid.z;
  // Any order: from somewhere in steps that meet every block once.
  std::uint64_t step = rt->order == Order::random ? rt->random % blocks | 1 : 1;
  while (std::gcd(step, blocks) != 1) step += 2;
  std::uint64_t at = rt->order == Order::random ? (rt->random >> 32) % blocks : 0;
  for (std::uint64_t i = 0; i < blocks; ++i, at = (at + step) % blocks) {
    const std::uint64_t b = rt->order == Order::lifo ? blocks - 1 - at : at;
    run_block({static_cast<std::uint32_t>(b % x), static_cast<std::uint32_t>(b / x % y),
               static_cast<std::uint32_t>(b / (x * y))});
    if (!rt->failure.empty()) throw Failure(std::exchange(rt->failure, {}));
  }
}

}  // namespace simt
