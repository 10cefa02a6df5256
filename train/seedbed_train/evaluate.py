"""Teacher-forced measures on held-out packs: what greedy decoding would do while it follows the trajectory."""

import torch
from torch.nn import functional as F

from . import data
from .attention import Mode


@torch.no_grad()
def evaluate(model, records, rows, stage, device, autocast, limit=0):
    """-> agent_loss, agent_right (share of tokens), turns_right, episodes_right: shares of the stretches that the agent
    sampled, and of episodes, whose every token is the most likely one."""
    was_training = model.training
    model.eval()
    loss = tokens = right = turns = turns_right = episodes = episodes_right = 0
    mode = Mode("sparse", probes=1, generator=torch.Generator().manual_seed(0)) if stage == "sparse" else Mode()
    for pack in data.plan(records, rows, 0, 0)[: limit or None]:
        built = data.build(records, pack, 0.0).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            hidden = model.hidden(built, mode)[0]
            for span in built.spans:
                learn = built.learn[span.begin : span.end]
                if not learn.any():
                    continue
                rows_at = learn.nonzero()[:, 0] + span.begin
                logits = model.lm_head(hidden[rows_at]).float()
                targets = built.targets[rows_at]
                loss += float(F.cross_entropy(logits, targets, reduction="sum"))
                hit = logits.argmax(-1) == targets
                tokens, right = tokens + len(hit), right + int(hit.sum())
                breaks = torch.cat((torch.zeros(1, dtype=torch.int64, device=device), (rows_at[1:] != rows_at[:-1] + 1).cumsum(0)))
                missed = torch.zeros(int(breaks[-1]) + 1, device=device).index_add_(0, breaks, (~hit).float())
                turns, turns_right = turns + len(missed), turns_right + int((missed == 0).sum())
                episodes, episodes_right = episodes + 1, episodes_right + int(hit.all())
    model.train(was_training)
    return {
        "agent_loss": loss / max(1, tokens),
        "agent_right": right / max(1, tokens),
        "turns_right": turns_right / max(1, turns),
        "episodes_right": episodes_right / max(1, episodes),
        "episodes": episodes,
    }
