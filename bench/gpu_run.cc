#include "bench/gpu_run.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "kernels/cuda/blas.h"

namespace seedbed::bench {
namespace {

constexpr std::int64_t kWorkspaceBytes = std::int64_t{1} << 30;  // as the engine takes
constexpr std::int64_t kFlushBytes = std::int64_t{256} << 20;    // caches have up to 60 MiB
constexpr int kLeastRepeats = 5, kMostRepeats = 200;

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double at_share(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

}  // namespace

void check(cudaError_t error, const char* file, int line) {
  if (error != cudaSuccess)
    throw kernels::DeviceError(error, cudaGetErrorString(error), file, line);
}

Bench::Bench(const Options& options)
    : options_(options), workspace_(kWorkspaceBytes), flush_(kFlushBytes), sink_(1) {
  began_s_ = now_s();
  cudaDeviceProp device{};
  SEEDBED_BENCH_CUDA(cudaGetDeviceProperties(&device, 0));
  SEEDBED_BENCH_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  events_.resize(2 * kMostRepeats);
  for (cudaEvent_t& event : events_) SEEDBED_BENCH_CUDA(cudaEventCreate(&event));
  kernels::Here& here = kernels::cuda::here();
  here.stream = stream_;
  here.workspace = workspace_.get();
  here.workspace_bytes = static_cast<std::size_t>(kWorkspaceBytes);
  here.sms = device.multiProcessorCount;
  here.arch = 10 * device.major + device.minor;
  fill_.stream = stream_;
  fill(7).f32(reinterpret_cast<float*>(flush_.get()), kFlushBytes / 4);
}
Bench::~Bench() {
  for (cudaEvent_t event : events_) cudaEventDestroy(event);
  cudaStreamDestroy(stream_);
}

const Fill& Bench::fill(std::uint64_t seed) {
  fill_.seed = seed;
  return fill_;
}
void Bench::wait() {
  SEEDBED_BENCH_CUDA(cudaStreamSynchronize(stream_));
}
double Bench::event_seconds(std::size_t i) const {
  float ms = 0;
  SEEDBED_BENCH_CUDA(cudaEventElapsedTime(&ms, events_[2 * i], events_[2 * i + 1]));
  return ms * 1e-3;
}
bool Bench::out_of_time() const {
  return now_s() - began_s_ > options_.budget_s;
}
double Bench::seconds(const std::string& name) const {
  const auto at = medians_.find(name);
  return at == medians_.end() ? 0 : at->second;
}

void Bench::begin_case(const std::string& name, std::size_t left) {
  name_ = name;
  const double rest = options_.budget_s - (now_s() - began_s_);
  slice_s_ = std::clamp(rest / static_cast<double>(left), 0.02, 2.0);
  (&kernels::cuda::here())->library_gemm = false;
}

// Before each repeat a large buffer is read, not written: dirty lines would have to go back to
// memory while the op runs. Meanwhile the op's launches are queued, so that the time between the
// two events holds no work of the host.
void Bench::measure(Shape shape, const Cost& cost, const std::function<void()>& op, bool cold) {
  const auto once = [&](std::size_t i) {
    if (cold) fill_.read_all(flush_.get(), kFlushBytes, sink_.get());
    SEEDBED_BENCH_CUDA(cudaEventRecord(events_[2 * i], stream_));
    op();
    SEEDBED_BENCH_CUDA(cudaEventRecord(events_[2 * i + 1], stream_));
  };
  op();  // loads the kernels
  wait();
  const std::int64_t queued = kernels::cuda::library_products();
  const double before = now_s();
  once(0);
  wait();
  const double each = std::max(now_s() - before, 20e-6);
  const bool by_library = kernels::cuda::library_products() > queued;
  const int repeats = std::clamp(static_cast<int>(slice_s_ / each), kLeastRepeats, kMostRepeats);
  for (int i = 0; i < 2; ++i) once(0);
  for (int i = 0; i < repeats; ++i) once(static_cast<std::size_t>(i));
  wait();
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) times.push_back(event_seconds(static_cast<std::size_t>(i)));
  std::sort(times.begin(), times.end());
  const double median = at_share(times, 0.5);
  medians_[name_] = median;
  std::string sizes;
  for (const auto& [key, number] : shape)
    sizes += (sizes.empty() ? "" : ", ") + quoted(key) + ": " + std::to_string(number);
  std::printf(
      "{\"name\": %s, \"shape\": {%s}, \"seconds\": %.4e, \"p10\": %.4e, \"p90\": %.4e, "
      "\"repeats\": %d, \"bytes\": %lld, \"flop\": %.6e, \"gb_s\": %.2f, \"tf_s\": %.3f, "
      "\"cache\": \"%s\", \"tier\": \"%s\"}\n",
      quoted(name_).c_str(), sizes.c_str(), median, at_share(times, 0.1), at_share(times, 0.9),
      repeats, static_cast<long long>(cost.bytes), cost.flop,
      static_cast<double>(cost.bytes) / median / 1e9, cost.flop / median / 1e12,
      cold ? "cold" : "warm", by_library ? "cublaslt" : "generic");
  std::fflush(stdout);
}

void Bench::value(const std::string& name, double x) {
  std::printf("{\"name\": %s, \"value\": %.6g}\n", quoted(name).c_str(), x);
  std::fflush(stdout);
}
void Bench::fail(const std::string& why) {
  std::printf("{\"name\": %s, \"error\": %s}\n", quoted(name_).c_str(), quoted(why).c_str());
  std::fflush(stdout);
}
void Bench::skip(const std::string& why) {
  std::printf("{\"name\": %s, \"skipped\": %s}\n", quoted(name_).c_str(), quoted(why).c_str());
  std::fflush(stdout);
}

void Bench::print_device() {
  cudaDeviceProp device{};
  SEEDBED_BENCH_CUDA(cudaGetDeviceProperties(&device, 0));
  int driver = 0, runtime = 0;
  SEEDBED_BENCH_CUDA(cudaDriverGetVersion(&driver));
  SEEDBED_BENCH_CUDA(cudaRuntimeGetVersion(&runtime));
  std::string why;
  const std::string library = kernels::cuda::library_name(why);
  std::printf(
      "{\"name\": \"device\", \"device\": %s, \"arch\": %d, \"multiprocessors\": %d, "
      "\"memory_bytes\": %lld, \"l2_bytes\": %d, \"driver\": %d, \"runtime\": %d, "
      "\"library\": %s}\n",
      quoted(device.name).c_str(), 10 * device.major + device.minor, device.multiProcessorCount,
      static_cast<long long>(device.totalGlobalMem), device.l2CacheSize, driver, runtime,
      quoted(library.empty() ? "none: " + why : library).c_str());
  std::fflush(stdout);
}

}  // namespace seedbed::bench
