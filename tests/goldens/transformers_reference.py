"""Runs a checkpoint folder through transformers' own classes, f32, eager attention."""

import torch
import transformers

import reference

transformers.logging.set_verbosity_error()  # its load report names the layer that we leave out on purpose
transformers.logging.disable_progress_bar()


def load(folder):
    """The model; anything missing, or unexpected beyond the multi-token-prediction layer, is an error."""
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = {"deepseek_v32": transformers.DeepseekV32ForCausalLM, "glm_moe_dsa": transformers.GlmMoeDsaForCausalLM}
    model, info = kind[config.model_type].from_pretrained(
        folder,
        dtype=torch.float32,
        attn_implementation="eager",
        experts_implementation="eager",
        output_loading_info=True,
    )
    beyond = f"model.layers.{config.num_hidden_layers}."
    unexpected = [name for name in info["unexpected_keys"] if not name.startswith(beyond)]
    trouble = {key: value for key, value in info.items() if value and key != "unexpected_keys"}
    if unexpected or trouble:
        raise ValueError(f"{folder}: unexpected {unexpected[:5]}, {trouble}")
    return model.eval()


def _scores(module, hidden, q_latent, embeddings):
    """The indexer's scores once more in float64 from the inputs it was given: what the threshold's distance is
    measured on. [rows, rows], -inf above the diagonal."""
    rows, heads, dim, rope = hidden.shape[1], module.n_heads, module.head_dim, module.qk_rope_head_dim
    weight = {name: parameter.double() for name, parameter in module.named_parameters()}
    x, q_latent = hidden[0].double(), q_latent[0].double()
    q = (q_latent @ weight["wq_b.weight"].T).view(rows, heads, dim)
    k = torch.nn.functional.layer_norm(
        x @ weight["wk.weight"].T, (dim,), weight["k_norm.weight"], weight["k_norm.bias"], 1e-6
    )
    cos, sin = (part[0, :, : rope // 2].double() for part in embeddings)
    angles = torch.atan2(sin, cos)
    glm = type(module).__name__.startswith("Glm")
    q = torch.cat([reference.rotate(q[..., :rope], angles, glm), q[..., rope:]], -1)
    k = torch.cat([reference.rotate(k[..., :rope], angles, glm), k[..., rope:]], -1)
    dots = torch.einsum("ihd,jd->hij", q, k).relu()
    scores = torch.einsum("hij,ih->ij", dots, x @ weight["weights_proj.weight"].T) * (heads**-0.5 * dim**-0.5)
    return scores.masked_fill(torch.ones(rows, rows, dtype=torch.bool).triu(1), -torch.inf)


@torch.no_grad()
def forward(model, ids):
    """{"logits", "hidden": after the final norm, "index": [(scores float64, chosen as the class chose)] per owner,
    "experts": [ids] per MoE layer}"""
    trace, hooks = {"index": [], "experts": []}, []

    def on_index(module, inputs, output):
        chosen = torch.zeros(len(ids), len(ids), dtype=torch.bool).scatter_(1, output[0].long(), True)
        trace["index"].append((_scores(module, *inputs[:3]), chosen.tril()))

    def on_route(module, inputs, output):
        trace["experts"].append(output[2].sort(-1).values)

    for module in model.modules():
        if type(module).__name__.endswith("Indexer"):
            hooks.append(module.register_forward_hook(on_index))
        elif type(module).__name__.endswith("TopkRouter"):
            hooks.append(module.register_forward_hook(on_route))
    try:
        batch = torch.tensor([ids])
        trace["hidden"] = model.model(batch, use_cache=False).last_hidden_state[0]
        trace["logits"] = model.lm_head(trace["hidden"])
    finally:
        for hook in hooks:
            hook.remove()
    return trace
