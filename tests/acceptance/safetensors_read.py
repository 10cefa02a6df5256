"""The `safetensors` package and transformers read the model folders that `seedbed engine make-model` writes.

    ./dev acceptance
    build/venv/bin/python tests/acceptance/safetensors_read.py [--seedbed PROGRAM]

Makes small models in every format and checks: names, shapes and types as the package sees them are those of the index and of
`engine inspect`; bytes are the file's; fp8 weights times their scales are the f32 model's, rounded; AutoConfig reads config.json
as the same sizes; where torch can, the model class of transformers takes every tensor of it. And the other way: what
transformers saves is what `engine inspect` accepts.

Exit code: 0 all hold, 1 something does not, 2 it could not be tried.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1")
ROOT = pathlib.Path(__file__).resolve().parents[2]

try:
    import numpy
    import safetensors
    import torch
    import transformers
except ImportError as error:
    print(f"safetensors_read: {error}; run it through ./dev acceptance, or: {sys.executable} -m pip install safetensors torch transformers")
    sys.exit(2)

TINY = {
    "model_type": "deepseek_v32", "vocab_size": 128, "hidden_size": 160, "intermediate_size": 192,
    "moe_intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 2,
    "q_lora_rank": 64, "kv_lora_rank": 64, "qk_nope_head_dim": 32, "qk_rope_head_dim": 16, "v_head_dim": 32,
    "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1,
    "routed_scaling_factor": 2.5, "norm_topk_prob": True, "index_n_heads": 2, "index_head_dim": 32, "index_topk": 16,
    "first_k_dense_replace": 1, "num_nextn_predict_layers": 0, "rms_norm_eps": 1e-6, "max_position_embeddings": 5120,
    "rope_theta": 10000.0, "bos_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": False,
    "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 128, "beta_fast": 32,
                     "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0},
}  # fmt: skip
GLM = TINY | {
    "model_type": "glm_moe_dsa", "rope_scaling": None, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
    "indexer_types": ["full", "shared", "full"],
}  # fmt: skip


class Checks:
    def __init__(self, program):
        self.program, self.wrong, self.done = program, [], 0

    def check(self, holds, what):
        self.done += 1
        if not holds:
            self.wrong.append(what)

    def seedbed(self, *words):
        run = subprocess.run([self.program, "engine", *words], capture_output=True, text=True, check=False, timeout=300)
        self.check(run.returncode == 0, f"seedbed engine {' '.join(words)}: exit code {run.returncode}: {run.stderr.strip()[-600:]}")
        return run.stdout


def read_folder(folder):
    """{name: tensor}, and which file holds it, by the package."""
    tensors, files = {}, {}
    for path in sorted(folder.glob("*.safetensors")):
        with safetensors.safe_open(path, framework="pt") as source:
            for name in source.keys():
                tensors[name], files[name] = source.get_tensor(name), path.name
    return tensors, files


def check_folder(checks, folder, dtype):
    tensors, files = read_folder(folder)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    checks.check(index["weight_map"] == files, f"{folder.name}: the index names other files than hold the tensors")
    told = json.loads(checks.seedbed("inspect", str(folder), "--json"))
    checks.check(told["loads"] and told["tensors"] == len(tensors), f"{folder.name}: inspect counts {told['tensors']} tensors")
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    checks.check(told["payload_bytes"] == size == index["metadata"]["total_size"], f"{folder.name}: payload bytes differ")
    codes = sum(tensor.dtype == torch.float8_e4m3fn for tensor in tensors.values())
    checks.check((codes > 0) == (dtype == "fp8"), f"{folder.name}: {codes} fp8 tensors")
    for name, tensor in tensors.items():
        checks.check(bool(torch.isfinite(tensor.float()).all()), f"{folder.name}: {name} is not finite")
    return tensors


def dequantised(tensors, name):
    weight = tensors[name].float()
    scale = tensors.get(name + "_scale_inv")
    if scale is None:
        return weight
    wide = scale.repeat_interleave(128, 0).repeat_interleave(128, 1)
    return weight * wide[: weight.shape[0], : weight.shape[1]]


def check_rounding(checks, exact, rounded, what, step):
    for name, weight in exact.items():
        error = (dequantised(rounded, name) - weight).abs()
        bound = weight.abs() * step + weight.abs().max() / 448 / 256
        checks.check(bool((error <= bound).all()), f"{what}: {name} is not the f32 model's, rounded")
    scales = torch.cat([t.flatten() for n, t in rounded.items() if n.endswith("_scale_inv")] or [torch.ones(1)])
    mantissas, _ = numpy.frexp(scales.numpy())
    checks.check(bool((mantissas == 0.5).all()), f"{what}: scales are no powers of two")


def check_config(checks, folder, source):
    config = transformers.AutoConfig.from_pretrained(folder)
    for key, value in source.items():
        if key not in ("rope_scaling", "rope_theta", "num_key_value_heads"):
            checks.check(getattr(config, key) == value, f"{folder.name}: AutoConfig reads {key} as {getattr(config, key)}")
    rope = config.rope_parameters
    checks.check(rope["rope_theta"] == 10000.0, f"{folder.name}: AutoConfig reads rope_theta as {rope['rope_theta']}")
    wanted = (source["rope_scaling"] or {"type": "default"}) | {"rope_type": (source["rope_scaling"] or {"type": "default"})["type"]}
    for key, value in wanted.items():
        checks.check(rope.get(key, "default") == value, f"{folder.name}: AutoConfig reads rope {key} as {rope.get(key)}")
    return config


def check_model(checks, folder, tensors, again):
    """transformers takes every tensor, and what it saves is accepted here, the same."""
    model, info = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        checks.check(not info[kind], f"{folder.name}: transformers says {kind}: {sorted(info[kind])[:3]}")
    model.save_pretrained(again)
    told = json.loads(checks.seedbed("inspect", str(again), "--json"))
    checks.check(told["loads"], f"{again.name}: {told['problems'][:2]}")
    saved, _ = read_folder(again)
    checks.check(saved.keys() == tensors.keys(), f"{again.name}: other names: {sorted(saved.keys() ^ tensors.keys())[:4]}")
    checks.check(all(torch.equal(saved[n], tensors[n]) for n in saved.keys() & tensors.keys()), f"{again.name}: other values")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seedbed", default=str(ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed"))
    checks = Checks(parser.parse_args().seedbed)
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for model, source in (("tiny", TINY), ("glm", GLM)):
            (root / f"{model}.json").write_text(json.dumps(source))
            made = {}
            for dtype in ("f32", "bf16", "fp8"):
                folder = root / f"{model}-{dtype}"
                checks.seedbed("make-model", "--config", str(root / f"{model}.json"), "--seed", "5", "--out", str(folder), "--dtype", dtype)
                made[dtype] = check_folder(checks, folder, dtype)
                check_config(checks, folder, source)
            check_rounding(checks, made["f32"], made["bf16"], f"{model}-bf16", 1 / 256)
            check_rounding(checks, made["f32"], made["fp8"], f"{model}-fp8", 1 / 16)
            check_model(checks, root / f"{model}-f32", made["f32"], root / f"{model}-saved")
    for what in checks.wrong:
        print(what)
    versions = f"safetensors {safetensors.__version__}, transformers {transformers.__version__}"
    print(f"{versions}: {checks.done} checks, {len(checks.wrong)} do not hold")
    return 1 if checks.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
