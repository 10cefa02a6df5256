// What each op of the table may touch, as bytes behind each of its pointers. place() checks a
// call's pointers against the memory of a fake device and puts the true addresses in their place.
#pragma once
#include "tests/engine/fake_device.h"

namespace seedbed::engine::kit {

void place(FakeDevice& device, kernels::EmbedParams& p);
void place(FakeDevice& device, kernels::CopyRowsParams& p);
void place(FakeDevice& device, kernels::GemmParams& p);
// Makes lists of true addresses too; they last until this thread's next call.
void place(FakeDevice& device, kernels::GroupedGemmParams& p);
void place(FakeDevice& device, kernels::LmHeadParams& p);
void place(FakeDevice& device, kernels::CastBf16Params& p);
void place(FakeDevice& device, kernels::ActQuantParams& p);
void place(FakeDevice& device, kernels::HadamardQuantParams& p);
void place(FakeDevice& device, kernels::RmsNormParams& p);
void place(FakeDevice& device, kernels::LayerNormParams& p);
void place(FakeDevice& device, kernels::RopeParams& p);
void place(FakeDevice& device, kernels::KvWriteParams& p);
void place(FakeDevice& device, kernels::IndexWriteParams& p);
void place(FakeDevice& device, kernels::FoldWeightsParams& p);
void place(FakeDevice& device, kernels::IndexLogitsParams& p);
void place(FakeDevice& device, kernels::IndexLogitsPagedParams& p);
void place(FakeDevice& device, kernels::TopkSelectParams& p);
void place(FakeDevice& device, kernels::MapSlotsParams& p);
void place(FakeDevice& device, kernels::SparseMlaParams& p);
void place(FakeDevice& device, kernels::DenseMlaParams& p);
void place(FakeDevice& device, kernels::DenseMhaParams& p);
void place(FakeDevice& device, kernels::MoeRouteParams& p);
void place(FakeDevice& device, kernels::MoePermuteParams& p);
void place(FakeDevice& device, kernels::MoeUnpermuteParams& p);
void place(FakeDevice& device, kernels::SiluMulParams& p);
void place(FakeDevice& device, kernels::SampleParams& p);
// The first of the chains: the table is to hold the pages of all positions that can be chosen.
void place(FakeDevice& device,
           kernels::TopkSelectParams& select,
           kernels::PageTable& table,
           std::int32_t*& slots);

}  // namespace seedbed::engine::kit
