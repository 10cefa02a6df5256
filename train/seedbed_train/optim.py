"""Muon for the matrices inside layers, AdamW for everything else.

Muon: momentum made orthogonal by five Newton-Schulz steps (Jordan et al., 2024, "Muon: an optimizer for hidden layers in
neural networks"); matrices of one shape are taken together.
"""

import torch

from .errors import TrainError


def is_matrix(name, parameter):
    """What Muon takes: matrices that turn hidden states into hidden states."""
    outside = ("embed_tokens", "lm_head", "mlp.gate.weight", "indexer.")
    return parameter.dim() >= 2 and not any(part in name for part in outside)


def orthogonal(m):
    """[n, a, b] -> nearly the nearest orthogonal matrices."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = m.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}
            for p in group["params"]:
                if p.grad is not None:
                    by_shape.setdefault(p.shape[-2:], []).append(p)
            for params in by_shape.values():
                updates = []
                for p in params:
                    buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                    buffer.lerp_(p.grad, 1 - group["momentum"])
                    update = p.grad.lerp(buffer, group["momentum"])
                    updates.append(update.reshape(-1, *p.shape[-2:]))
                turned = orthogonal(torch.cat(updates)).split([len(u) for u in updates])
                for p, u in zip(params, turned):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(u.view_as(p), alpha=-group["lr"] * max(1.0, p.shape[-2] / p.shape[-1]) ** 0.5)


class Optimizers:
    """lr: {"matrix": Muon's, "other": AdamW's, "indexer": of the indexers, 0: they rest}; `only_indexer`: all else is frozen."""

    def __init__(self, model, recipe):
        kind, lr = recipe.get("optimizer", "muon"), recipe["lr"]
        only_indexer = recipe["stage"] == "warmup"
        if kind not in ("muon", "adamw"):
            raise TrainError("recipe", "optimizer", f"found {kind!r}, wanted muon or adamw", "correct it")
        groups = {"matrix": [], "embedding": [], "other": [], "indexer": []}
        for name, p in model.named_parameters():
            key = "indexer" if "indexer." in name else "embedding" if "embed_tokens" in name else "other"
            key = "matrix" if kind == "muon" and is_matrix(name, p) else key
            p.requires_grad_((key == "indexer") == only_indexer or (key == "indexer" and recipe["stage"] == "sparse"))
            if p.requires_grad:
                groups[key].append(p)
        self.all = []
        if groups["matrix"]:
            self.all.append(("matrix", Muon(groups["matrix"], lr["matrix"], weight_decay=recipe.get("weight_decay", 0.0))))
        for key in ("embedding", "other", "indexer"):
            if groups[key]:
                fused = groups[key][0].device.type == "cuda"
                adam = torch.optim.AdamW(groups[key], lr.get(key, lr.get("other")), betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0, fused=fused)
                self.all.append((key, adam))
        self.base = {key: lr.get(key, lr.get("other")) for key, _ in self.all}

    def parameters(self):
        return [p for _, o in self.all for g in o.param_groups for p in g["params"]]

    def step(self, factor):
        for key, optimizer in self.all:
            for group in optimizer.param_groups:
                group["lr"] = self.base[key] * factor
            optimizer.step()

    def zero_grad(self):
        for _, optimizer in self.all:
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self):
        return {key: o.state_dict() for key, o in self.all}

    def load_state_dict(self, state):
        for key, optimizer in self.all:
            optimizer.load_state_dict(state[key])


def schedule(step, steps, warmup, decay):
    """Up over `warmup` steps, level, down to nought over the last `decay` ones."""
    up = min(1.0, (step + 1) / max(1, warmup))
    return up * min(1.0, (steps - step) / max(1, decay))
