"""The fp8 path in torch: what the engine's arithmetic does to an fp8 checkpoint with an fp8 cache.

Where values are rounded, and where not:
- projections stored as e4m3: activations are quantised to e4m3 with one power-of-two scale per row and 128 columns, each
  128-column block is accumulated in f32, then added times (activation scale * weight scale of the 128 x 128 block);
- kv_b_proj: dequantised (fp8 * scale, as bf16), multiplied with f32 activations, since attention is absorbed;
- eh_proj: bf16 weights, activations rounded to bf16, f32 accumulation;
- gate, weights_proj, lm_head, shared_head.head: stored weights with f32 activations;
- latent in the cache: e4m3 with a power-of-two scale per 128 columns, key's rotary part bf16;
- index keys and queries: Hadamard rotation in f32, then e4m3, one power-of-two scale a vector; the query's scale goes
  into the head's weight;
- everything between is f32.
"""

import torch

import reference

BLOCK = 128
LARGEST = 448.0  # of e4m3


def power_of_two_at_least(x):
    mantissa, exponent = torch.frexp(x)
    return torch.ldexp(torch.ones_like(x), torch.where(mantissa == 0.5, exponent - 1, exponent))


def round_e4m3(x):
    return x.clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn).to(torch.float32)


def quantise(x, floor_amax=1e-4, floor_scale=0.0):
    """(values [rows, columns] on e4m3's grid, scales [rows, blocks]): x is about values * scale. f32."""
    values, scales = torch.empty_like(x), []
    for at in range(0, x.shape[-1], BLOCK):
        part = x[..., at : at + BLOCK]
        amax = part.abs().amax(-1, keepdim=True).clamp_min(floor_amax)
        scale = power_of_two_at_least((amax / LARGEST).clamp_min(floor_scale))
        values[..., at : at + BLOCK] = round_e4m3(part / scale)
        scales.append(scale)
    return values, torch.cat(scales, -1)


def hadamard(x):
    """x times H / sqrt(d), Sylvester's order; d is a power of two."""
    shape, d = x.shape, x.shape[-1]
    x, step = x.reshape(-1, d).clone(), 1
    while step < d:
        pairs = x.view(-1, d // (2 * step), 2, step)
        x = torch.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], 2).reshape(-1, d)
        step *= 2
    return (x * d**-0.5).view(shape)


def spread(scales, shape):
    """[blocks, blocks] to the shape of the weight that they scale."""
    return scales.repeat_interleave(BLOCK, 0)[: shape[0]].repeat_interleave(BLOCK, 1)[:, : shape[1]]


def dequantised(stored):
    """The checkpoint with plain f32 weights."""
    plain = {}
    for name, tensor in stored.items():
        if name.endswith("_scale_inv"):
            continue
        plain[name] = tensor.float()
        if name + "_scale_inv" in stored:
            plain[name] = plain[name] * spread(stored[name + "_scale_inv"], tensor.shape)
    return plain


def difference(ours, theirs):
    """1 - 2 <x, y> / (<x, x> + <y, y>)"""
    x, y = ours.double().flatten(), theirs.double().flatten()
    return float(1 - 2 * (x @ y) / (x @ x + y @ y))


class Fp8(reference.Plain):
    def __init__(self, stored):
        super().__init__(stored, torch.float32)
        self.quantised_names = {name.removesuffix(".weight_scale_inv") for name in stored if name.endswith("_scale_inv")}
        self.up_weights = {
            name: weight.bfloat16().float()
            for name, weight in dequantised({n: t for n, t in stored.items() if "kv_b_proj" in n}).items()
        }

    def linear(self, name, x):
        if name not in self.quantised_names:
            raise KeyError(f"{name} has no scales")
        weight, scales = self.w[name + ".weight"], self.w[name + ".weight_scale_inv"]
        values, x_scales = quantise(x)
        out = torch.zeros(x.shape[0], weight.shape[0])
        for block in range(x_scales.shape[-1]):
            columns = slice(block * BLOCK, (block + 1) * BLOCK)
            rows_scale = scales[:, block].repeat_interleave(BLOCK)[: weight.shape[0]]
            out += (values[:, columns] @ weight[:, columns].T) * (x_scales[:, block : block + 1] * rows_scale)
        return out

    def linear_bf16(self, name, x):
        return x.bfloat16().float() @ self.w[name + ".weight"].T

    def up(self, name):
        return self.up_weights[name + ".weight"]

    def cached(self, latent, key_rope):
        values, scales = quantise(latent, floor_amax=0.0, floor_scale=1e-4)
        wide = scales.repeat_interleave(BLOCK, -1)[:, : latent.shape[1]]
        return values * wide, key_rope.bfloat16().float()

    def index_operands(self, q, k, weights):
        rows, heads, dim = q.shape
        q, q_scale = quantise(hadamard(q).reshape(rows * heads, dim))
        k, k_scale = quantise(hadamard(k))
        if q_scale.shape[-1] != 1:
            raise ValueError("index_head_dim above 128")
        # relu comes before the scales; they are positive, so folding the key's into the key changes nothing
        return q.view(rows, heads, dim), k * k_scale, weights * q_scale.view(rows, heads)
