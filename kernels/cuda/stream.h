// What an op of this backend takes from its surroundings: the stream it runs on, and memory for its
// own use. Ops never allocate. Includes nothing of CUDA, so that the engine and the tests can set
// it.
#pragma once
#include <cstddef>

#include "kernels/device_error.h"

struct CUstream_st;  // what cudaStream_t points to

// The namespace of the backend's host functions. The same sources are built twice: by nvcc for the
// device, and by the host compiler against tests/simt (SEEDBED_SIMT is defined then).
#if defined(SEEDBED_SIMT)
#define KN_NS simt
#else
#define KN_NS cuda
#endif

namespace seedbed::kernels {

// One a thread and backend; whoever calls ops sets it first. An op uses the workspace from its
// beginning, leaves nothing there for the next op, and checks that it suffices (KERNEL_CHECK).
struct Here {
  CUstream_st* stream = nullptr;
  std::byte* workspace = nullptr;  // device memory, 256-byte aligned; contents undefined
  std::size_t workspace_bytes = 0;
  bool fixed_split = false;  // splits depend on the row alone, never on the batch or on sms
  // Products of many rows may go to cuBLASLt (kernels/cuda/blas.h): faster, but a row's bits then
  // depend on the number of rows.
  bool library_gemm = false;
  int sms = 4;               // multiprocessors of the device
  int arch = 80;             // 10 * major + minor of the device
};

namespace cuda {
Here& here();
}
namespace simt {
Here& here();  // on the host: no stream, a workspace of its own
}

}  // namespace seedbed::kernels
