"""The multi-token-prediction layer in torch, written from its description (README.md, MTP). transformers has none."""

import torch

import reference


def forward(math_, sizes, ids, hidden):
    """Row i reads the model's hidden state after the final norm at i and the token at i + 1; len(ids) - 1 rows.
    {"logits", "hidden": after shared_head.norm, "index": [(scores, chosen)], "experts": [...]}"""
    name, eps = f"model.layers.{sizes.layers}.", sizes.rms_norm_eps
    rows = len(ids) - 1
    embedded = math_.w[name + "embed_tokens.weight"][torch.tensor(ids[1:])]
    pair = torch.cat(
        [
            reference.rms_norm(embedded, math_.w[name + "enorm.weight"], eps),
            reference.rms_norm(hidden[:rows], math_.w[name + "hnorm.weight"], eps),
        ],
        -1,
    )
    trace = {"index": [], "experts": [], "forced": None}
    x = math_.linear_bf16(name + "eh_proj", pair)
    x, _ = reference.layer(math_, sizes, sizes.layers, x, reference.angles_of(sizes, rows), None, trace)
    trace["hidden"] = reference.rms_norm(x, math_.w[name + "shared_head.norm.weight"], eps)
    trace["logits"] = math_.linear_full(name + "shared_head.head", trace["hidden"])
    return trace
