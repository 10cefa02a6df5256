"""An initialisation that can copy from the first step: what small models otherwise need most of their training to find.

Most of what an agent says stands in its prompt. The circuit that says it again is known (Olsson et al., 2022,
"In-context Learning and Induction Heads"): a head that looks one token back writes down what it saw; a head above it
looks for places that were written the present token, and hands on the token that stands there. Weights for it are put
in place here, in parts of the residual stream of their own; everything else is drawn as usual, and all of it is trained.

The stream's channels: 0 is constant; then Z for the token itself, P for the token before, the rest for the token to be said.
"""

import math

import torch

TOKEN = 0.1  # size of an embedding's channels
CONSTANT = 4.0  # of the constant channel, in those
BACK = 135.0  # sharpness of the look back, before the softmax's scale
MATCH = 3.0  # of the look for a match
SAID, HEAD = 2.0, 0.1  # what is handed on, in embeddings; what the head makes of it


@torch.no_grad()
def put_in(model, seed):
    """Into a model that is initialised as usual; needs two layers, two heads and room in the latents."""
    c = model.config
    z, p = c.hidden_size // 2, c.hidden_size // 4
    said = c.hidden_size - 1 - z - p
    p = min(p, c.kv_lora_rank // 2, 2 * c.qk_nope_head_dim, 2 * c.v_head_dim)
    said = min(said, p)
    at_z, at_p, at_said = 1, 1 + z, c.hidden_size - said
    generator = torch.Generator().manual_seed(seed + 1)
    tokens = torch.randn(c.vocab_size, z, generator=generator)
    embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
    embedding.mul_(0.1)
    embedding[:, 0] = CONSTANT * TOKEN
    embedding[:, at_z : at_z + z] = tokens * TOKEN
    head[:, at_said:] += tokens[:, :said] * HEAD
    constant = CONSTANT / math.sqrt((CONSTANT**2 + z) / c.hidden_size)  # of the normed stream
    _look_back(c, model.model.layers[0].self_attn, at_z, at_p, p, z, constant)
    _match(c, model.model.layers[1].self_attn, at_z, at_p, at_said, p, said)


def _halves(count, width):
    """Channels that heads 0 and 1 take of `count`."""
    first = min(width, count)
    return ((0, 0, first), (1, first, min(count, 2 * width)))


def _heads(config, attention):
    """Views: q [heads, qk, latent], k and v [heads, nope | v, latent], o [hidden, heads, v]."""
    heads, n = config.num_attention_heads, config.qk_nope_head_dim
    kv = attention.kv_b_proj.weight.view(heads, -1, config.kv_lora_rank)
    q = attention.q_b_proj.weight.view(heads, config.qk_head_dim, config.q_lora_rank)
    return q, kv[:, :n], kv[:, n:], attention.o_proj.weight.view(config.hidden_size, heads, config.v_head_dim)


def _look_back(c, attention, at_z, at_p, p, z, constant):
    """Heads 0 and 1 attend to the token before and write its first `p` channels."""
    q, k, v, o = _heads(c, attention)
    n, rope, latents = c.qk_nope_head_dim, c.qk_rope_head_dim, min(z, c.kv_lora_rank)
    down, q_down = attention.kv_a_proj_with_mqa.weight, attention.q_a_proj.weight
    down[: c.kv_lora_rank].zero_()
    for i in range(latents):
        down[i, at_z + i] = 1.0
    last = c.q_lora_rank - 1
    q_down.mul_(0.25)
    q_down[last].zero_()
    q_down[last, 0] = 4.0 / constant
    rest = q_down[:last].norm() / math.sqrt(last) * 1.0
    level = 4.0 / math.sqrt((16.0 + last * float(rest) ** 2) / c.q_lora_rank)  # of the constant in the normed latent
    frequencies = c.rope_theta ** (-torch.arange(rope // 2, dtype=torch.float64) / (rope // 2))
    size = math.sqrt(BACK)
    down[c.kv_lora_rank :].zero_()
    for head in (0, 1):
        q[head].zero_()
        k[head].zero_()
        v[head].zero_()
        o[:, head].zero_()
    for f, frequency in enumerate(frequencies.tolist()):
        weight = (1.0, 0.5, 0.25, 0.25)[f] if f < 4 else 0.0
        # The pair turned by minus its frequency: the product is greatest one position back.
        down[c.kv_lora_rank + 2 * f, 0] = size * math.sqrt(weight) / constant
        for head in (0, 1):
            q[head, n + 2 * f, last] = size * math.sqrt(weight) * math.cos(frequency) / level
            q[head, n + 2 * f + 1, last] = -size * math.sqrt(weight) * math.sin(frequency) / level
    for head, begin, end in _halves(p, c.v_head_dim):
        for i in range(begin, end):
            v[head, i - begin, i] = 1.0
            o[at_p + i, head, i - begin] = TOKEN


def _match(c, attention, at_z, at_p, at_said, p, said):
    """Heads 0 and 1 attend to where the present token was written as the one before, and hand on the token there."""
    q, k, v, o = _heads(c, attention)
    down, q_down = attention.kv_a_proj_with_mqa.weight, attention.q_a_proj.weight
    down[: c.kv_lora_rank].zero_()
    for i in range(p):
        down[i, at_z + i] = 1.0
        down[p + i, at_p + i] = 1.0
    q_down[:p].zero_()
    for i in range(p):
        q_down[i, at_z + i] = 1.0
    size = math.sqrt(MATCH)
    for head in (0, 1):
        q[head].zero_()
        k[head].zero_()
        v[head].zero_()
        o[:, head].zero_()
    for head, begin, end in _halves(p, c.qk_nope_head_dim):
        for i in range(begin, end):
            q[head, i - begin, i] = size
            k[head, i - begin, p + i] = size
    for head, begin, end in _halves(said, c.v_head_dim):
        for i in range(begin, end):
            v[head, i - begin, i] = 1.0
            o[at_said + i, head, i - begin] = SAID * TOKEN
