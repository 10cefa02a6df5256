// The runtime behind simt.h: what kernels call, and how a test drives it. Nothing of CUDA here.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace simt {

struct Loc {  // a call site of a kernel
  const char* file = "";
  int line = 0;
};
#define SIMT_AT , ::simt::Loc at = {__builtin_FILE(), __builtin_LINE()}
#define SIMT_AT_ONLY ::simt::Loc at = {__builtin_FILE(), __builtin_LINE()}

// ---- for tests ----

// A launch that went wrong: file:line, what, and who of the block waits where. The runtime is
// usable afterwards.
class Failure : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// In which order blocks run (ascending, descending, any) and threads of a block that could go on do
// so; a kernel must give the same bits in each.
enum class Order : std::uint8_t { fifo, lifo, random };
void set_order(Order order, std::uint64_t seed = 1);

// Strict (the default): a lane named by a mask, or a thread of a barrier, that has left the kernel
// is an error. Off for kernels where threads return early on purpose.
void set_strict(bool strict);

// The race check, in programs whose kernels were built for it (see CMakeLists.txt).
bool race_checked();

struct Counts {  // since the program began
  std::uint64_t launches = 0, blocks = 0, switches = 0, checked_accesses = 0;
};
Counts counts();

// ---- for simt.h ----

struct Shape {
  std::uint32_t x, y, z;
};
struct Grid {
  Shape grid, block;
  std::size_t dynamic_bytes;
};
void run_grid(const Grid& grid, void (*body)(const void* context), const void* context);

struct Slot {  // of one declaration of shared memory
  std::uint64_t block = 0;
  void* memory = nullptr;
};
void* shared(Slot& slot, std::size_t bytes, const char* name, Loc at);
unsigned char* dynamic_shared();

enum class Op : std::uint8_t {
  sync,
  shuffle,
  shuffle_xor,
  shuffle_up,
  shuffle_down,
  ballot,
  match,
  reduce_add,
  reduce_min,
  reduce_max,
  reduce_or,
  reduce_and,
  mma_bf16,
  mma_f16,
  mma_e4m3,
  ldmatrix,
  ldmatrix_trans,
  arrive,
};
void barrier(Loc at);
int barrier_count(int predicate, Loc at);
void bar_sync(int id, int threads SIMT_AT);
void bar_arrive(int id, int threads SIMT_AT);
void warp_barrier(unsigned mask, Loc at);
void exchange(Op op, unsigned mask, void* value, std::size_t bytes, int source, Loc at);
unsigned ballot(unsigned mask, bool predicate, Loc at);
unsigned match_any(unsigned mask, unsigned long long value, Loc at);
unsigned reduce(Op op, unsigned mask, unsigned value, Loc at);
void mma_bf16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2] SIMT_AT);
void mma_f16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2] SIMT_AT);
void mma_e4m3(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2] SIMT_AT);
void ldmatrix_x4(std::uint32_t (&r)[4], const void* row SIMT_AT);
void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* row SIMT_AT);
void ldmatrix_x2(std::uint32_t (&r)[2], const void* row SIMT_AT);
void ldmatrix_x2_trans(std::uint32_t (&r)[2], const void* row SIMT_AT);

void cp_async(void* to, const void* from, std::size_t bytes, bool valid, Loc at);
void cp_async_commit();
void cp_async_wait_group(int pending);

enum class AtomicOp : std::uint8_t {
  add,
  min,
  max,
  bit_and,
  bit_or,
  bit_xor,
  exchange,
  compare_exchange,
};
template <class T>  // returns what was there before
T atomic(AtomicOp op, T* where, T value, T expected, Loc at);

int lane();  // of the thread that runs
void yield_thread();
[[noreturn]] void fail(const std::string& what, Loc at);

}  // namespace simt
