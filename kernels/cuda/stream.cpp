#include "kernels/cuda/stream.h"

#if defined(SEEDBED_SIMT)
#include <memory>
#endif

namespace seedbed::kernels::KN_NS {

#if defined(SEEDBED_SIMT)
namespace {
constexpr std::size_t kWorkspaceBytes = std::size_t{64} << 20;
// Untouched pages cost nothing.
struct Workspace {
  std::unique_ptr<std::byte[]> memory{new std::byte[kWorkspaceBytes + 256]};
  std::byte* aligned() {
    void* at = memory.get();
    std::size_t space = kWorkspaceBytes + 256;
    return static_cast<std::byte*>(std::align(256, kWorkspaceBytes, at, space));
  }
};
}  // namespace
#endif

Here& here() {
#if defined(SEEDBED_SIMT)
  static thread_local Workspace workspace;
  static thread_local Here mine{
      .workspace = workspace.aligned(), .workspace_bytes = kWorkspaceBytes, .sms = 4, .arch = 90};
#else
  static thread_local Here mine;
#endif
  return mine;
}

}  // namespace seedbed::kernels::KN_NS
