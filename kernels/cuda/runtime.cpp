// The device that is a GPU: a stream, scratch memory, copies, graphs.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <string>

#include "kernels/cuda/stream.h"
#include "kernels/cuda/table.h"
#include "kernels/device.h"

namespace seedbed::kernels {

namespace {

constexpr int kLeastArch = 80;

void check(cudaError_t error, int line) {
  if (error != cudaSuccess) throw DeviceError(error, cudaGetErrorString(error), __FILE__, line);
}

class CudaRecording final : public Device::Recording {
 public:
  explicit CudaRecording(cudaGraphExec_t graph) : graph_(graph) {}
  ~CudaRecording() override { cudaGraphExecDestroy(graph_); }
  [[nodiscard]] cudaGraphExec_t graph() const { return graph_; }

 private:
  cudaGraphExec_t graph_;
};

class CudaDevice final : public Device {
 public:
  // The work space of ops: a sixty-fourth of the memory, 64 MiB to 1 GiB; the parts that attention
  // splits into are the largest (kernels/cuda/sparse_mla.cu), and wait their turn where it is
  // short.
  explicit CudaDevice(int number) : number_(number) {
    check(cudaSetDevice(number_), __LINE__);
    check(cudaGetDeviceProperties(&properties_, number_), __LINE__);
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), __LINE__);
    workspace_bytes_ =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(properties_.totalGlobalMem) / 64,
                                 std::int64_t{64} << 20, std::int64_t{1} << 30);
    void* memory = nullptr;
    check(cudaMalloc(&memory, static_cast<std::size_t>(workspace_bytes_)), __LINE__);
    workspace_ = static_cast<std::byte*>(memory);
  }
  // What fails here has failed before, and was told.
  ~CudaDevice() override {
    cudaSetDevice(number_);
    if (stream_ != nullptr) cudaStreamSynchronize(stream_);
    cudaFree(workspace_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  [[nodiscard]] const Ops& ops() const override { return cuda::table(); }
  [[nodiscard]] const Chains* chains() const override { return &cuda::chains(); }
  [[nodiscard]] bool is_host() const override { return false; }
  [[nodiscard]] std::string describe() const override {
    return std::string(properties_.name) + ", sm_" + std::to_string(arch()) + ", " +
           std::to_string(properties_.multiProcessorCount) + " multiprocessors";
  }
  void bind() override {
    check(cudaSetDevice(number_), __LINE__);
    Here& here = cuda::here();
    here.stream = stream_;
    here.workspace = workspace_;
    here.workspace_bytes = static_cast<std::size_t>(workspace_bytes_);
    here.fixed_split = true;  // a token's bits never depend on what else is computed
    here.sms = properties_.multiProcessorCount;
    here.arch = arch();
  }

  std::byte* allocate(std::int64_t bytes) override {
    void* memory = nullptr;
    const cudaError_t error =
        cudaMalloc(&memory, static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1)));
    if (error == cudaErrorMemoryAllocation) {
      (void)cudaGetLastError();  // no fault of the device: later calls must not see it
      return nullptr;
    }
    check(error, __LINE__);
    return static_cast<std::byte*>(memory);
  }
  void release(std::byte* memory) override {
    wait();
    check(cudaFree(memory), __LINE__);
  }
  [[nodiscard]] std::int64_t free_bytes() const override {
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), __LINE__);
    return static_cast<std::int64_t>(free);
  }

  // From memory that is not pinned, CUDA returns when it has its own copy.
  void upload(void* to, const void* from, std::int64_t bytes) override {
    move(to, from, bytes, cudaMemcpyHostToDevice);
  }
  void download(void* to, const void* from, std::int64_t bytes) override {
    move(to, from, bytes, cudaMemcpyDeviceToHost);
    wait();
  }
  void copy(void* to, const void* from, std::int64_t bytes) override {
    move(to, from, bytes, cudaMemcpyDeviceToDevice);
  }
  void wait() override { check(cudaStreamSynchronize(stream_), __LINE__); }

  [[nodiscard]] bool can_record() const override { return true; }
  void record_begin() override {
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), __LINE__);
  }
  std::unique_ptr<Recording> record_end() override {
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream_, &graph), __LINE__);
    cudaGraphExec_t exec = nullptr;
    const cudaError_t error = cudaGraphInstantiate(&exec, graph, 0);
    cudaGraphDestroy(graph);
    check(error, __LINE__);
    return std::make_unique<CudaRecording>(exec);
  }
  void play(Recording& recording) override {
    check(cudaGraphLaunch(static_cast<CudaRecording&>(recording).graph(), stream_), __LINE__);
  }

 private:
  [[nodiscard]] int arch() const { return 10 * properties_.major + properties_.minor; }
  void move(void* to, const void* from, std::int64_t bytes, cudaMemcpyKind kind) {
    if (bytes > 0)
      check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), kind, stream_), __LINE__);
  }

  int number_ = 0;
  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
  std::byte* workspace_ = nullptr;
  std::int64_t workspace_bytes_ = 0;
};

}  // namespace

bool built_with_cuda() {
  return true;
}

std::shared_ptr<Device> open_cuda_device(std::string& why) {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    why = cudaGetErrorString(error);
    return nullptr;
  }
  if (count == 0) {
    why = "no CUDA device";
    return nullptr;
  }
  int major = 0, minor = 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
  if (10 * major + minor < kLeastArch) {
    why = "the device is sm_" + std::to_string(10 * major + minor) + ", the kernels want sm_80 on";
    return nullptr;
  }
  try {
    return std::make_shared<CudaDevice>(0);
  } catch (const DeviceError& error) {
    why = error.what();
    return nullptr;
  }
}

}  // namespace seedbed::kernels
