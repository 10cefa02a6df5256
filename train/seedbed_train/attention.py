"""Multi-head latent attention with the lightning indexer: dense, or on the positions that the indexer selects.

Training computes the MHA form (keys and values of each head from the latent), which gives what the engine's absorbed
form gives. Names are those of the published checkpoint. Source: DeepSeek-V3.2's report, section 2.
"""

import dataclasses

import torch
from torch import nn
from torch.nn import functional as F

from . import hints
from .grain import up_to_grain


def rms_norm(x, weight, eps):
    return F.rms_norm(x.float(), weight.shape, weight.float(), eps).to(x.dtype)


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        return rms_norm(x, self.weight, self.eps)


class LayerNorm(nn.Module):
    """With weight and bias, in f32."""

    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))
        self.eps = eps

    def forward(self, x):
        return F.layer_norm(x.float(), self.weight.shape, self.weight.float(), self.bias.float(), self.eps).to(x.dtype)


class Angles:
    """cos and sin of the rows' positions, f32 [rows, 1, rope/2]."""

    def __init__(self, config, positions):
        half = config.qk_rope_head_dim // 2
        exponent = torch.arange(half, dtype=torch.float64, device=positions.device) / half
        frequency = (config.rope_theta**-exponent).float()
        angle = positions.float()[:, None] * frequency
        self.cos, self.sin = angle.cos()[:, None], angle.sin()[:, None]

    def at(self, rows):
        """Of some of the rows."""
        out = Angles.__new__(Angles)
        out.cos, out.sin = self.cos[rows], self.sin[rows]
        return out

    def turn_pairs(self, x):
        """x [rows, heads, rope]; pairs are neighbours (the main attention)."""
        a, b = x[..., 0::2].float(), x[..., 1::2].float()
        turned = torch.stack((a * self.cos - b * self.sin, a * self.sin + b * self.cos), -1)
        return turned.flatten(-2).to(x.dtype)

    def turn_halves(self, x):
        """x [rows, heads, rope]; pairs are i and i + rope/2 (the indexer)."""
        a, b = x.float().chunk(2, -1)
        return torch.cat((a * self.cos - b * self.sin, a * self.sin + b * self.cos), -1).to(x.dtype)


@dataclasses.dataclass
class Mode:
    """stage: dense (the indexer rests), warmup (dense; the indexer learns the attention's distribution) or sparse
    (attention on the selection; the indexer learns on the selected set). probes: query rows of a span that the
    indexer's loss is taken on, drawn by `generator`; 0: all."""

    stage: str = "dense"
    probes: int = 0
    generator: torch.Generator = None
    measure: object = None  # called with (layer, span, rows, probabilities, scores, mask) where given
    all_rows: bool = False  # the last layer computes rows that no loss is taken on, too
    hints: list = None  # (layer, head, {span number: hints.Taught}): what heads are taught to attend to, in the dense stage
    marks: list = None  # (layer, hints.Marks, direction): what its input is taught to carry, in the dense stage
    mark_losses: list = dataclasses.field(default_factory=list)
    hint_losses: dict = dataclasses.field(default_factory=dict)  # {number in hints: [[loss sum, rows] of each span]}


class Indexer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads, self.dim, self.rope = config.index_n_heads, config.index_head_dim, config.qk_rope_head_dim
        self.wq_b = nn.Linear(config.q_lora_rank, self.heads * self.dim, bias=False)
        self.wk = nn.Linear(config.hidden_size, self.dim, bias=False)
        self.k_norm = LayerNorm(self.dim)
        self.weights_proj = nn.Linear(config.hidden_size, self.heads, bias=False)

    def project(self, x, q_latent, angles):
        """Inputs are detached: the indexer learns from its own loss alone, and nothing else learns from that."""
        x, q_latent = x.detach(), q_latent.detach()
        q = self.wq_b(q_latent).unflatten(-1, (self.heads, self.dim))
        k = self.k_norm(self.wk(x))[:, None]
        q = torch.cat((angles.turn_halves(q[..., : self.rope]), q[..., self.rope :]), -1)
        k = torch.cat((angles.turn_halves(k[..., : self.rope]), k[..., self.rope :]), -1)[:, 0]
        weight = self.weights_proj(x).float() * (self.heads**-0.5 * self.dim**-0.5)
        return q, k, weight

    @staticmethod
    def scores(q, k, weight):
        """q [rows, heads, dim], k [keys, dim], weight [rows, heads] -> f32 [rows, keys]."""
        rows, heads, dim = q.shape
        products = (q.reshape(rows * heads, dim) @ k.T).view(rows, heads, -1)
        return torch.einsum("rhk,rh->rk", F.relu(products).float(), weight)


def select(scores, visible, k):
    """The k best keys of each row as a mask; of equal scores the lower position. visible: bool [rows, keys]."""
    if scores.shape[-1] <= k:
        return visible
    scores = scores.masked_fill(~visible, float("-inf"))
    least = scores.topk(k, dim=-1).values[:, -1:]
    above, equal = scores > least, scores == least
    left = k - above.sum(-1, keepdim=True)
    return (above | (equal & (equal.cumsum(-1) <= left))) & visible


class Attention(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        self.config, self.layer = config, layer
        c, heads = config, config.num_attention_heads
        self.q_a_proj = nn.Linear(c.hidden_size, c.q_lora_rank, bias=False)
        self.q_a_layernorm = RMSNorm(c.q_lora_rank)
        self.q_b_proj = nn.Linear(c.q_lora_rank, heads * c.qk_head_dim, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(c.hidden_size, c.kv_lora_rank + c.qk_rope_head_dim, bias=False)
        self.kv_a_layernorm = RMSNorm(c.kv_lora_rank)
        self.kv_b_proj = nn.Linear(c.kv_lora_rank, heads * (c.qk_nope_head_dim + c.v_head_dim), bias=False)
        self.o_proj = nn.Linear(heads * c.v_head_dim, c.hidden_size, bias=False)
        self.indexer = Indexer(c)

    def forward(self, x, angles, spans, mode, wanted=None):
        """x: normed hidden states [rows, hidden] -> (output [rows, hidden], the indexer's loss or None). wanted: int64, rising:
        the rows whose output is wanted, in a dense stage; absent: all."""
        c, heads = self.config, self.config.num_attention_heads
        asking, turned = (x, angles) if wanted is None else (x[wanted], angles.at(wanted))
        q_latent = self.q_a_layernorm(self.q_a_proj(asking))
        q = self.q_b_proj(q_latent).unflatten(-1, (heads, c.qk_head_dim))
        q = torch.cat((q[..., : c.qk_nope_head_dim], turned.turn_pairs(q[..., c.qk_nope_head_dim :])), -1)
        latent, key = self.kv_a_proj_with_mqa(x).split((c.kv_lora_rank, c.qk_rope_head_dim), -1)
        key = angles.turn_pairs(key[:, None]).expand(-1, heads, -1)
        nope, v = self.kv_b_proj(self.kv_a_layernorm(latent)).unflatten(-1, (heads, -1)).split((c.qk_nope_head_dim, c.v_head_dim), -1)
        k = torch.cat((nope, key), -1)
        # [1, heads, rows, dim], as the fused attention wants it
        q, k, v = (t.transpose(0, 1)[None] for t in (q, k, v))
        index = self.indexer.project(x, q_latent, angles) if mode.stage != "dense" else None
        sizes = [span.end - span.begin for span in spans]
        if not mode.hints and wanted is None and index is None and len(spans) > 1 and len(set(sizes)) == 1 and not any(span.context for span in spans):
            # Many short sequences of one length are one batch.
            batch = (t[0].unflatten(1, (len(spans), sizes[0])).transpose(0, 1) for t in (q, k, v))
            return self.o_proj(_fused(*batch, None, True, c.softmax_scale).transpose(1, 2).flatten(2).flatten(0, 1)), None
        # One split instead of many slices: the backward pass joins it once.
        local = [None] * len(spans) if wanted is None else _by_span(wanted, spans)
        asked = sizes if wanted is None else [len(rows) for rows in local]
        q, k, v = (t.split(n, 2) for t, n in ((q, asked), (k, sizes), (v, sizes)))
        at = {(span.begin, span.end): i for i, span in enumerate(spans)}
        outputs, losses = [], []
        for i, span in enumerate(spans):
            keys, values = k[i], v[i]
            if span.context:
                prefix = at[span.prefix_begin, span.prefix_end]
                keys, values = torch.cat((k[prefix], keys), 2), torch.cat((v[prefix], values), 2)
            self._teach(q[i], keys, i, span, local[i], mode)
            if local[i] is not None:
                if len(local[i]) == 0:
                    continue
                bias = _causal_bias(span.end - span.begin, span.context, q[i].dtype, q[i].device)
                outputs.append(_fused(q[i], keys, values, bias[local[i]], False, c.softmax_scale))
                continue
            out, loss = self._attend(q[i], keys, values, index, span, mode)
            outputs.append(out)
            if loss is not None:
                losses.append(loss)
        joined = torch.cat(outputs, 2)[0].transpose(0, 1).flatten(1)
        return self.o_proj(joined), torch.stack(losses).sum(0) if losses else None

    def _teach(self, q, keys, number, span, rows, mode):
        for part, (layer, head, taught) in enumerate(mode.hints or ()):
            if layer == self.layer and number in taught:
                lost = hints.loss(q[0, head], keys[0, head], rows, taught[number], span.context, self.config.softmax_scale)
                sums = torch.stack((lost, lost.new_tensor(float(len(taught[number].rows)))))
                mode.hint_losses.setdefault(part, []).append(sums)

    def _attend(self, q, keys, values, index, span, mode):
        """q [1, heads, rows, dim]; keys and values [1, heads, context + rows, dim]: the prefix's, then the span's own."""
        a, b, p, e = span.begin, span.end, span.prefix_begin, span.prefix_end
        scale = self.config.softmax_scale
        if index is None:
            if span.context == 0:
                return _fused(q, keys, values, None, True, scale), None
            return _fused(q, keys, values, _causal_bias(b - a, e - p, q.dtype, q.device), False, scale), None
        visible = torch.ones(b - a, e - p + b - a, dtype=torch.bool, device=q.device).tril(e - p)
        iq, ik, iw = index
        ik = ik[a:b] if span.context == 0 else torch.cat((ik[p:e], ik[a:b]))
        if mode.stage == "sparse":
            with torch.no_grad():
                chosen = select(Indexer.scores(iq[a:b], ik, iw[a:b]), visible, self.config.index_topk)
        else:
            chosen = visible
        out = _fused(q, keys, values, chosen, False, scale)
        rows = torch.arange(b - a, device=q.device)
        if 0 < mode.probes < b - a:
            rows = torch.randperm(b - a, generator=mode.generator)[: mode.probes].to(q.device)
        mask = chosen[rows]
        with torch.no_grad():
            full = visible[rows] if mode.measure is not None else mask
            logits = (q[0][:, rows].float() @ keys[0].float().transpose(1, 2)) * scale
            probabilities = logits.masked_fill(~full, float("-inf")).softmax(-1).mean(0)
        scores = Indexer.scores(iq[a:b][rows], ik, iw[a:b][rows])
        if mode.measure is not None:
            mode.measure(self.layer, span, rows, probabilities, scores, full)
        # KL(p || softmax(scores)) over what the row attends to, summed over rows; [loss, rows]
        log_q = scores.masked_fill(~mask, float("-inf")).log_softmax(-1)
        target = probabilities * mask
        kl = torch.where(target > 0, target * (target.clamp_min(1e-30).log() - log_q), 0.0)
        return out, torch.stack((kl.sum(), kl.new_tensor(float(len(rows)))))


def _by_span(wanted, spans):
    """Rows wanted of each span, counted from its begin."""
    cuts = torch.searchsorted(wanted, torch.tensor([b for span in spans for b in (span.begin, span.end)], device=wanted.device))
    return [wanted[cuts[2 * i] : cuts[2 * i + 1]] - span.begin for i, span in enumerate(spans)]


_biases = {}


def _causal_bias(rows, context, dtype, device):
    """0 where row i sees key j (j <= context + i), else -inf, of rows and keys as many as `_fused` makes of them; kept, since spans of a
    training run are alike in size."""
    keys = up_to_grain(context + rows)
    wide, rows = keys - context, up_to_grain(rows)
    key = (dtype, device)
    held = _biases.get(key)
    if held is None or held.shape[0] < max(rows, wide) or held.shape[1] - held.shape[0] < context:
        size, zeros = (max(rows, wide), context) if held is None else (max(rows, wide, held.shape[0]), max(context, held.shape[1] - held.shape[0]))
        triangle = torch.full((size, size), float("-inf"), dtype=dtype, device=device).triu(1)
        held = _biases[key] = torch.cat((torch.zeros(size, zeros, dtype=dtype, device=device), triangle), 1)
    zeros = held.shape[1] - held.shape[0]
    return held[:rows, zeros - context : zeros - context + keys]


def _filled(x, rows, columns=0, value=0.0):
    return F.pad(x, (0, columns, 0, rows), value=value) if rows or columns else x


def _fused(q, k, v, mask, causal, scale):
    """Scaled dot products; value heads are filled up to the keys' width, which the fused kernels want, and rows and keys up to a
    multiple of GRAIN: what is added is seen by added rows alone, whose output is dropped. mask: as many of either as there are, or
    with those that are added."""
    rows, width = q.shape[2], v.shape[-1]
    more_rows, more_keys = up_to_grain(rows) - rows, up_to_grain(k.shape[2]) - k.shape[2]
    if mask is not None:
        low, high = (False, True) if mask.dtype == torch.bool else (float("-inf"), 0.0)
        mask = _filled(mask, 0, k.shape[2] + more_keys - mask.shape[1], low)
        mask = _filled(mask, rows + more_rows - mask.shape[0], 0, high)
    v = _filled(v, more_keys, q.shape[-1] - width)
    q, k = _filled(q, more_rows), _filled(k, more_keys)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, scale=scale)
    return out[:, :, :rows, :width]
