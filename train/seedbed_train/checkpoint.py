"""The published checkpoint format: config.json, *.safetensors in shards, an index. What is written here the engine loads."""

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from .config import Config
from .errors import TrainError
from .model import Model

SHARD_BYTES = 12 << 20


def to_published(state):
    """state_dict of Model -> the published names: experts one by one, gate and up apart."""
    out = {}
    for name, tensor in state.items():
        if name.endswith("experts.gate_up"):
            for e, both in enumerate(tensor):
                gate, up = both.chunk(2, 0)
                stem = name.removesuffix("gate_up")
                out[f"{stem}{e}.gate_proj.weight"], out[f"{stem}{e}.up_proj.weight"] = gate, up
        elif name.endswith("experts.down"):
            for e, matrix in enumerate(tensor):
                out[f"{name.removesuffix('down')}{e}.down_proj.weight"] = matrix
        else:
            out[name] = tensor
    return out


def from_published(tensors, config):
    """The other way; `tensors` is emptied."""
    state = {}
    for name in Model(config).state_dict():
        if name.endswith("experts.gate_up"):
            stem = name.removesuffix("gate_up")
            pairs = [(tensors.pop(f"{stem}{e}.gate_proj.weight"), tensors.pop(f"{stem}{e}.up_proj.weight")) for e in range(config.n_routed_experts)]
            state[name] = torch.stack([torch.cat(pair) for pair in pairs])
        elif name.endswith("experts.down"):
            stem = name.removesuffix("down")
            state[name] = torch.stack([tensors.pop(f"{stem}{e}.down_proj.weight") for e in range(config.n_routed_experts)])
        else:
            state[name] = tensors.pop(name)
    return state


def _stored(name, tensor, dtype):
    # Norms and the routers' bias stay f32, as they are published.
    keep = tensor.dim() == 1
    return tensor.detach().to("cpu", torch.float32 if keep else dtype).contiguous()


def write(model, directory, dtype=torch.bfloat16, extra_files=(), thinking=None):
    """Into a new folder beside `directory`, which is then put in its place: a reader sees the old one or the new.
    thinking: True or False where the model knows one form of the chat format alone; generation_config.json says so."""
    directory = Path(directory)
    fresh = directory.with_name(directory.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    tensors = {n: _stored(n, t, dtype) for n, t in to_published(model.state_dict()).items()}
    shards, size = [{}], 0
    for name, tensor in sorted(tensors.items()):
        if size + tensor.nbytes > SHARD_BYTES - (64 << 10) and shards[-1]:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    weight_map = {}
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, fresh / file, metadata={"format": "pt"})
        weight_map.update({name: file for name in shard})
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": dict(sorted(weight_map.items()))}
    (fresh / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    config = model.config.to_dict()
    config["torch_dtype"] = str(dtype).removeprefix("torch.")
    (fresh / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    if thinking is not None:
        (fresh / "generation_config.json").write_text(json.dumps({"thinking": thinking}, indent=2) + "\n", encoding="utf-8")
    for file in extra_files:
        shutil.copy(file, fresh)
    replace_folder(fresh, directory)


def replace_folder(fresh, directory):
    old = directory.with_name(directory.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if directory.exists():
        os.rename(directory, old)
    os.rename(fresh, directory)
    shutil.rmtree(old, ignore_errors=True)


def read(directory):
    """-> Model in f32. A file that is cut off, lacks a tensor or has one of another shape is refused."""
    directory = Path(directory)
    config = Config.read(directory / "config.json")
    index = directory / "model.safetensors.index.json"
    try:
        if index.exists():
            files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        else:
            files = sorted(p.name for p in directory.glob("*.safetensors"))
        tensors = {}
        for file in files:
            if Path(file).name != file:
                raise ValueError(f"the index names {file!r}, which is no file of this folder")
            with safe_open(directory / file, framework="pt") as opened:
                for name in opened.keys():
                    tensors[name] = opened.get_tensor(name).float()
    except Exception as error:  # safetensors has exceptions of its own, in Rust
        raise TrainError("checkpoint", directory, f"cannot be read: {error}", "copy it again, whole") from None
    if not files:
        raise TrainError("checkpoint", directory, "holds no *.safetensors", "give a model folder")
    for optional in ("embed_tokens.weight", "shared_head.head.weight"):
        tensors.pop(f"model.layers.{config.num_hidden_layers}.{optional}", None)
    try:
        state = from_published(tensors, config)
    except KeyError as error:
        raise TrainError("checkpoint", directory, f"has no tensor {error}", "give the checkpoint that config.json describes") from None
    model = Model(config)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise TrainError("checkpoint", directory, str(error).replace("\n", " "), "give the checkpoint that config.json describes") from None
    return model
