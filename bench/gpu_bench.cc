// The ops on a GPU at the shapes of the published model: what each takes, beside the bytes and the
// floating-point operations that its arguments say it must do (gpu_cost.h), and what the device
// can do at most, measured in the same run. One line of JSON a measurement on stdout.
//   bench_gpu [--budget SECONDS] [--only PART_OF_A_NAME] [--ceilings] [--list]
// Exit code 0: all was measured or left out for want of time; 1: a case failed; 2: usage; 3: no
// device.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <vector>

#include "bench/gpu_run.h"

namespace {

using namespace seedbed::bench;

int usage(const char* what) {
  std::fprintf(stderr,
               "bench_gpu: %s\nusage: bench_gpu [--budget SECONDS] [--only PART_OF_A_NAME] "
               "[--ceilings] [--list]\n",
               what);
  return 2;
}

bool wanted(const Options& options, const Case& c) {
  if (options.ceilings && c.name.rfind("ceiling/", 0) != 0) return false;
  return c.name.find(options.only) != std::string::npos;
}

// A fault of a kernel ends the use of the device; what a refused allocation leaves does not.
bool is_lost() {
  cudaGetLastError();
  return cudaDeviceSynchronize() != cudaSuccess;
}

int run_all(const Options& options, const std::vector<Case>& cases) {
  Bench bench(options);
  bench.print_device();
  int code = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    bench.begin_case(cases[i].name, cases.size() - i);
    if (bench.out_of_time()) {
      bench.skip("the budget of time was spent");
      continue;
    }
    try {
      cases[i].run(bench);
      bench.wait();
    } catch (const std::exception& error) {
      bench.fail(error.what());
      code = 1;
      if (is_lost()) break;
    }
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (std::strcmp(argv[i], "--list") == 0) {
      options.list = true;
    } else if (std::strcmp(argv[i], "--ceilings") == 0) {
      options.ceilings = true;
    } else if (std::strcmp(argv[i], "--only") == 0 && value != nullptr) {
      options.only = argv[++i];
    } else if (std::strcmp(argv[i], "--budget") == 0 && value != nullptr) {
      char* end = nullptr;
      options.budget_s = std::strtod(argv[++i], &end);
      if (*end != 0 || !(options.budget_s > 0)) return usage("--budget wants seconds above 0");
    } else {
      return usage(argv[i]);
    }
  }
  std::vector<Case> all, cases;
  add_ceilings(all);
  add_index_cases(all);
  add_attention_cases(all);
  add_gemm_cases(all);
  add_row_cases(all);
  add_moe_cases(all);
  for (const Case& c : all)
    if (wanted(options, c)) cases.push_back(c);
  if (cases.empty()) return usage("no case has such a name");
  if (options.list) {
    for (const Case& c : cases) std::printf("%s\n", c.name.c_str());
    return 0;
  }
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess || count == 0) {
    std::fprintf(stderr, "bench_gpu: no device: %s\n", cudaGetErrorString(error));
    return 3;
  }
  try {
    return run_all(options, cases);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_gpu: %s\n", error.what());
    return 1;
  }
}
