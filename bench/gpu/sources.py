"""The ops, their CUDA sources and the hash of each: the .cu file with every header of ours that it includes."""
import hashlib
import pathlib
import re

#       ops                                        file            tier                            suites of the contract
OPS = [
    ("embed", "embed.cu", "generic", "Embed Aligned"),
    ("copy_rows", "copy_rows.cu", "generic", "CopyRows"),
    ("fold_weights", "fold_weights.cu", "generic", "FoldWeights"),
    ("rms_norm, layer_norm", "norm.cu", "generic", "Norm EveryRow Aligned"),
    ("rope", "rope.cu", "generic", "Rope EveryRow Aligned"),
    ("cast_bf16, act_quant, hadamard_quant", "quant.cu", "generic", "Quant Hadamard EveryQuant EveryFormat Aligned"),
    ("kv_write, index_write", "cache_write.cu", "generic", "CacheWrite EveryCache Aligned"),
    ("map_slots", "map_slots.cu", "generic", "MapSlots Aligned"),
    ("topk_select", "topk_select.cu", "generic", "Topk EveryTopk Aligned"),
    ("moe_route, moe_permute, moe_unpermute", "moe.cu", "generic", "MoeRoute MoeMove EveryMoe Aligned"),
    ("silu_mul", "silu_mul.cu", "generic", "EveryRow Aligned"),
    ("sample", "sample.cu", "generic", "Sample"),
    ("gemm, lm_head", "gemm.cu", "generic, bf16 `mma.sync`", "Gemm GemmRows AlignedGemm LmHead EveryGemm EveryFormat"),
    ("grouped_gemm", "gemm_grouped.cu", "generic, bf16 `mma.sync`", "GroupedGemm AlignedGroupedGemm GemmRows"),
    ("index_logits, index_logits_paged", "index_logits.cu", "generic, `mma.sync`", "IndexLogits EveryIndex AlignedIndex"),
    ("sparse_mla, dense_mla", "sparse_mla.cu", "generic, f16 and bf16 `mma.sync`", "SparseMla DenseMla EveryMla AlignedMla"),
    ("dense_mha", "dense_mha.cu", "generic", "DenseMha EveryMla"),
    ("chains as one launch", "fused.cu", "generic", ""),  # the suite runs them on the host alone
]
FOLDER = "kernels/cuda"
NO_OPS = {"runtime.cu"}  # .cu files that hold no op

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def closure(root, path):
    """The file and all headers of the tree that it includes, sorted."""
    root, found, waiting = pathlib.Path(root), set(), [path]
    while waiting:
        name = waiting.pop()
        if name in found or not (root / name).is_file():
            continue
        found.add(name)
        waiting += _INCLUDE.findall((root / name).read_text(encoding="utf-8", errors="replace"))
    return sorted(found)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def hash_of(root, file):
    """Of one op's sources, in 12 letters."""
    digest = hashlib.sha256()
    for name in closure(root, f"{FOLDER}/{file}"):
        digest.update(f"{name} {sha256(pathlib.Path(root) / name)}\n".encode())
    return digest.hexdigest()[:12]


def hashes(root):
    """{file: hash} for each row of OPS whose file is there."""
    return {file: hash_of(root, file) for _, file, _, _ in OPS if (pathlib.Path(root) / FOLDER / file).is_file()}


def all_sources(root):
    """{path: sha256} of everything in the folder of the CUDA kernels."""
    folder = pathlib.Path(root) / FOLDER
    return {f"{FOLDER}/{path.name}": sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}


def missing_rows(root):
    """.cu files that no row of OPS names."""
    named = {file for _, file, _, _ in OPS} | NO_OPS
    return sorted(path.name for path in (pathlib.Path(root) / FOLDER).glob("*.cu") if path.name not in named)
