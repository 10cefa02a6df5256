// The oracle of every op, defined in this folder: the list that every instruction set defines, in
// the namespace ref.
#pragma once
#define SEEDBED_ISA ref
#include "kernels/cpu/ops_here.h"
