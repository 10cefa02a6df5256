"""How many rows a product takes. On CPUs the library of matrix products builds a kernel for every shape that it has not seen, which
takes longer than a small product itself, and keeps it: too many of them fill the memory."""

GRAIN = 64
# Kernels kept by the library and by torch before it: more than the 1,024 of their own, which cpu.json's shapes do not fit in.
KEPT_KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "4096", "LRU_CACHE_CAPACITY": "4096"}


def up_to_grain(count):
    return (count + GRAIN - 1) // GRAIN * GRAIN
