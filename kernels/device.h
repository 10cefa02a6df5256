// Where the numbers of a model lie and where its ops run: the host's own memory, or a GPU. Memory
// of a device is read and written by its ops and by the copies here, by nothing else.
//
//   (1) All calls are queued in the order of the calls, on one stream of the device's own; only
//       download() and wait() wait for what was queued. On the host they are done at once.
//   (2) One thread at a time, which calls bind() first. Several devices may be open in a process,
//       also several on one GPU.
//   (3) What fails on a GPU (lost, a kernel's fault) is thrown as DeviceError and ends the use of
//       this object; that there is no memory is no failure: allocate() gives null.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/chains.h"
#include "kernels/device_error.h"

namespace seedbed::kernels {

class Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  virtual ~Device() = default;

  [[nodiscard]] virtual const Ops& ops() const = 0;
  // What else it computes, or null.
  [[nodiscard]] virtual const Chains* chains() const { return nullptr; }
  // The host's pointers are good for ops; uploads and downloads may be left out.
  [[nodiscard]] virtual bool is_host() const = 0;
  // "NVIDIA H200, sm_90, 132 multiprocessors", for people.
  [[nodiscard]] virtual std::string describe() const = 0;
  virtual void bind() {}

  // 256-byte aligned, contents undefined; null where it cannot be had.
  virtual std::byte* allocate(std::int64_t bytes) = 0;
  // Waits for what was queued before.
  virtual void release(std::byte* memory) = 0;
  // Bytes that allocate() can still give; -1: not known.
  [[nodiscard]] virtual std::int64_t free_bytes() const { return -1; }

  // `from` is host memory and may be changed once this returns.
  virtual void upload(void* to, const void* from, std::int64_t bytes) = 0;
  virtual void download(void* to, const void* from, std::int64_t bytes) = 0;
  virtual void copy(void* to, const void* from, std::int64_t bytes) = 0;
  virtual void wait() {}

  // Ops called between the two are not run but kept, with their parameters (the pointers, not what
  // they point to); play() runs them again, at far less cost a call. copy() may be kept too;
  // nothing else may be called between. record_end gives null where recording is not offered.
  class Recording {
   public:
    Recording() = default;
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;
    virtual ~Recording() = default;
  };
  [[nodiscard]] virtual bool can_record() const { return false; }
  virtual void record_begin() {}
  virtual std::unique_ptr<Recording> record_end() { return nullptr; }
  virtual void play(Recording&) {}
};

// ops null: the processor's best.
std::shared_ptr<Device> host_device(const Ops* ops = nullptr);

// The first GPU (what CUDA_VISIBLE_DEVICES leaves). Null, and `why` says why: a build without CUDA,
// no driver, no device, one too old. Scratch memory of ops: workspace_bytes, taken at once.
std::shared_ptr<Device> open_cuda_device(std::string& why);
// This build has kernels for GPUs.
bool built_with_cuda();

}  // namespace seedbed::kernels
