// Barriers of a block: 16, told apart by number. Number 0 without a count is __syncthreads.
#include <cstring>

#include "tests/simt/state.h"

namespace simt {

namespace {
void complete(Barrier& barrier) {
  race::release(static_cast<int>(&barrier - rt->barrier), barrier.waiting);
  barrier.result = barrier.votes;
  for (Thread* thread : barrier.waiting)
    if (thread->state == State::waiting) make_ready(*thread);
  barrier.arrived = 0;
  barrier.waiting.clear();
}

// Comes to the barrier, to wait there or not; true where that completes it.
bool arrive(int id, int threads, int vote, bool waits, Loc at) {
  Barrier& barrier = rt->barrier[id];
  const bool all = threads == 0;
  if (all && rt->strict && rt->left > 0)
    fail(
        "__syncthreads: " + std::to_string(rt->left) + " threads of the block have left the kernel",
        at);
  const int expected = all ? rt->threads - rt->left : threads;
  if (barrier.arrived == 0) {
    barrier.all = all, barrier.expected = expected, barrier.at = at, barrier.votes = 0;
  } else if (barrier.all != all || (!all && barrier.expected != threads)) {
    fail("barrier " + std::to_string(id) + ": other number of threads than at " +
             where_text(barrier.at),
         at);
  } else if (all && (barrier.at.line != at.line || std::strcmp(barrier.at.file, at.file) != 0)) {
    fail("__syncthreads: divergent: others of the block wait in the one at " +
             where_text(barrier.at),
         at);
  }
  barrier.votes += vote;
  if (waits) {
    race::arrive(id, *rt->current);
    barrier.waiting.push_back(rt->current);
  }
  return ++barrier.arrived >= expected;
}

void check_named(int id, int threads, Loc at) {
  if (id < 1 || id >= kBarriers)
    fail("named barrier " + std::to_string(id) + ": there are 1 to 15", at);
  if (threads <= 0 || threads % kLanes != 0 || threads > (rt->threads + 31) / 32 * 32)
    fail("named barrier for " + std::to_string(threads) +
             " threads: wanted a multiple of 32, at most the block",
         at);
}
}  // namespace

int barrier_count(int predicate, Loc at) {
  if (rt->current == nullptr) fail("__syncthreads outside of a kernel", at);
  if (arrive(0, 0, predicate != 0 ? 1 : 0, true, at)) {
    complete(rt->barrier[0]);
    const int result = rt->barrier[0].result;
    maybe_yield();
    return result;
  }
  wait_here("__syncthreads", 0, 0, at);
  return rt->barrier[0].result;  // the next one cannot be complete before this thread comes
}
void barrier(Loc at) {
  barrier_count(0, at);
}
void bar_sync(int id, int threads, Loc at) {
  check_named(id, threads, at);
  if (arrive(id, threads, 0, true, at)) {
    complete(rt->barrier[id]);
    maybe_yield();
  } else {
    wait_here("named barrier", 0, id, at);
  }
}
void bar_arrive(int id, int threads, Loc at) {
  check_named(id, threads, at);
  meet_to_arrive(id, at);  // it counts whole warps: no lane arrives twice before another once
  if (arrive(id, threads, 0, false, at)) complete(rt->barrier[id]);
}

// The current thread has left the kernel: whom it was the last to hold up goes on.
void lane_left(Thread& thread) {
  Warp& warp = rt->warp[thread.warp];
  warp.left |= 1U << thread.lane;
  for (auto& meeting : warp.meetings) {
    if (meeting->arrived == 0 || (meeting->mask >> thread.lane & 1U) == 0) continue;
    if (rt->strict) fail("a lane that the mask names left the kernel", meeting->at);
    finish_without(*meeting, thread);
  }
  Barrier& barrier = rt->barrier[0];
  if (barrier.arrived == 0 || !barrier.all) return;
  if (rt->strict)
    fail("__syncthreads: thread " + std::to_string(thread.linear) + " left the kernel", barrier.at);
  if (barrier.arrived >= rt->threads - rt->left) complete(barrier);
}

}  // namespace simt
