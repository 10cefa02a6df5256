"""How many rows a product takes. On CPUs the library of matrix products builds a kernel for every shape that it has not seen, which
takes longer than the product itself, and holds more than a megabyte of each."""

GRAIN = 64
# Kernels kept by the library and by torch before it; what training makes of multiples of GRAIN fits in.
KEPT_KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "4096", "LRU_CACHE_CAPACITY": "4096"}


def up_to_grain(count):
    return (count + GRAIN - 1) // GRAIN * GRAIN
