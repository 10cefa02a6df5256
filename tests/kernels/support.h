// What the contract suite is made of: backends to test, inputs from keyed streams, poisoned
// outputs with guards, and the comparator. One suite runs every (op, case, backend).
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <ostream>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "base/rng.h"
#include "kernels/ops.h"
#include "kernels/pool.h"

namespace seedbed::kernels::test {

// A table of ops that may be there. A new backend is one row in support.cpp.
struct Backend {
  const char* name = "";          // as in Ops::name
  const Ops& (*ops)() = nullptr;  // called only where supported
  bool (*supported)() = nullptr;  // by this machine
};
std::vector<Backend> all_backends();     // the oracle first
std::vector<Backend> tested_backends();  // without it: compared with it
std::ostream& operator<<(std::ostream& out, const Backend& backend);

// Rows of a table of cases: the name becomes the test's.
struct Named {
  std::string name;
  friend std::ostream& operator<<(std::ostream& out, const Named& row) { return out << row.name; }
};
std::string test_name(const std::string& text);  // letters, digits and _ alone

// Skips, by name and counted, what the machine lacks.
std::string why_skipped(const Backend& backend);  // empty: it is there
#define SEEDBED_SKIP_UNLESS_SUPPORTED(backend)                    \
  if (const std::string why = why_skipped(backend); !why.empty()) \
  GTEST_SKIP() << (backend).name << ": " << why

// In which order the threads of a block take turns, where they are ours (backend simt): 0, 1 or 2.
void take_turns(int order);

// A test of one backend's own properties.
class EachBackend : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override { SEEDBED_SKIP_UNLESS_SUPPORTED(GetParam()); }
  static const Ops& ops() { return GetParam().ops(); }
};
inline std::string backend_name(const testing::TestParamInfo<Backend>& info) {
  return test_name(info.param.name);
}

// A test of one row of an op's table on one backend.
template <class Case>
class OpTest : public testing::TestWithParam<std::tuple<Case, Backend>> {
 protected:
  void SetUp() override { SEEDBED_SKIP_UNLESS_SUPPORTED(std::get<1>(this->GetParam())); }
  const Case& row() const { return std::get<0>(this->GetParam()); }
  const Ops& ops() const { return std::get<1>(this->GetParam()).ops(); }
};
template <class Case>
std::string row_name(const testing::TestParamInfo<std::tuple<Case, Backend>>& info) {
  return test_name(std::get<0>(info.param).name + "_" + std::get<1>(info.param).name);
}
// Every row of `table` on every backend but the oracle.
#define SEEDBED_ROWS(suite, Case, table)                                                \
  INSTANTIATE_TEST_SUITE_P(                                                             \
      Table, suite,                                                                     \
      testing::Combine(testing::ValuesIn(table), testing::ValuesIn(tested_backends())), \
      row_name<Case>)
#define SEEDBED_BACKENDS(suite) \
  INSTANTIATE_TEST_SUITE_P(All, suite, testing::ValuesIn(all_backends()), backend_name)

Pool* pool_of(int threads);  // 1 or 3; made once

// Bytes that a kernel writes: all 0xFF before, with guards on both sides, aligned to 4 bytes only.
// Comparing two whole buffers compares guards and gaps too.
class Buffer {
 public:
  explicit Buffer(std::size_t bytes)
      : bytes_(bytes), memory_(bytes + 2 * kGuard, std::byte{0xFF}) {}
  template <class T>
  static Buffer of(std::int64_t count) {
    return Buffer(static_cast<std::size_t>(count) * sizeof(T));
  }
  template <class T>
  static Buffer holding(const std::vector<T>& values) {
    Buffer buffer(values.size() * sizeof(T));
    if (!values.empty()) std::memcpy(buffer.data(), values.data(), buffer.bytes_);
    return buffer;
  }
  std::byte* data() { return memory_.data() + kGuard; }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data());
  }
  template <class T>
  std::span<const T> view() const {
    return {reinterpret_cast<const T*>(memory_.data() + kGuard), bytes_ / sizeof(T)};
  }
  const std::vector<std::byte>& all() const { return memory_; }
  bool operator==(const Buffer&) const = default;

 private:
  static constexpr std::size_t kGuard = 260;
  std::size_t bytes_;
  std::vector<std::byte> memory_;
};
using Buffers = std::vector<Buffer>;

// run(ops, pool) -> Buffers, on the backend without a pool, then with one and three threads: the
// same bits each time. The threads of simulated blocks take turns in another order each time.
// Returns the bits. The oracle is to be run after this, never before.
template <class Run>
Buffers same_on_any_pool(const Ops& ops, const Run& run) {
  const Buffers got = run(ops, static_cast<Pool*>(nullptr));
  take_turns(1);
  EXPECT_TRUE(run(ops, pool_of(1)) == got) << "other bits with a pool of one thread";
  take_turns(2);
  EXPECT_TRUE(run(ops, pool_of(3)) == got) << "other bits with a pool of three threads";
  take_turns(0);
  return got;
}

// Bytes equal; says where the first difference lies.
testing::AssertionResult exact(const Buffer& got, const Buffer& want);

struct Tolerance {
  double abs = 0, rel = 0;  // an element passes by either
  double of_largest = 0;    // or by this share of the largest magnitude wanted
  double cos = 0;           // 1 - 2xy / (xx + yy) over all finite elements, in double
};
// Same places of NaN and infinities first, then each element, then the whole.
testing::AssertionResult close(std::span<const float> got,
                               std::span<const float> want,
                               const Tolerance& tolerance);
testing::AssertionResult close(const Buffer& got, const Buffer& want, const Tolerance& tolerance);

// Inputs.
Rng stream(const std::string& name, std::uint64_t index = 0);
std::vector<float> normal(Rng& rng, std::int64_t count, float scale = 1);  // about N(0, scale^2)
std::vector<std::byte> encoded(DType dtype, const std::vector<float>& values);
inline std::vector<std::int32_t> permutation(Rng& rng, std::int32_t count) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  for (std::int32_t i = 0; i < count; ++i) ids[static_cast<std::size_t>(i)] = i;
  rng.shuffle(ids);
  return ids;
}
inline std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}
const char* name_of(DType dtype);

}  // namespace seedbed::kernels::test
