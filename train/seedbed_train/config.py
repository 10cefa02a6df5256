"""The sizes of one model: the published config.json of deepseek_v32, as far as this trainer computes it."""

import dataclasses
import json
import math
from pathlib import Path

from .errors import TrainError

# Keys that a reader may need and that change nothing here; what they must say where they are given.
_FIXED = {
    "architectures": ["DeepseekV32ForCausalLM"],
    "attention_bias": False,
    "hidden_act": "silu",
    "model_type": "deepseek_v32",
    "moe_layer_freq": 1,
    "norm_topk_prob": True,
    "rope_scaling": None,
    "scoring_func": "sigmoid",
    "tie_word_embeddings": False,
    "topk_method": "noaux_tc",
}
_IGNORED = ("use_cache", "torch_dtype", "dtype", "num_key_value_heads", "transformers_version")


@dataclasses.dataclass
class Config:
    vocab_size: int
    hidden_size: int
    intermediate_size: int  # of the dense layers before the experts
    moe_intermediate_size: int  # of one expert
    num_hidden_layers: int
    num_attention_heads: int
    q_lora_rank: int
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    n_routed_experts: int
    n_shared_experts: int
    num_experts_per_tok: int
    first_k_dense_replace: int
    index_n_heads: int
    index_head_dim: int
    index_topk: int
    max_position_embeddings: int
    num_nextn_predict_layers: int = 0
    n_group: int = 1
    topk_group: int = 1
    routed_scaling_factor: float = 1.0
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    bos_token_id: int = 0
    eos_token_id: int = 1

    @property
    def qk_head_dim(self):
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def softmax_scale(self):
        return self.qk_head_dim**-0.5

    def is_moe(self, layer):
        return layer >= self.first_k_dense_replace

    def check(self, where):
        def refuse(found, todo):
            raise TrainError("config", where, found, todo)

        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name in ("first_k_dense_replace", "num_nextn_predict_layers", "bos_token_id", "eos_token_id", "n_shared_experts") else 1
            if field.type is int and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                refuse(f"{field.name}: found {value!r}, wanted a whole number of at least {least}", "correct the value")
            if field.type is float and not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                refuse(f"{field.name}: found {value!r}, wanted a positive number", "correct the value")
        if self.index_head_dim & (self.index_head_dim - 1):
            refuse(f"index_head_dim: found {self.index_head_dim}, wanted a power of two (keys are rotated by Hadamard)", "choose 32, 64 or 128")
        if self.index_head_dim < self.qk_rope_head_dim or self.qk_rope_head_dim % 2:
            refuse(f"qk_rope_head_dim: found {self.qk_rope_head_dim}, wanted an even number up to index_head_dim", "correct the value")
        if self.num_experts_per_tok > self.n_routed_experts:
            refuse("num_experts_per_tok is more than n_routed_experts", "correct the values")
        if self.n_group != 1 or self.topk_group != 1:
            refuse(f"n_group {self.n_group}, topk_group {self.topk_group}: groups of experts are not trained here", "set both to 1")
        if self.num_nextn_predict_layers > 1:
            refuse(f"num_nextn_predict_layers: found {self.num_nextn_predict_layers}, wanted 0 or 1", "correct the value")
        return self

    @staticmethod
    def from_dict(raw, where="config"):
        if not isinstance(raw, dict):
            raise TrainError("config", where, f"found {type(raw).__name__}, wanted an object", "give a model's config.json")
        known = {f.name for f in dataclasses.fields(Config)}
        for key, value in raw.items():
            if key in _FIXED and value != _FIXED[key]:
                raise TrainError("config", where, f"{key}: found {value!r}, wanted {_FIXED[key]!r}", "this trainer computes nothing else")
            if key not in known and key not in _FIXED and key not in _IGNORED:
                raise TrainError("config", where, f"unknown key {key!r}", "remove it if it changes nothing")
        try:
            config = Config(**{k: v for k, v in raw.items() if k in known})
        except TypeError as error:
            raise TrainError("config", where, str(error).split("__init__() ")[-1], "add what is missing") from None
        return config.check(where)

    @staticmethod
    def read(path):
        try:
            raw = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TrainError("config", path, str(error), "give a model's config.json") from None
        return Config.from_dict(raw, path)

    def to_dict(self):
        out = {**_FIXED, **dataclasses.asdict(self), "use_cache": True, "num_key_value_heads": self.num_attention_heads}
        return dict(sorted(out.items()))
