// How bench_gpu measures: memory of the device, time by its events, one line of JSON a measurement.
#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/gpu_cost.h"
#include "bench/gpu_fill.h"
#include "kernels/cuda/stream.h"

namespace seedbed::bench {

void check(cudaError_t error, const char* file, int line);  // throws kernels::DeviceError
#define SEEDBED_BENCH_CUDA(call) ::seedbed::bench::check((call), __FILE__, __LINE__)

// `count` numbers on the device, freed with it; throws DeviceError where there is no room.
template <class T>
class Array {
 public:
  explicit Array(std::int64_t count = 0) : count_(count) {
    if (count > 0)
      SEEDBED_BENCH_CUDA(cudaMalloc(reinterpret_cast<void**>(&data_),
                                    sizeof(T) * static_cast<std::size_t>(count)));
  }
  explicit Array(const std::vector<T>& values) : Array(static_cast<std::int64_t>(values.size())) {
    if (count_ > 0)
      SEEDBED_BENCH_CUDA(
          cudaMemcpy(data_, values.data(), sizeof(T) * values.size(), cudaMemcpyHostToDevice));
  }
  ~Array() { cudaFree(data_); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  Array(Array&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  Array& operator=(Array&&) = delete;
  T* get() const { return data_; }
  std::int64_t count() const { return count_; }
  std::vector<T> values() const {
    std::vector<T> all(static_cast<std::size_t>(count_));
    if (count_ > 0)
      SEEDBED_BENCH_CUDA(
          cudaMemcpy(all.data(), data_, sizeof(T) * all.size(), cudaMemcpyDeviceToHost));
    return all;
  }

 private:
  T* data_ = nullptr;
  std::int64_t count_ = 0;
};

struct Options {
  double budget_s = 150;
  std::string only;  // cases whose name contains it
  bool ceilings = false, list = false;
};
using Shape = std::initializer_list<std::pair<const char*, std::int64_t>>;

class Bench {
 public:
  explicit Bench(const Options& options);  // throws DeviceError
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  // Queues `op` again and again and prints the line of the running case. cold: nothing of its
  // operands is in a cache before each.
  void measure(Shape shape, const Cost& cost, const std::function<void()>& op, bool cold = true);
  // A number that is no time: {"name": ..., "value": ...}.
  void value(const std::string& name, double x);
  // Median seconds of a case that was measured; 0: it was not.
  double seconds(const std::string& name) const;

  [[nodiscard]] const Fill& fill(std::uint64_t seed = 1);
  [[nodiscard]] cudaStream_t stream() const { return stream_; }
  void wait();
  void print_device();

  // Used by the loop over the cases.
  void begin_case(const std::string& name, std::size_t left);
  void fail(const std::string& why);
  void skip(const std::string& why);
  [[nodiscard]] bool out_of_time() const;

 private:
  double event_seconds(std::size_t i) const;

  Options options_;
  cudaStream_t stream_ = nullptr;
  Fill fill_;
  Array<std::byte> workspace_, flush_;
  Array<float> sink_;
  std::vector<cudaEvent_t> events_;
  std::map<std::string, double> medians_;
  std::string name_;
  double began_s_ = 0, slice_s_ = 1;
};

struct Case {
  std::string name;
  std::function<void(Bench&)> run;
};
void add_ceilings(std::vector<Case>& cases);
void add_gemm_cases(std::vector<Case>& cases);
void add_index_cases(std::vector<Case>& cases);
void add_attention_cases(std::vector<Case>& cases);
void add_row_cases(std::vector<Case>& cases);
void add_moe_cases(std::vector<Case>& cases);

}  // namespace seedbed::bench
