#include "tests/simt/builtins.h"

#include "tests/simt/simt.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace simt {

void set_thread_index(Shape index) {
  threadIdx = {index.x, index.y, index.z};
}
void set_block_index(Shape index) {
  blockIdx = {index.x, index.y, index.z};
}
void set_sizes(Shape grid, Shape block) {
  gridDim = {grid.x, grid.y, grid.z};
  blockDim = {block.x, block.y, block.z};
}
Shape block_index() {
  return {blockIdx.x, blockIdx.y, blockIdx.z};
}

}  // namespace simt

unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
  const std::uint64_t bytes = low | (std::uint64_t{high} << 32);
  unsigned out = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned pick = (selector >> (4 * i)) & 0xfU;
    auto byte = static_cast<unsigned>(bytes >> (8 * (pick & 7U))) & 0xffU;
    if ((pick & 8U) != 0) byte = (byte & 0x80U) != 0 ? 0xffU : 0;  // its sign, in all bits
    out |= byte << (8 * i);
  }
  return out;
}
