// Which instruction set runs: what the processor offers, or what the user asks for.
#include <cstdlib>
#include <string>

#include "kernels/cpu/table.h"

namespace seedbed::kernels {

namespace {
struct Choice {
  Isa isa = Isa::scalar;
  std::string note;
};
Choice choose() {
  Choice choice;
  for (const Isa isa : {Isa::avx2, Isa::avx512})
    if (isa_supported(isa)) choice.isa = isa;
  const char* wish = std::getenv("SEEDBED_CPU");
  if (wish == nullptr || *wish == 0) return choice;
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    if (isa_name(isa) != wish) continue;
    if (isa_supported(isa)) return {isa, ""};
    choice.note = "SEEDBED_CPU=" + std::string(wish) +
                  ": this processor has no such instructions; using " +
                  std::string(isa_name(choice.isa));
    return choice;
  }
  choice.note = "SEEDBED_CPU=" + std::string(wish) +
                " is unknown; wanted scalar, avx2 or avx512; using " +
                std::string(isa_name(choice.isa));
  return choice;
}
const Choice& the_choice() {
  static const Choice choice = choose();
  return choice;
}
}  // namespace

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "";
}

bool isa_supported(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return true;
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
             __builtin_cpu_supports("bmi2") != 0;
    case Isa::avx512:
      return isa_supported(Isa::avx2) && __builtin_cpu_supports("avx512f") != 0 &&
             __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
             __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512vbmi") != 0 &&
             __builtin_cpu_supports("avx512vnni") != 0 && __builtin_cpu_supports("avx512bf16") != 0;
  }
  return false;
}

Isa chosen_isa() {
  return the_choice().isa;
}
std::string_view isa_note() {
  return the_choice().note;
}

const Ops& cpu_ops(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return scalar::table();
    case Isa::avx2:
      return avx2::table();
    case Isa::avx512:
      return avx512::table();
  }
  return scalar::table();
}

}  // namespace seedbed::kernels
