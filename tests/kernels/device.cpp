#include "tests/kernels/device.h"

#if !defined(SEEDBED_WITH_CUDA)
namespace seedbed::kernels::test {
std::string why_no_device() {
  return "this build has no CUDA (-DSEEDBED_CUDA=ON)";
}
const Ops& device_ops() {
  return ref_ops();  // never called: why_no_device() is not empty
}
}  // namespace seedbed::kernels::test
#else
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>

#include "kernels/cuda/stream.h"

namespace {
// ---- memory that both sides see ----
enum class Memory : int { unknown, probing, of_host, of_both };
std::atomic<Memory> memory{Memory::unknown};
constexpr std::size_t kArenaBytes = std::size_t{4} << 30, kStackBytes = std::size_t{64} << 20;
char *arena_begin = nullptr, *arena_next = nullptr;
std::mutex arena_lock;
struct Free {
  Free* next;
};
Free* free_of[48] = {};  // by the power of two that a piece has

// A device that reads ordinary memory needs nothing; another one needs managed memory.
void probe() {
  memory = Memory::probing;  // CUDA's own allocations meanwhile are ordinary ones
  int count = 0, reads_all = 0;
  void* arena = nullptr;
  if (cudaGetDeviceCount(&count) == cudaSuccess && count > 0 &&
      cudaDeviceGetAttribute(&reads_all, cudaDevAttrPageableMemoryAccess, 0) == cudaSuccess &&
      reads_all == 0 && cudaMallocManaged(&arena, kArenaBytes, cudaMemAttachGlobal) == cudaSuccess)
    arena_begin = arena_next = static_cast<char*>(arena);
  memory = arena_begin != nullptr ? Memory::of_both : Memory::of_host;
}

void* allocate(std::size_t bytes) {
  if (memory == Memory::unknown) probe();
  if (memory != Memory::of_both) return std::malloc(bytes);
  const auto power = static_cast<unsigned>(std::bit_width(bytes + 15));  // 16 bytes tell the power
  const std::lock_guard lock(arena_lock);
  char* piece = reinterpret_cast<char*>(free_of[power]);
  if (piece != nullptr) {
    free_of[power] = free_of[power]->next;
  } else {
    if (arena_next + (std::size_t{1} << power) > arena_begin + kArenaBytes) return nullptr;
    piece = arena_next;
    arena_next += std::size_t{1} << power;
  }
  *reinterpret_cast<unsigned*>(piece) = power;
  return piece + 16;
}
void release(void* p) {
  auto* piece = static_cast<char*>(p) - 16;
  if (arena_begin == nullptr || p < arena_begin || p >= arena_begin + kArenaBytes)
    return std::free(p);
  const std::lock_guard lock(arena_lock);
  const unsigned power = *reinterpret_cast<unsigned*>(piece);
  auto* one = reinterpret_cast<Free*>(piece);
  one->next = free_of[power];
  free_of[power] = one;
}
}  // namespace

void* operator new(std::size_t bytes) {
  void* p = allocate(bytes == 0 ? 1 : bytes);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
void operator delete(void* p) noexcept {
  if (p != nullptr) release(p);
}
void operator delete(void* p, std::size_t) noexcept {
  if (p != nullptr) release(p);
}

// Tests hand over addresses of local variables too.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (memory != Memory::of_both) return RUN_ALL_TESTS();
  void* stack = nullptr;
  if (cudaMallocManaged(&stack, kStackBytes, cudaMemAttachGlobal) != cudaSuccess) return 1;
  int code = 1;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, kStackBytes);
  pthread_t thread;
  const auto run = [](void* to) -> void* {
    *static_cast<int*>(to) = RUN_ALL_TESTS();
    return nullptr;
  };
  if (pthread_create(&thread, &attributes, run, &code) != 0) return 1;
  pthread_join(thread, nullptr);
  return code;
}

namespace seedbed::kernels::test {

namespace {
void check(cudaError_t error, const char* what, int line) {
  if (error != cudaSuccess) throw DeviceError(error, cudaGetErrorString(error), what, line);
}

void set_surroundings() {
  Here& here = cuda::here();
  if (here.workspace != nullptr) return;
  constexpr std::size_t kWorkspaceBytes = std::size_t{256} << 20;
  cudaDeviceProp device{};
  check(cudaGetDeviceProperties(&device, 0), __FILE__, __LINE__);
  void* workspace = nullptr;
  check(cudaMalloc(&workspace, kWorkspaceBytes), __FILE__, __LINE__);
  here.workspace = static_cast<std::byte*>(workspace);
  here.workspace_bytes = kWorkspaceBytes;
  here.sms = device.multiProcessorCount;
  here.arch = 10 * device.major + device.minor;
}

template <auto op, class Params>
void run_and_wait(const Params& params) {
  (cuda_ops()->*op)(params);
  check(cudaDeviceSynchronize(), __FILE__, __LINE__);
}
}  // namespace

std::string why_no_device() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return std::string("no device: ") + cudaGetErrorString(error);
  return count == 0 ? "no device" : "";
}

const Ops& device_ops() {
  set_surroundings();
  static constexpr Ops ops = {
      .name = "cuda",
      .embed = run_and_wait<&Ops::embed>,
      .copy_rows = run_and_wait<&Ops::copy_rows>,
      .gemm = run_and_wait<&Ops::gemm>,
      .grouped_gemm = run_and_wait<&Ops::grouped_gemm>,
      .lm_head = run_and_wait<&Ops::lm_head>,
      .cast_bf16 = run_and_wait<&Ops::cast_bf16>,
      .act_quant = run_and_wait<&Ops::act_quant>,
      .hadamard_quant = run_and_wait<&Ops::hadamard_quant>,
      .rms_norm = run_and_wait<&Ops::rms_norm>,
      .layer_norm = run_and_wait<&Ops::layer_norm>,
      .rope = run_and_wait<&Ops::rope>,
      .kv_write = run_and_wait<&Ops::kv_write>,
      .index_write = run_and_wait<&Ops::index_write>,
      .fold_weights = run_and_wait<&Ops::fold_weights>,
      .index_logits = run_and_wait<&Ops::index_logits>,
      .index_logits_paged = run_and_wait<&Ops::index_logits_paged>,
      .topk_select = run_and_wait<&Ops::topk_select>,
      .map_slots = run_and_wait<&Ops::map_slots>,
      .sparse_mla = run_and_wait<&Ops::sparse_mla>,
      .dense_mla = run_and_wait<&Ops::dense_mla>,
      .dense_mha = run_and_wait<&Ops::dense_mha>,
      .moe_route = run_and_wait<&Ops::moe_route>,
      .moe_permute = run_and_wait<&Ops::moe_permute>,
      .moe_unpermute = run_and_wait<&Ops::moe_unpermute>,
      .silu_mul = run_and_wait<&Ops::silu_mul>,
      .sample = run_and_wait<&Ops::sample>,
  };
  return ops;
}

}  // namespace seedbed::kernels::test
#endif
