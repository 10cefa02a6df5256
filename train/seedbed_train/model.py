"""DeepSeek-V3.2's architecture in plain torch: latent attention with indexer, gated experts, a prediction layer.

Module names are the published tensor names, so that `state_dict()` of the experts unstacked is the checkpoint
(`checkpoint.py`). Everything works on packs (`packs.py`), rows of tokens without a batch dimension.
"""

import torch
from torch import nn
from torch.nn import functional as F

from . import hints
from .attention import Angles, Attention, Mode, RMSNorm
from .grain import up_to_grain


def rows_of_loss(weights):
    """Rows that weigh something, rising, and as many others as make a multiple of GRAIN."""
    rows = (weights > 0).nonzero()[:, 0]
    filling = (weights <= 0).nonzero()[: up_to_grain(len(rows)) - len(rows), 0]
    return torch.cat((rows, filling)).sort().values if len(filling) else rows


class MLP(nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.gate_proj = nn.Linear(hidden, width, bias=False)
        self.up_proj = nn.Linear(hidden, width, bias=False)
        self.down_proj = nn.Linear(width, hidden, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Gate(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        # Chooses, never weighs; moved by the load alone, no gradient (auxiliary-loss-free balancing).
        self.register_buffer("e_score_correction_bias", torch.zeros(config.n_routed_experts))
        self.topk, self.scale = config.num_experts_per_tok, config.routed_scaling_factor

    def forward(self, x):
        """-> experts int64 [rows, topk], weights f32 [rows, topk]"""
        with torch.autocast(x.device.type, enabled=False):
            scores = F.linear(x.float(), self.weight.float()).sigmoid()
        chosen = (scores.detach() + self.e_score_correction_bias).topk(self.topk, dim=-1, sorted=False).indices
        weights = scores.gather(1, chosen)
        return chosen, weights / (weights.sum(-1, keepdim=True) + 1e-20) * self.scale


class Experts(nn.Module):
    """gate_up [experts, 2 width, hidden], down [experts, hidden, width]: stacked, so that the optimiser takes them at once."""

    def __init__(self, config):
        super().__init__()
        n, width, hidden = config.n_routed_experts, config.moe_intermediate_size, config.hidden_size
        self.gate_up = nn.Parameter(torch.empty(n, 2 * width, hidden))
        self.down = nn.Parameter(torch.empty(n, hidden, width))

    def forward(self, x, chosen, weights):
        rows, topk = chosen.shape
        order = chosen.flatten().argsort(stable=True)
        counts = torch.bincount(chosen.flatten(), minlength=len(self.down)).tolist()
        # Each expert's rows are filled up to a multiple of GRAIN with copies of row 0 that weigh nothing.
        sizes = [up_to_grain(count) for count in counts]
        filled = torch.cat([F.pad(part, (0, size - len(part)), value=-1) for part, size in zip(order.split(counts), sizes)])
        source = filled.clamp_min(0) // topk
        parts = []
        for expert, own in enumerate(x[source].split(sizes)):
            if len(own) == 0:
                continue
            gate, up = F.linear(own, self.gate_up[expert]).chunk(2, -1)
            parts.append(F.linear(F.silu(gate) * up, self.down[expert]))
        weight = weights.flatten()[filled.clamp_min(0)] * (filled >= 0)
        weighted = torch.cat(parts) * weight[:, None].to(x.dtype)
        return torch.zeros_like(x).index_add_(0, source, weighted.to(x.dtype)), counts


class MoE(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.gate = Gate(config)
        self.experts = Experts(config)
        self.shared_experts = MLP(config.hidden_size, config.n_shared_experts * config.moe_intermediate_size) if config.n_shared_experts else None
        self.loads = []  # of each pass since the last step: tokens of each expert

    def forward(self, x):
        chosen, weights = self.gate(x)
        out, counts = self.experts(x, chosen, weights)
        if self.training:
            self.loads.append(counts)
        return out + self.shared_experts(x) if self.shared_experts is not None else out

    @torch.no_grad()
    def rebalance(self, speed):
        """Experts with more than the mean load are chosen less. -> the largest load over the mean."""
        bias = self.gate.e_score_correction_bias
        load = torch.tensor([*self.loads, [0] * len(bias)], dtype=torch.float32).sum(0)
        mean = load.mean()
        bias += speed * torch.sign(mean - load).to(bias.device)
        self.loads.clear()
        return float(load.max() / mean.clamp_min(1))


class Layer(nn.Module):
    def __init__(self, config, layer, moe):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MoE(config) if moe else MLP(config.hidden_size, config.intermediate_size)

    def forward(self, x, angles, spans, mode, wanted=None):
        attended, loss = self.self_attn(self.input_layernorm(x), angles, spans, mode, wanted)
        x = (x if wanted is None else x[wanted]) + attended
        return x + self.mlp(self.post_attention_layernorm(x)), loss


class SharedHead(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Prediction(Layer):
    """The multi-token-prediction layer: of the hidden state at i and the token at i + 1 it makes the token at i + 2.
    Embedding and head are the model's."""

    def __init__(self, config):
        super().__init__(config, config.num_hidden_layers, True)
        self.enorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.hnorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.eh_proj = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
        self.shared_head = SharedHead(config)

    def predict(self, embedded, hidden, angles, spans, mode):
        x = self.eh_proj(torch.cat((self.enorm(embedded), self.hnorm(hidden)), -1))
        x, loss = self(x, angles, spans, mode)
        return self.shared_head.norm(x), loss


class Trunk(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        layers = [Layer(config, i, config.is_moe(i)) for i in range(config.num_hidden_layers)]
        layers += [Prediction(config) for _ in range(config.num_nextn_predict_layers)]
        self.layers = nn.ModuleList(layers)
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    @torch.no_grad()
    def initialise(self, seed, std=0.02):
        """Normal weights; what writes into the residual stream is scaled down by its depth."""
        generator = torch.Generator().manual_seed(seed)
        deep = std / (2 * self.config.num_hidden_layers) ** 0.5
        for name, p in self.named_parameters():
            if p.dim() == 1:
                p.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            writes = name.endswith(("o_proj.weight", "down_proj.weight", "experts.down"))
            fan_in = p.shape[-1] ** -0.5
            scale = deep if writes else std if "embed_tokens" in name or "lm_head" in name or ".gate.weight" in name else fan_in * 0.5
            p.copy_(torch.randn(p.shape, generator=generator) * scale)
        return self

    @property
    def moes(self):
        return [m for m in self.modules() if isinstance(m, MoE)]

    def hidden(self, pack, mode=None, wanted=None):
        """-> hidden states after the final norm [rows, hidden], the indexers' [loss sum, rows] or None, angles. wanted: of these
        rows alone (attention.py)."""
        mode = mode or Mode()
        angles = Angles(self.config, pack.positions)
        x = self.model.embed_tokens(pack.tokens)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        losses = []
        last = self.config.num_hidden_layers - 1
        for i, layer in enumerate(self.model.layers[: last + 1]):
            mode.mark_losses += [hints.loss_of_marks(x, marks, direction) for at, marks, direction in mode.marks or () if at == i]
            x, loss = layer(x, angles, pack.spans, mode, wanted if i == last else None)
            if loss is not None:
                losses.append(loss)
        return self.model.norm(x), losses, angles

    def logits(self, pack, mode=None):
        return self.lm_head(self.hidden(pack, mode)[0]).float()

    def losses(self, pack, mode=None, mtp=False):
        """Sums, so that packs of one step can be joined: language [loss, weight], agent's tokens [loss, count, right],
        indexer [KL, rows], prediction [loss, weight], hints [sum of the parts' mean losses, parts], marks [sum of their mean losses, marks]."""
        mode = mode or Mode()
        rows = None
        if mode.stage == "dense" and not mtp and not mode.all_rows and any(span.context for span in pack.spans):
            rows = rows_of_loss(pack.weights)
        hidden, index_losses, angles = self.hidden(pack, mode, rows)
        of_loss = (pack.targets, pack.weights, pack.learn)
        out = self._language(hidden, *(of_loss if rows is None else (t[rows] for t in of_loss)))
        if mtp and self.config.num_nextn_predict_layers:
            layer = self.model.layers[self.config.num_hidden_layers]
            follows = pack.targets.clamp_min(0)
            after, loss = layer.predict(self.model.embed_tokens(follows).to(hidden.dtype), hidden, angles, pack.spans, mode)
            if loss is not None:
                index_losses.append(loss)
            # The row's own successor may be the last of its stretch: then there is nothing to foretell.
            shifted = torch.full_like(pack.targets, -1)
            shifted[:-1] = torch.where(pack.targets[:-1] == pack.tokens[1:], pack.targets[1:], -1)
            weights = torch.zeros_like(pack.weights)
            weights[:-1] = pack.weights[1:]
            prediction = self._language(after, shifted, weights * (shifted >= 0), pack.learn)
            out["mtp"] = prediction["language"]
        if mode.hint_losses:
            # Parts count alike, however many rows they are taught at.
            means = [sums[0] / sums[1] for sums in (torch.stack(each).sum(0) for each in mode.hint_losses.values())]
            out["hint"] = torch.stack((sum(means), means[0].new_tensor(float(len(means)))))
        if mode.mark_losses:
            lost = torch.stack(mode.mark_losses)
            out["marks"] = torch.stack((lost.sum(), lost.new_tensor(float(len(lost)))))
        if index_losses:
            out["index"] = torch.stack(index_losses).sum(0)
        return out

    def _language(self, hidden, targets, weights, learn):
        rows = rows_of_loss(weights)
        targets, weights, learn = targets[rows].clamp_min(0), weights[rows], learn[rows]
        total = hidden.new_zeros((), dtype=torch.float32)
        agent = hidden.new_zeros(3, dtype=torch.float32)
        for at in range(0, len(rows), 1024):
            cut = slice(at, at + 1024)
            logits = self.lm_head(hidden[rows[cut]]).float()
            loss = F.cross_entropy(logits, targets[cut], reduction="none")
            total = total + (loss * weights[cut]).sum()
            with torch.no_grad():
                of_agent = learn[cut]
                right = logits.argmax(-1) == targets[cut]
                agent += torch.stack(((loss * of_agent).sum(), of_agent.sum(), (right & of_agent).sum()))
        return {"language": torch.stack((total, weights.sum())), "agent": agent}
