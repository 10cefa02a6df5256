#include "kernels/device.h"

#include <cstring>
#include <new>

namespace seedbed::kernels {

namespace {

constexpr std::align_val_t kAlign{256};

class HostDevice final : public Device {
 public:
  explicit HostDevice(const Ops& ops) : ops_(ops) {}
  [[nodiscard]] const Ops& ops() const override { return ops_; }
  [[nodiscard]] bool is_host() const override { return true; }
  [[nodiscard]] std::string describe() const override { return ops_.name; }
  std::byte* allocate(std::int64_t bytes) override {
    return static_cast<std::byte*>(
        ::operator new(static_cast<std::size_t>(bytes), kAlign, std::nothrow));
  }
  void release(std::byte* memory) override { ::operator delete(memory, kAlign); }
  void upload(void* to, const void* from, std::int64_t bytes) override { copy(to, from, bytes); }
  void download(void* to, const void* from, std::int64_t bytes) override { copy(to, from, bytes); }
  void copy(void* to, const void* from, std::int64_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, static_cast<std::size_t>(bytes));
  }

 private:
  const Ops& ops_;
};

}  // namespace

std::shared_ptr<Device> host_device(const Ops* ops) {
  return std::make_shared<HostDevice>(ops != nullptr ? *ops : cpu_ops());
}

const Ops& no_ops() {
  static constexpr auto nothing = [](const auto&) {};
  static constexpr Ops ops = {
      .name = "none",
      .embed = nothing,
      .copy_rows = nothing,
      .gemm = nothing,
      .grouped_gemm = nothing,
      .lm_head = nothing,
      .cast_bf16 = nothing,
      .act_quant = nothing,
      .hadamard_quant = nothing,
      .rms_norm = nothing,
      .layer_norm = nothing,
      .rope = nothing,
      .kv_write = nothing,
      .index_write = nothing,
      .fold_weights = nothing,
      .index_logits = nothing,
      .index_logits_paged = nothing,
      .topk_select = nothing,
      .map_slots = nothing,
      .sparse_mla = nothing,
      .dense_mla = nothing,
      .dense_mha = nothing,
      .moe_route = nothing,
      .moe_permute = nothing,
      .moe_unpermute = nothing,
      .silu_mul = nothing,
      .sample = nothing,
  };
  return ops;
}

#if !defined(SEEDBED_WITH_CUDA)
bool built_with_cuda() {
  return false;
}
std::shared_ptr<Device> open_cuda_device(std::string& why) {
  why = "this build has no kernels for GPUs (cmake --preset gpu makes one)";
  return nullptr;
}
#endif

}  // namespace seedbed::kernels
