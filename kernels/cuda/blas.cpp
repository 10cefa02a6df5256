#include "kernels/cuda/blas.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#define SEEDBED_WITH_CUBLASLT
#endif

namespace seedbed::kernels::cuda {

#if defined(SEEDBED_WITH_CUBLASLT)
namespace {

void check(cudaError_t error, int line) {
  if (error != cudaSuccess) throw DeviceError(error, cudaGetErrorString(error), __FILE__, line);
}

constexpr std::size_t kBlockScalesSince = 120900;
constexpr const char* kFiles[] = {
    "libcublasLt.so.13", "libcublasLt.so.12",  // where the loader looks: LD_LIBRARY_PATH first
    "/usr/local/cuda/lib64/libcublasLt.so.13", "/usr/local/cuda/lib64/libcublasLt.so.12"};

struct Functions {
  decltype(&::cublasLtGetVersion) version = nullptr;
  decltype(&::cublasLtCreate) create = nullptr;
  decltype(&::cublasLtMatmulDescCreate) new_operation = nullptr;
  decltype(&::cublasLtMatmulDescDestroy) end_operation = nullptr;
  decltype(&::cublasLtMatmulDescSetAttribute) set_operation = nullptr;
  decltype(&::cublasLtMatrixLayoutCreate) new_layout = nullptr;
  decltype(&::cublasLtMatrixLayoutDestroy) end_layout = nullptr;
  decltype(&::cublasLtMatrixLayoutSetAttribute) set_layout = nullptr;
  decltype(&::cublasLtMatmulPreferenceCreate) new_preference = nullptr;
  decltype(&::cublasLtMatmulPreferenceDestroy) end_preference = nullptr;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) choose = nullptr;
  decltype(&::cublasLtMatmul) multiply = nullptr;
  decltype(&::cublasLtGetStatusString) text = nullptr;
  std::string why;  // not empty: it is not there
};

template <class F>
void find(void* file, const char* name, F& to, std::string& why) {
  to = reinterpret_cast<F>(dlsym(file, name));
  if (to == nullptr && why.empty()) why = std::string("cuBLASLt has no function ") + name;
}

Functions open_library() {
  Functions f;
  void* file = nullptr;
  for (const char* name : kFiles) {
    file = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (file != nullptr) break;
    if (f.why.empty()) f.why = dlerror();
  }
  if (file == nullptr) return f;
  f.why.clear();
  find(file, "cublasLtGetVersion", f.version, f.why);
  find(file, "cublasLtCreate", f.create, f.why);
  find(file, "cublasLtMatmulDescCreate", f.new_operation, f.why);
  find(file, "cublasLtMatmulDescDestroy", f.end_operation, f.why);
  find(file, "cublasLtMatmulDescSetAttribute", f.set_operation, f.why);
  find(file, "cublasLtMatrixLayoutCreate", f.new_layout, f.why);
  find(file, "cublasLtMatrixLayoutDestroy", f.end_layout, f.why);
  find(file, "cublasLtMatrixLayoutSetAttribute", f.set_layout, f.why);
  find(file, "cublasLtMatmulPreferenceCreate", f.new_preference, f.why);
  find(file, "cublasLtMatmulPreferenceDestroy", f.end_preference, f.why);
  find(file, "cublasLtMatmulPreferenceSetAttribute", f.set_preference, f.why);
  find(file, "cublasLtMatmulAlgoGetHeuristic", f.choose, f.why);
  find(file, "cublasLtMatmul", f.multiply, f.why);
  find(file, "cublasLtGetStatusString", f.text, f.why);
  return f;
}
const Functions& functions() {
  static const Functions opened = open_library();
  return opened;
}

struct EndOperation {
  void operator()(cublasLtMatmulDescOpaque_t* x) const { functions().end_operation(x); }
};
struct EndLayout {
  void operator()(cublasLtMatrixLayoutOpaque_t* x) const { functions().end_layout(x); }
};
struct EndPreference {
  void operator()(cublasLtMatmulPreferenceOpaque_t* x) const { functions().end_preference(x); }
};
using Operation = std::unique_ptr<cublasLtMatmulDescOpaque_t, EndOperation>;
using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, EndLayout>;
using Preference = std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, EndPreference>;

// What the library said to one shape.
struct Plan {
  Operation operation;
  Layout w, a, out;
  cublasLtMatmulAlgo_t algorithm{};
  bool offered = false, used = false;  // used: its kernels are loaded
};
using Shape = std::array<std::int64_t, 13>;

// Handles are one a device. All of it lives as long as the process: at its end the driver may be
// gone before a destructor runs.
struct Known {
  std::mutex lock;
  std::map<int, cublasLtHandle_t> handles;  // null: not to be had
  std::map<Shape, Plan> plans;
};
constexpr std::size_t kMaxPlans = 4096;
Known& known() {
  static Known& it = *new Known;
  return it;
}
std::int64_t& queued() {
  static thread_local std::int64_t count = 0;
  return count;
}

Shape shape_of(const LibraryProduct& p, int device) {
  const auto room = static_cast<std::int64_t>(p.workspace_bytes);
  return {device,
          static_cast<std::int64_t>(p.dtype),
          p.rows,
          p.cols,
          p.inner,
          p.batch,
          p.lda,
          p.ldo,
          p.a_step,
          p.w_step,
          p.out_step,
          (p.a_scale != nullptr ? 2 : 0) + (p.accumulate ? 1 : 0),
          room < kLibraryWorkspace ? room : kLibraryWorkspace};
}

template <class T>
bool set(const Operation& to, cublasLtMatmulDescAttributes_t what, const T& value) {
  return functions().set_operation(to.get(), what, &value, sizeof value) == CUBLAS_STATUS_SUCCESS;
}
bool set_scales(const Plan& plan, const LibraryProduct& p) {
  if (p.a_scale == nullptr) return true;
  const void *of_w = p.w_scale, *of_a = p.a_scale;
  return set(plan.operation, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, of_w) &&
         set(plan.operation, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, of_a);
}

Operation new_operation(const LibraryProduct& p) {
  cublasLtMatmulDesc_t made = nullptr;
  if (functions().new_operation(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F) != CUBLAS_STATUS_SUCCESS)
    return nullptr;
  Operation operation(made);
  bool good = set(operation, CUBLASLT_MATMUL_DESC_TRANSA, std::int32_t{CUBLAS_OP_T}) &&
              set(operation, CUBLASLT_MATMUL_DESC_TRANSB, std::int32_t{CUBLAS_OP_N});
  if (p.a_scale != nullptr)
    good = good &&
           set(operation, CUBLASLT_MATMUL_DESC_A_SCALE_MODE,
               std::int32_t{CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F}) &&
           set(operation, CUBLASLT_MATMUL_DESC_B_SCALE_MODE,
               std::int32_t{CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F});
  return good ? std::move(operation) : nullptr;
}

Layout new_layout(cudaDataType_t type,
                  int rows,
                  int columns,
                  std::int64_t between_columns,
                  std::int32_t batch,
                  std::int64_t between_batches) {
  cublasLtMatrixLayout_t made = nullptr;
  if (functions().new_layout(&made, type, static_cast<std::uint64_t>(rows),
                             static_cast<std::uint64_t>(columns),
                             between_columns) != CUBLAS_STATUS_SUCCESS)
    return nullptr;
  Layout layout(made);
  if (batch == 1) return layout;
  const bool good =
      functions().set_layout(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch) ==
          CUBLAS_STATUS_SUCCESS &&
      functions().set_layout(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &between_batches,
                             sizeof between_batches) == CUBLAS_STATUS_SUCCESS;
  return good ? std::move(layout) : nullptr;
}

Preference new_preference(std::size_t workspace_bytes) {
  cublasLtMatmulPreference_t made = nullptr;
  if (functions().new_preference(&made) != CUBLAS_STATUS_SUCCESS) return nullptr;
  Preference preference(made);
  const std::uint64_t room = workspace_bytes;
  bool good = functions().set_preference(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room,
                                         sizeof room) == CUBLAS_STATUS_SUCCESS;
  for (const auto which :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    const std::uint32_t alignment = 16;
    good = good && functions().set_preference(made, which, &alignment, sizeof alignment) ==
                       CUBLAS_STATUS_SUCCESS;
  }
  return good ? std::move(preference) : nullptr;
}

Plan new_plan(const LibraryProduct& p, cublasLtHandle_t handle, std::int64_t workspace_bytes) {
  Plan plan;
  const bool scaled = p.a_scale != nullptr;
  if (scaled && functions().version() < kBlockScalesSince) return plan;
  const cudaDataType_t type = p.dtype == DType::f8 ? CUDA_R_8F_E4M3 : CUDA_R_16BF;
  plan.operation = new_operation(p);
  plan.w = new_layout(type, p.inner, p.cols, p.inner, p.batch, p.w_step);
  plan.a = new_layout(type, p.inner, p.rows, p.lda, p.batch, p.a_step);
  plan.out = new_layout(CUDA_R_32F, p.cols, p.rows, p.ldo, p.batch, p.out_step);
  const Preference preference = new_preference(static_cast<std::size_t>(workspace_bytes));
  if (!plan.operation || !plan.w || !plan.a || !plan.out || !preference || !set_scales(plan, p))
    return plan;
  cublasLtMatmulHeuristicResult_t best{};
  int found = 0;
  const cublasStatus_t status =
      functions().choose(handle, plan.operation.get(), plan.w.get(), plan.a.get(), plan.out.get(),
                         plan.out.get(), preference.get(), 1, &best, &found);
  plan.offered =
      status == CUBLAS_STATUS_SUCCESS && found > 0 && best.state == CUBLAS_STATUS_SUCCESS;
  plan.algorithm = best.algo;
  return plan;
}

// With the lock held; null: refused, or not known yet and may_ask is false.
Plan* plan_of(const LibraryProduct& p, bool may_ask, cublasLtHandle_t* handle) {
  int device = 0;
  check(cudaGetDevice(&device), __LINE__);
  Known& all = known();
  const Shape shape = shape_of(p, device);
  auto plan = all.plans.find(shape);
  if (plan == all.plans.end() && !may_ask) return nullptr;
  const auto [at, is_new] = all.handles.try_emplace(device, nullptr);
  if (is_new && functions().create(&at->second) != CUBLAS_STATUS_SUCCESS) at->second = nullptr;
  *handle = at->second;
  if (*handle == nullptr) return nullptr;
  if (plan == all.plans.end()) {
    if (all.plans.size() >= kMaxPlans) all.plans.clear();
    plan = all.plans.emplace(shape, new_plan(p, *handle, shape.back())).first;
  }
  return plan->second.offered ? &plan->second : nullptr;
}

bool is_recording() {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(here().stream, &status), __LINE__);
  return status != cudaStreamCaptureStatusNone;
}

}  // namespace

bool library_offers(const LibraryProduct& p) {
  if (!functions().why.empty()) return false;
  if (p.dtype == DType::f8 && (p.a_scale != nullptr ? here().arch != 90 : here().arch < 89))
    return false;
  const std::lock_guard lock(known().lock);
  cublasLtHandle_t handle = nullptr;
  const bool recording = is_recording();
  const Plan* plan = plan_of(p, !recording, &handle);
  return plan != nullptr && (plan->used || !recording);
}

bool library_gemm(const LibraryProduct& p) {
  const std::lock_guard lock(known().lock);
  cublasLtHandle_t handle = nullptr;
  Plan* plan = plan_of(p, true, &handle);
  if (plan == nullptr) return false;
  const float one = 1, kept = p.accumulate ? 1.0F : 0.0F;
  const std::int64_t room = shape_of(p, 0).back();
  const cublasStatus_t status =
      !set_scales(*plan, p)
          ? CUBLAS_STATUS_INVALID_VALUE
          : functions().multiply(handle, plan->operation.get(), &one, p.w, plan->w.get(), p.a,
                                 plan->a.get(), &kept, p.out, plan->out.get(), p.out,
                                 plan->out.get(), &plan->algorithm, p.workspace,
                                 static_cast<std::size_t>(room), here().stream);
  if (status == CUBLAS_STATUS_EXECUTION_FAILED)
    throw DeviceError(static_cast<int>(status), functions().text(status), __FILE__, __LINE__);
  if (status != CUBLAS_STATUS_SUCCESS) {
    plan->offered = false;
    return false;
  }
  plan->used = true;
  ++queued();
  return true;
}

std::int64_t library_products() {
  return queued();
}

std::string library_name(std::string& why) {
  why = functions().why;
  if (!why.empty()) return "";
  const std::size_t version = functions().version();  // 130002: 13.0.2
  return "cuBLASLt " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) +
         "." + std::to_string(version % 100);
}

#else

bool library_offers(const LibraryProduct&) {
  return false;
}
bool library_gemm(const LibraryProduct&) {
  return false;
}
std::int64_t library_products() {
  return 0;
}
std::string library_name(std::string& why) {
  why = "built without cublasLt.h";
  return "";
}

#endif

}  // namespace seedbed::kernels::cuda
