"""Work on several packs side by side: a thread with one core does more than all cores that share each of its many small products."""

import functools
from concurrent.futures import ThreadPoolExecutor

import torch


@functools.cache
def _pool(threads):
    return ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))


def each(work, packs, modes, threads):
    """What `work(pack, mode)` gives for each, in their order. threads: how many packs at once; 1: one after the other, on all cores."""
    if threads > 1 and len(packs) > 1:
        return _pool(min(threads, len(packs))).map(work, packs, modes)
    return map(work, packs, modes)
