"""The model written anew in torch, from its description: attention in the absorbed form, one layer at a time.

It shares no code with transformers. mtp_reference.py and fp8_reference.py build on it; model_parity.py and
make_goldens.py hold it against transformers too, so that neither stands alone.
"""

import json
import math
import os

import torch

LATENT_EPS = 1e-6  # of q_a_layernorm, kv_a_layernorm and the indexer's LayerNorm, whatever rms_norm_eps says


def tokens(seed, count, vocab):
    """Token ids from a 64-bit linear congruential generator; README.md states it for other languages."""
    state, ids = seed, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        ids.append((state >> 33) % vocab)
    return ids


class Sizes:
    """A config.json with what follows from it."""

    def __init__(self, config):
        self.__dict__.update(config)
        self.glm = config["model_type"] == "glm_moe_dsa"
        self.layers = config["num_hidden_layers"]
        self.owners = [kind == "full" for kind in config.get("indexer_types", ["full"] * self.layers)]
        rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
        self.theta = rope.get("rope_theta", config.get("rope_theta"))
        self.yarn = rope if rope.get("rope_type", rope.get("type", "default")) == "yarn" else None

    def softmax_scale(self):
        scale = (self.qk_nope_head_dim + self.qk_rope_head_dim) ** -0.5
        if self.yarn and self.yarn["mscale_all_dim"]:
            scale *= (0.1 * self.yarn["mscale_all_dim"] * math.log(self.yarn["factor"]) + 1) ** 2
        return scale

    def frequencies(self):
        dim = self.qk_rope_head_dim
        plain = [self.theta ** (-2 * i / dim) for i in range(dim // 2)]
        if not self.yarn:
            return plain
        y = self.yarn

        def dimension(turns):
            return dim * math.log(y["original_max_position_embeddings"] / (turns * 2 * math.pi)) / (2 * math.log(self.theta))

        low = max(math.floor(dimension(y["beta_fast"])), 0)
        high = min(math.ceil(dimension(y["beta_slow"])), dim - 1)
        span = high - low or 0.001
        stretched = []
        for i, f in enumerate(plain):
            share = min(max((i - low) / span, 0), 1)
            stretched.append(f / y["factor"] * share + f * (1 - share))
        return stretched


def load_checkpoint(folder):
    """(config, {name: tensor as stored})"""
    from safetensors.torch import load_file

    with open(os.path.join(folder, "config.json"), encoding="utf-8") as source:
        config = json.load(source)
    stored = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            stored.update(load_file(os.path.join(folder, name)))
    return config, stored


class Plain:
    """Exact arithmetic in one dtype. fp8_reference.py overrides what quantisation touches."""

    def __init__(self, stored, dtype):
        self.dtype = dtype
        self.w = {name: tensor.to(dtype) for name, tensor in stored.items()}

    def linear(self, name, x):
        """A projection that an fp8 checkpoint stores quantised."""
        return x @ self.w[name + ".weight"].T

    def linear_bf16(self, name, x):
        """A projection that an fp8 checkpoint stores as bf16 (eh_proj)."""
        return x @ self.w[name + ".weight"].T

    def linear_full(self, name, x):
        """A projection that is always multiplied with unrounded activations (gate, weights_proj, heads)."""
        return x @ self.w[name + ".weight"].T

    def up(self, name):
        """kv_b_proj as a matrix, for the absorbed form."""
        return self.w[name + ".weight"]

    def cached(self, latent, key_rope):
        """What attention reads back from the cache."""
        return latent, key_rope

    def index_operands(self, q, k, weights):
        return q, k, weights


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def rotate(x, angles, interleaved):
    """x [rows, ..., d], angles [rows, d/2]: pairs are neighbours, or i and i + d/2."""
    shape = [angles.shape[0]] + [1] * (x.dim() - 2) + [angles.shape[1]]
    cos, sin = angles.cos().to(x.dtype).view(shape), angles.sin().to(x.dtype).view(shape)
    if interleaved:
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def index_scores(math_, sizes, prefix, x, q_latent, angles):
    """[rows, rows]; -inf where the key lies after the query."""
    rows, heads, dim = x.shape[0], sizes.index_n_heads, sizes.index_head_dim
    rope = sizes.qk_rope_head_dim
    q = math_.linear(prefix + "wq_b", q_latent).view(rows, heads, dim)
    k = math_.linear(prefix + "wk", x)
    mean, variance = k.mean(-1, keepdim=True), k.var(-1, unbiased=False, keepdim=True)
    k = (k - mean) * torch.rsqrt(variance + LATENT_EPS)
    k = k * math_.w[prefix + "k_norm.weight"] + math_.w[prefix + "k_norm.bias"]
    q = torch.cat([rotate(q[..., :rope], angles, sizes.glm), q[..., rope:]], -1)
    k = torch.cat([rotate(k[..., :rope], angles, sizes.glm), k[..., rope:]], -1)
    weights = math_.linear_full(prefix + "weights_proj", x) * (heads**-0.5 * dim**-0.5)
    q, k, weights = math_.index_operands(q, k, weights)
    scores = torch.zeros(rows, rows, dtype=x.dtype)
    for head in range(heads):
        scores += (q[:, head] @ k.T).relu() * weights[:, head : head + 1]
    return scores.masked_fill(torch.ones(rows, rows, dtype=torch.bool).triu(1), -torch.inf)


def select(scores, count):
    """[rows, rows] bool: the `count` best keys of each row, lower index first among equals; never a future one."""
    order = scores.sort(dim=-1, descending=True, stable=True).indices[:, :count]
    chosen = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order, True)
    return chosen & (scores > -torch.inf)


def threshold_gaps(scores, count):
    """Per row the distance of the last chosen from the first refused score, over the row's largest magnitude.
    inf where everything visible is chosen."""
    best = scores.sort(dim=-1, descending=True).values
    gaps = torch.full((scores.shape[0],), torch.inf, dtype=torch.float64)
    for row in range(count, scores.shape[0]):
        size = scores[row, : row + 1].abs().max()
        gaps[row] = (best[row, count - 1] - best[row, count]) / size if size > 0 else 0
    return gaps


def attention(math_, sizes, prefix, x, angles, selection, trace):
    """Residual not added. selection: that of the nearest earlier owner, replaced where this layer has an indexer."""
    rows, heads = x.shape[0], sizes.num_attention_heads
    nope, rope, value, latent_rank = sizes.qk_nope_head_dim, sizes.qk_rope_head_dim, sizes.v_head_dim, sizes.kv_lora_rank
    q_latent = rms_norm(math_.linear(prefix + "q_a_proj", x), math_.w[prefix + "q_a_layernorm.weight"], LATENT_EPS)
    q = math_.linear(prefix + "q_b_proj", q_latent).view(rows, heads, nope + rope)
    joint = math_.linear(prefix + "kv_a_proj_with_mqa", x)
    latent = rms_norm(joint[:, :latent_rank], math_.w[prefix + "kv_a_layernorm.weight"], LATENT_EPS)
    latent, key_rope = math_.cached(latent, rotate(joint[:, latent_rank:], angles, True))
    up = math_.up(prefix + "kv_b_proj").view(heads, nope + value, latent_rank)
    if prefix + "indexer.wk.weight" in math_.w:
        scores = index_scores(math_, sizes, prefix + "indexer.", x, q_latent, angles)
        selection = trace["forced"][len(trace["index"])] if trace["forced"] else select(scores, sizes.index_topk)
        trace["index"].append((scores, selection))
    query_rope = rotate(q[..., nope:], angles, True)
    out = torch.empty(rows, heads, value, dtype=x.dtype)
    for head in range(heads):
        absorbed = q[:, head, :nope] @ up[head, :nope]
        scores = (absorbed @ latent.T + query_rope[:, head] @ key_rope.T) * sizes.softmax_scale()
        share = scores.masked_fill(~selection, -torch.inf).softmax(-1)
        out[:, head] = (share @ latent) @ up[head, nope:].T
    return math_.linear(prefix + "o_proj", out.flatten(1)), selection


def feed_forward(math_, prefix, x):
    gate, up = math_.linear(prefix + "gate_proj", x), math_.linear(prefix + "up_proj", x)
    return math_.linear(prefix + "down_proj", torch.nn.functional.silu(gate) * up)


def route(math_, sizes, prefix, x):
    """(expert ids [rows, k] ascending, their weights)"""
    scores = math_.linear_full(prefix + "gate", x).sigmoid()
    choice = scores + math_.w[prefix + "gate.e_score_correction_bias"]
    grouped = choice.view(x.shape[0], sizes.n_group, -1)
    best = grouped.topk(2, -1).values.sum(-1).topk(sizes.topk_group, -1).indices
    keep = torch.zeros(grouped.shape[:2], dtype=torch.bool).scatter_(1, best, True)
    choice = grouped.masked_fill(~keep.unsqueeze(-1), -torch.inf).flatten(1)
    ids = choice.topk(sizes.num_experts_per_tok, -1).indices.sort(-1).values
    weights = scores.gather(1, ids)
    if sizes.norm_topk_prob:
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
    return ids, weights * sizes.routed_scaling_factor


def mixture(math_, sizes, prefix, x, experts):
    ids, weights = route(math_, sizes, prefix, x)
    experts.append(ids)
    out = torch.zeros_like(x)
    for expert in ids.unique().tolist():
        row, slot = (ids == expert).nonzero(as_tuple=True)
        out[row] += feed_forward(math_, f"{prefix}experts.{expert}.", x[row]) * weights[row, slot].unsqueeze(1)
    return out + feed_forward(math_, prefix + "shared_experts.", x)


def layer(math_, sizes, index, x, angles, selection, trace):
    prefix, eps = f"model.layers.{index}.", sizes.rms_norm_eps
    normed = rms_norm(x, math_.w[prefix + "input_layernorm.weight"], eps)
    change, selection = attention(math_, sizes, prefix + "self_attn.", normed, angles, selection, trace)
    x = x + change
    normed = rms_norm(x, math_.w[prefix + "post_attention_layernorm.weight"], eps)
    if prefix + "mlp.gate.weight" in math_.w:
        return x + mixture(math_, sizes, prefix + "mlp.", normed, trace["experts"]), selection
    return x + feed_forward(math_, prefix + "mlp.", normed), selection


def angles_of(sizes, rows):
    positions = torch.arange(rows, dtype=torch.float64)
    return positions.unsqueeze(1) * torch.tensor(sizes.frequencies(), dtype=torch.float64)


def forward(math_, sizes, ids, forced=None):
    """{"logits", "hidden": after the final norm, "index": [(scores, chosen)] per owner, "experts": [ids] per MoE layer}
    forced: selections to use, one for each owner, in place of the scores' own."""
    trace = {"index": [], "experts": [], "forced": forced}
    x, selection = math_.w["model.embed_tokens.weight"][torch.tensor(ids)], None
    angles = angles_of(sizes, len(ids))
    for index in range(sizes.layers):
        x, selection = layer(math_, sizes, index, x, angles, selection, trace)
    trace["hidden"] = rms_norm(x, math_.w["model.norm.weight"], sizes.rms_norm_eps)
    trace["logits"] = math_.linear_full("lm_head", trace["hidden"])
    return trace


def relative_error(ours, theirs):
    """Per row max |a - b| / max |b|, and the largest of them: the one measure used here."""
    ours, theirs = torch.as_tensor(ours).double(), torch.as_tensor(theirs).double()
    if ours.shape != theirs.shape:
        raise ValueError(f"shapes {tuple(ours.shape)} and {tuple(theirs.shape)} differ")
    if not (ours.isfinite().all() and theirs.isfinite().all()):
        return torch.inf
    return float(((ours - theirs).abs().amax(-1) / theirs.abs().amax(-1).clamp_min(1e-30)).max())
