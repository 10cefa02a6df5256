// Every op of this backend, defined in this folder: the list that every instruction set defines.
#pragma once
#include "kernels/cuda/stream.h"
#define SEEDBED_ISA KN_NS
#include "kernels/cpu/ops_here.h"
