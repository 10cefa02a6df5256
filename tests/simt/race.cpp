// The race check. Kernels are compiled with -fsanitize=thread but without its library: the calls
// that the compiler puts before each access end here. What is known of each byte of shared memory,
// and of global memory that a kernel wrote to: who wrote it last, two who read it since. Two
// accesses of different threads, one a write, not both atomic, must be ordered by a barrier (clocks
// a warp) or by __syncwarp (clocks a lane); shuffles and votes order nothing, as on the device. The
// check depends on no schedule: a missing barrier is found although the result came out right.
//   Beside races it sees accesses outside of the arrays, reads of bytes that nobody wrote in this
// block, and accesses to what a cp.async has not yet been waited for.
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <set>
#include <unordered_map>

#include "tests/simt/state.h"

namespace simt {

#if !defined(SIMT_RACE)
bool race_checked() {
  return false;
}
namespace race {
void begin_block() {}
void join_warp(int, unsigned) {}
void arrive(int, const Thread&) {}
void step(int) {}
void release(int, const std::vector<Thread*>&) {}
void touch(Access, const Thread&, const void*, std::size_t, Loc) {}
}  // namespace race
#else

namespace {
struct Where {  // a place of the source: known, or an address of code
  const void* pointer;
  int line;
};
struct Event {
  Where where;
  std::uint32_t clock, lane_clock;
  std::uint64_t block;
  std::uint16_t thread;
  std::uint8_t bytes;  // of the cell, a bit each
  bool atomic;
};
struct Cell {  // one byte of shared memory, four of global memory
  Event write, read[2];
  bool copying;  // a cp.async is under way to here
};
// Global memory is known by the page, from the first write of a kernel on.
constexpr std::uintptr_t kPageBytes = 4096;
struct Page {
  Cell cells[kPageBytes / 4];
};
constexpr std::size_t kNearPages = 4096, kPagesAtMost = 3000;  // 300 MiB
struct Shadow {
  std::vector<Cell> shared{std::vector<Cell>(shared_capacity())};
  std::unordered_map<std::uintptr_t, std::unique_ptr<Page> > pages;
  struct Near {
    std::uintptr_t number = 0;
    Page* page = nullptr;  // null: there is none
  };
  Near near[kNearPages];  // what was looked up last
  std::array<std::uint32_t, kWarps> barrier[kBarriers]{};
  std::set<std::string> texts;  // of places, kept for the messages
};
Shadow* shadow = nullptr;

Page* page_of(std::uintptr_t number, bool make) {
  Shadow::Near& near = shadow->near[number % kNearPages];
  if (near.number == number && (near.page != nullptr || !make)) return near.page;
  const auto found = shadow->pages.find(number);
  Page* page = found == shadow->pages.end() ? nullptr : found->second.get();
  if (page == nullptr && make)
    page = shadow->pages.emplace(number, std::make_unique<Page>()).first->second.get();
  near = {number, page};
  return page;
}

// The lines of the source behind an address of code, inlined ones included, innermost first.
std::string lines_of(const void* pc) {
  char command[4200], exe[4096];
  std::snprintf(exe, sizeof exe, "/proc/%d/exe", static_cast<int>(getpid()));
  std::uintptr_t moved = 0;  // from the addresses that the program's tables know
  dl_iterate_phdr(
      [](dl_phdr_info* first, std::size_t, void* to) {
        *static_cast<std::uintptr_t*>(to) = first->dlpi_addr;
        return 1;
      },
      &moved);
  std::snprintf(command, sizeof command, "addr2line -i -e %s 0x%lx 2>&1", exe,
                static_cast<unsigned long>(reinterpret_cast<std::uintptr_t>(pc) - 1 - moved));
  std::string text;
  if (FILE* pipe = popen(command, "r"); pipe != nullptr) {
    char line[1024];
    while (std::fgets(line, sizeof line, pipe) != nullptr) {
      std::string one(line);
      one.erase(std::min(one.find_first_of("\n "), one.size()));
      if (const auto up = one.rfind("/../"); up != std::string::npos) one.erase(0, up + 4);
      text += (text.empty() ? "" : " called from ") + one;
    }
    pclose(pipe);
  }
  return text.empty() ? "an address of code" : text;
}
std::string text_of(Where where) {
  if (where.line > 0) return where_text({static_cast<const char*>(where.pointer), where.line});
  return lines_of(where.pointer);
}

bool ordered(const Event& e, const Thread& t, bool global) {
  if (e.block != rt->block) return !global || e.block < rt->launch_begin;
  if (e.thread == t.linear) return true;
  const int warp = e.thread / kLanes, lane = e.thread % kLanes;
  const auto& clock = rt->warp[t.warp].clock;
  if (warp == t.warp)
    return e.clock < clock[static_cast<std::size_t>(warp)] ||
           e.lane_clock <= t.clock[static_cast<std::size_t>(lane)];
  return e.clock <= clock[static_cast<std::size_t>(warp)];
}

const char* verb(race::Access access) {
  switch (access) {
    case race::Access::read:
      return "reads";
    case race::Access::write:
      return "writes";
    case race::Access::atomic:
      return "changes atomically";
    default:
      return "copies to (cp.async)";
  }
}
std::string place(const void* p, bool global) {
  char text[48];
  std::snprintf(text, sizeof text, "global memory at %p", p);
  return global ? text : shared_name(p);
}
[[noreturn]] void report(const std::string& what, Where where) {
  const std::string text = text_of(where);  // file:line, perhaps with callers
  const auto colon = text.find(':'), callers = text.find(" called from ");
  const auto* file = shadow->texts.insert(text.substr(0, colon)).first->c_str();
  fail(what + (callers == std::string::npos ? "" : "," + text.substr(callers)),
       {file, colon == std::string::npos ? 0 : std::atoi(text.c_str() + colon + 1)});
}
[[noreturn]] void report_race(const Event& other,
                              bool other_wrote,
                              race::Access access,
                              const Thread& by,
                              Where where,
                              const std::string& what) {
  const bool same_block = other.block == rt->block;
  report("race: thread " + std::to_string(by.linear) + " " + verb(access) + " " + what +
             "; thread " + std::to_string(other.thread) + (same_block ? "" : " of another block") +
             " " +
             (other.atomic  ? "changed"
              : other_wrote ? "wrote"
                            : "read") +
             " it at " + text_of(other.where) + "; nothing orders the two",
         where);
}

void check(Cell& cell,
           const std::byte* p,
           race::Access access,
           const Event& now,
           const Thread& by,
           bool global) {
  const bool writes = access != race::Access::read;
  if (cell.copying && access != race::Access::copy_done && cell.write.block == now.block)
    report(std::string(verb(access)) + " " + place(p, global) + ", where the cp.async of " +
               text_of(cell.write.where) + " has not been waited for",
           now.where);
  const auto meet = [&](const Event& e) {
    return (e.bytes & now.bytes) != 0 && !(e.atomic && now.atomic) && !ordered(e, by, global);
  };
  if (meet(cell.write)) report_race(cell.write, true, access, by, now.where, place(p, global));
  if (writes) {
    for (const Event& read : cell.read)
      if (meet(read)) report_race(read, false, access, by, now.where, place(p, global));
    const Event before = cell.write;
    cell.write = now;
    if (before.thread == now.thread && before.block == now.block && before.clock == now.clock)
      cell.write.bytes |= before.bytes;
    cell.read[0].block = cell.read[1].block = 0;
    cell.copying = access == race::Access::copy_issued;
  } else if (cell.read[0].block != now.block || cell.read[0].thread == now.thread ||
             ordered(cell.read[0], by, global)) {
    cell.read[0] = now;
  } else {
    cell.read[1] = now;
  }
}

void check_shared(const std::byte* at,
                  std::size_t bytes,
                  race::Access access,
                  const Event& now,
                  const Thread& by,
                  bool plain) {
  if (!in_array(at, bytes))
    report(std::string(verb(access)) + " " + std::to_string(bytes) +
               " bytes out of bounds: " + shared_name(at),
           now.where);
  Cell* const cells = &shadow->shared[shared_offset(at)];
  for (std::size_t i = 0; i < bytes; ++i) {
    if (plain && (access == race::Access::read || now.atomic) && cells[i].write.block != rt->block)
      report(std::string(verb(access)) + " " + shared_name(at + i) +
                 ", which nobody wrote in this block",
             now.where);
    check(cells[i], at + i, access, now, by, false);
  }
}
void check_global(
    const std::byte* p, std::size_t bytes, race::Access access, Event now, const Thread& by) {
  auto at = reinterpret_cast<std::uintptr_t>(p);
  for (const std::uintptr_t end = at + bytes; at < end;) {
    const std::uintptr_t word = at & ~std::uintptr_t{3}, next = std::min(end, word + 4);
    now.bytes = static_cast<std::uint8_t>(((1U << (next - at)) - 1) << (at - word));
    if (Page* page = page_of(word / kPageBytes, access != race::Access::read); page != nullptr)
      check(page->cells[word % kPageBytes / 4], p, access, now, by, true);
    at = next;
  }
}

// plain: an access of the kernel's own, which must find the bytes written.
void access_memory(race::Access access,
                   const Thread& by,
                   const void* p,
                   std::size_t bytes,
                   Where where,
                   bool plain) {
  const bool global = !in_shared(p, bytes);
  if (global && rt->stacks->holds(p)) return;
  ++rt->counts.checked_accesses;
  const Event now{where,
                  rt->warp[by.warp].clock[static_cast<std::size_t>(by.warp)],
                  by.clock[static_cast<std::size_t>(by.lane)],
                  rt->block,
                  static_cast<std::uint16_t>(by.linear),
                  1,
                  access == race::Access::atomic};
  const auto* at = static_cast<const std::byte*>(p);
  if (global)
    check_global(at, bytes, access, now, by);
  else
    check_shared(at, bytes, access, now, by, plain);
}
}  // namespace

bool race_checked() {
  return true;
}

namespace race {
void begin_block() {
  if (shadow == nullptr) shadow = new Shadow;
  if (rt->block == rt->launch_begin && shadow->pages.size() > kPagesAtMost) {
    shadow->pages.clear();  // launches are ordered: what was before matters no more
    std::fill(std::begin(shadow->near), std::end(shadow->near), Shadow::Near{});
  }
  for (int w = 0; w < kWarps; ++w) {
    rt->warp[w].clock.fill(0);
    rt->warp[w].clock[static_cast<std::size_t>(w)] = 1;
  }
  for (int i = 0; i < rt->threads; ++i) {
    rt->thread[i].clock.fill(0);
    rt->thread[i].clock[static_cast<std::size_t>(i % kLanes)] = 1;
  }
  for (auto& clock : shadow->barrier) clock.fill(0);
}

void join_warp(int warp, unsigned mask) {
  std::array<std::uint32_t, kLanes> joined{};
  const auto each = [&](auto&& act) {
    for (int lane = 0; lane < kLanes; ++lane)
      if ((mask >> lane & 1U) != 0) act(rt->thread[warp * kLanes + lane].clock, lane);
  };
  each([&](auto& clock, int) {
    for (std::size_t i = 0; i < joined.size(); ++i) joined[i] = std::max(joined[i], clock[i]);
  });
  each([&](auto& clock, int lane) {
    clock = joined;
    ++clock[static_cast<std::size_t>(lane)];
  });
}

void arrive(int barrier, const Thread& thread) {
  auto& known = shadow->barrier[barrier];
  const auto& clock = rt->warp[thread.warp].clock;
  for (std::size_t i = 0; i < known.size(); ++i) known[i] = std::max(known[i], clock[i]);
}
void step(int warp) {
  ++rt->warp[warp].clock[static_cast<std::size_t>(warp)];
}
void release(int barrier, const std::vector<Thread*>& waiting) {
  const auto& known = shadow->barrier[barrier];
  unsigned done = 0;
  for (const Thread* thread : waiting) {
    if ((done >> thread->warp & 1U) != 0) continue;
    done |= 1U << thread->warp;
    auto& clock = rt->warp[thread->warp].clock;
    for (std::size_t i = 0; i < known.size(); ++i) clock[i] = std::max(clock[i], known[i]);
    ++clock[static_cast<std::size_t>(thread->warp)];
  }
}
void touch(Access access, const Thread& by, const void* p, std::size_t bytes, Loc at) {
  access_memory(access, by, p, bytes, {at.file, at.line}, access == Access::atomic);
}
}  // namespace race

void instrumented(const void* p, std::size_t bytes, bool writes, const void* pc) {
  if (rt->current == nullptr) return;
  access_memory(writes ? race::Access::write : race::Access::read, *rt->current, p, bytes, {pc, 0},
                true);
}
#endif

}  // namespace simt

#if defined(SIMT_RACE)
// What -fsanitize=thread calls.
#define SIMT_ACCESS(bytes)                                              \
  void __tsan_read##bytes(void* p) {                                    \
    ::simt::instrumented(p, bytes, false, __builtin_return_address(0)); \
  }                                                                     \
  void __tsan_write##bytes(void* p) {                                   \
    ::simt::instrumented(p, bytes, true, __builtin_return_address(0));  \
  }                                                                     \
  void __tsan_unaligned_read##bytes(void* p) {                          \
    ::simt::instrumented(p, bytes, false, __builtin_return_address(0)); \
  }                                                                     \
  void __tsan_unaligned_write##bytes(void* p) {                         \
    ::simt::instrumented(p, bytes, true, __builtin_return_address(0));  \
  }                                                                     \
  void __tsan_volatile_read##bytes(void* p) {                           \
    ::simt::instrumented(p, bytes, false, __builtin_return_address(0)); \
  }                                                                     \
  void __tsan_volatile_write##bytes(void* p) {                          \
    ::simt::instrumented(p, bytes, true, __builtin_return_address(0));  \
  }
extern "C" {
SIMT_ACCESS(1)
SIMT_ACCESS(2)
SIMT_ACCESS(4)
SIMT_ACCESS(8)
SIMT_ACCESS(16)
void __tsan_read_range(void* p, std::size_t bytes) {
  ::simt::instrumented(p, bytes, false, __builtin_return_address(0));
}
void __tsan_write_range(void* p, std::size_t bytes) {
  ::simt::instrumented(p, bytes, true, __builtin_return_address(0));
}
void __tsan_init() {}
}
#endif
