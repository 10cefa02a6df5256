// Shared memory and asynchronous copies. Static arrays are laid into one arena with gaps between
// them; the dynamic part is one buffer. Both are NaN (0xff bytes) when a block begins, so that what
// nobody wrote shows in the result. Gaps are poisoned for AddressSanitizer; without it they hold a
// pattern that is looked at when the block ends.
#include <algorithm>
#include <cstring>

#include "tests/simt/state.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) static_cast<void>(0)
#define ASAN_UNPOISON_MEMORY_REGION(p, n) static_cast<void>(0)
#endif

namespace simt {

namespace {
constexpr std::size_t kStaticBytes = 48 * 1024, kBlockBytes = 227 * 1024;
constexpr std::size_t kGap = 32, kTail = 256;
constexpr std::byte kPattern{0xa5};

struct Array {
  std::byte* begin;
  std::size_t bytes;
  const char* name;
  Loc at;
};
struct Memory {
  alignas(128) std::byte arena[2 * kStaticBytes];
  alignas(128) std::byte dynamic[kBlockBytes + kTail];
  std::vector<Array> arrays;
  std::size_t used = 0;     // of the arena, gaps included
  std::size_t counted = 0;  // of the arena, without gaps
  std::size_t dynamic_bytes = 0;
};
Memory* const memory = new Memory;

bool holds_pattern(const std::byte* from, std::size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  (void)from, (void)bytes;
  return true;  // poisoned: whoever writes there is stopped at once
#else
  return std::all_of(from, from + bytes, [](std::byte b) { return b == kPattern; });
#endif
}
void make_gap(std::byte* from, std::size_t bytes) {
#if !defined(__SANITIZE_ADDRESS__)
  std::memset(from, static_cast<int>(kPattern), bytes);
#endif
  ASAN_POISON_MEMORY_REGION(from, bytes);
}
void found_beside(const char* name, Loc at) {
  rt->failure = where_text(at) + ": something wrote beside the shared array '" + name +
                "' that is declared here";
}
}  // namespace

void begin_block_memory(std::size_t dynamic_bytes) {
  Memory& m = *memory;
  m.arrays.clear();
  m.used = m.counted = 0;
  if (dynamic_bytes == 0 && m.dynamic_bytes == 0) return;
  m.dynamic_bytes = dynamic_bytes;
  ASAN_UNPOISON_MEMORY_REGION(m.dynamic, sizeof m.dynamic);
  std::memset(m.dynamic, 0xff, dynamic_bytes);
  make_gap(m.dynamic + dynamic_bytes, std::min(kTail, sizeof m.dynamic - dynamic_bytes));
  ASAN_POISON_MEMORY_REGION(m.dynamic + dynamic_bytes, sizeof m.dynamic - dynamic_bytes);
}

void end_block_memory() {
  const Memory& m = *memory;
  for (const Array& array : m.arrays) {
    const std::byte* const end = array.begin + array.bytes;
    const std::size_t pad = (kGap - array.bytes % kGap) % kGap;
    if (!holds_pattern(array.begin - kGap, kGap) || !holds_pattern(end, pad + kGap))
      return found_beside(array.name, array.at);
  }
  if (m.dynamic_bytes > 0 && !holds_pattern(m.dynamic + m.dynamic_bytes, kTail))
    rt->failure = "?: something wrote beyond the " + std::to_string(m.dynamic_bytes) +
                  " bytes of dynamic shared memory";
  clear_block_memory();
}

void clear_block_memory() {
  Memory& m = *memory;
  ASAN_UNPOISON_MEMORY_REGION(m.arena, sizeof m.arena);
  m.arrays.clear();
  m.used = m.counted = 0;
}

void* shared(Slot& slot, std::size_t bytes, const char* name, Loc at) {
  if (rt->current == nullptr) fail("shared memory outside of a kernel", at);
  if (slot.block == rt->block) return slot.memory;
  Memory& m = *memory;
  m.counted += (bytes + 15) / 16 * 16;
  if (m.counted > kStaticBytes)
    fail("static shared memory: " + std::to_string(m.counted) + " bytes with '" + name +
             "', at most 48 KiB",
         at);
  if (m.counted + m.dynamic_bytes > kBlockBytes)
    fail("shared memory: " + std::to_string(m.counted + m.dynamic_bytes) + " bytes with '" + name +
             "', at most 227 KiB",
         at);
  const std::size_t rounded = (bytes + kGap - 1) / kGap * kGap;
  if (m.used + rounded + 2 * kGap > sizeof m.arena) fail("too many shared arrays", at);
  std::byte* const begin = m.arena + m.used + kGap;
  make_gap(begin - kGap, kGap);
  make_gap(begin + bytes, rounded - bytes + kGap);
  ASAN_UNPOISON_MEMORY_REGION(begin, bytes);
  std::memset(begin, 0xff, bytes);
  m.used += rounded + kGap;
  m.arrays.push_back({begin, bytes, name, at});
  slot = {rt->block, begin};
  return begin;
}

unsigned char* dynamic_shared() {
  return reinterpret_cast<unsigned char*>(memory->dynamic);
}

bool in_shared(const void* p, std::size_t bytes) {
  const auto* b = static_cast<const std::byte*>(p);
  const Memory& m = *memory;
  return (b >= m.arena && b + bytes <= m.arena + sizeof m.arena) ||
         (b >= m.dynamic && b + bytes <= m.dynamic + sizeof m.dynamic);
}

std::size_t shared_offset(const void* p) {
  const auto* b = static_cast<const std::byte*>(p);
  const Memory& m = *memory;
  return b >= m.dynamic && b < m.dynamic + sizeof m.dynamic
             ? sizeof m.arena + static_cast<std::size_t>(b - m.dynamic)
             : static_cast<std::size_t>(b - m.arena);
}
std::size_t shared_capacity() {
  return sizeof memory->arena + sizeof memory->dynamic;
}

bool in_array(const void* p, std::size_t bytes) {
  const auto* b = static_cast<const std::byte*>(p);
  const Memory& m = *memory;
  if (b >= m.dynamic && b < m.dynamic + sizeof m.dynamic)
    return b + bytes <= m.dynamic + m.dynamic_bytes;
  return std::any_of(m.arrays.begin(), m.arrays.end(), [&](const Array& array) {
    return b >= array.begin && b + bytes <= array.begin + array.bytes;
  });
}

std::string shared_name(const void* p) {
  const auto* b = static_cast<const std::byte*>(p);
  const Memory& m = *memory;
  if (b >= m.dynamic && b < m.dynamic + sizeof m.dynamic)
    return "byte " + std::to_string(b - m.dynamic) + " of dynamic shared memory (" +
           std::to_string(m.dynamic_bytes) + " bytes)";
  const Array* nearest = nullptr;
  for (const Array& array : m.arrays)
    if (nearest == nullptr || array.begin - static_cast<std::ptrdiff_t>(kGap) <= b)
      nearest = &array;
  if (nearest == nullptr) return "no shared array";
  return "byte " + std::to_string(b - nearest->begin) + " of shared array '" + nearest->name +
         "' (" + std::to_string(nearest->bytes) + " bytes)";
}

// ---- cp.async ----
namespace {
void finish(const Copy& copy) {
  race::touch(race::Access::copy_done, *rt->current, copy.to, copy.bytes, copy.at);
  if (copy.valid)
    std::memcpy(copy.to, copy.from, copy.bytes);
  else
    std::memset(copy.to, 0, copy.bytes);
}
}  // namespace

void cp_async(void* to, const void* from, std::size_t bytes, bool valid, Loc at) {
  if (!in_shared(to, bytes)) fail("cp.async: the destination is no shared memory", at);
  if (!in_array(to, bytes)) fail("cp.async: writes beside: " + shared_name(to), at);
  const auto misaligned = [&](const void* p) {
    return reinterpret_cast<std::uintptr_t>(p) % bytes != 0;
  };
  if (misaligned(to) || (valid && misaligned(from)))
    fail("cp.async of " + std::to_string(bytes) + " bytes: an address is not aligned to that", at);
#if defined(__SANITIZE_ADDRESS__)
  if (valid && __asan_region_is_poisoned(const_cast<void*>(from), bytes) != nullptr)
    fail("cp.async reads what nobody may read (AddressSanitizer)", at);
#endif
  Thread& me = *rt->current;
  race::touch(race::Access::copy_issued, me, to, bytes, at);
  std::memset(to, 0xff, bytes);  // until it is waited for
  me.copies.push_back({to, from, bytes, valid, me.groups, at});
}

void cp_async_commit() {
  ++rt->current->groups;
}

void cp_async_wait_group(int pending) {
  Thread& me = *rt->current;
  const auto done = [&](const Copy& copy) {
    return copy.group + static_cast<std::uint32_t>(pending) < me.groups;
  };
  auto end = me.copies.begin();
  for (; end != me.copies.end() && done(*end); ++end) finish(*end);
  me.copies.erase(me.copies.begin(), end);
}

}  // namespace simt
