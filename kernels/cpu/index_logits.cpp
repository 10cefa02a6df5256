// The indexer's scores in f32; AVX-512 has its own (avx512/index_logits.cpp).
#if !defined(SEEDBED_ISA_avx512)
#include "kernels/cpu/attn_index_f32.h"
#include "kernels/cpu/ops_here.h"

namespace seedbed::kernels::SEEDBED_ISA {

void index_logits(const IndexLogitsParams& p) {
  run_index<F32Core>(index_job(p));
}
void index_logits_paged(const IndexLogitsPagedParams& p) {
  run_index<F32Core>(index_job(p));
}

}  // namespace seedbed::kernels::SEEDBED_ISA
#endif
