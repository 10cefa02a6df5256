// The variables that kernels read, set by the runtime. Apart, because only builtins.cpp sees CUDA's
// types.
#pragma once
#include "tests/simt/runtime.h"

namespace simt {
void set_thread_index(Shape index);
void set_block_index(Shape index);
void set_sizes(Shape grid, Shape block);
Shape block_index();
}  // namespace simt
