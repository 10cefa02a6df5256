"""How much of the attention's mass the indexer's selection keeps, beside the most that k positions could, a window of the last k and chance."""

import torch

from . import data
from .attention import Mode, select


@torch.no_grad()
def measure(model, records, rows, device, autocast, least_position=4096, probes=64, limit=0):
    """Dense attention's distribution (mean over heads), the selection's share of it. -> {selection, best, window, chance,
    k, rows, layers: [{selection, best, window}]}, or None where no row lies at `least_position` or later."""
    k = model.config.index_topk
    sums = torch.zeros(model.config.num_hidden_layers, 5, dtype=torch.float64)

    def seen(layer, span, at, probabilities, scores, visible):
        positions = span.context + at
        keep = positions >= least_position
        if layer >= len(sums) or not keep.any():
            return
        probabilities, scores, visible, positions = probabilities[keep], scores[keep], visible[keep], positions[keep]
        chosen = select(scores, visible, k)
        keys = torch.arange(visible.shape[1], device=device)[None]
        window = visible & (keys > positions[:, None] - k)
        kept = lambda mask: float((probabilities * mask).sum(-1).double().sum())
        chance = float((k / visible.sum(-1)).clamp_max(1.0).sum())
        best = float(probabilities.topk(min(k, visible.shape[1]), dim=-1).values.double().sum())
        sums[layer] += torch.tensor([kept(chosen), kept(window), chance, best, len(positions)], dtype=torch.float64)

    was_training = model.training
    model.eval()
    mode = Mode("warmup", probes=probes, generator=torch.Generator().manual_seed(0), measure=seen)
    for pack in data.plan(records, rows, 0, 0)[: limit or None]:
        built = data.build(records, pack, 0.0).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            model.hidden(built, mode)
    model.train(was_training)
    if not sums[:, 4].sum():
        return None
    share = lambda column: float(sums[:, column].sum() / sums[:, 4].sum())
    layers = [{"selection": float(s[0] / s[4]), "best": float(s[3] / s[4]), "window": float(s[1] / s[4])} for s in sums]
    shares = {"selection": share(0), "best": share(3), "window": share(1), "chance": share(2)}
    return {"k": k, "least_position": least_position, "rows": int(sums[0, 4])} | shares | {"layers": layers}
