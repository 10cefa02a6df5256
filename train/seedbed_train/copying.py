"""An initialisation that can copy from the first step: what small models otherwise need most of their training to find.

Most of what an agent says stands in its prompt. The circuit that says it again is known (Olsson et al., 2022,
"In-context Learning and Induction Heads"): heads that look one and two tokens back write down what they saw; heads above
them look for places that were written what is here now, and hand on the token that stands there. Weights for it are put
in place here, in channels of the residual stream of their own; everything else is drawn as usual, and all of it is
trained.
"""

import dataclasses
import math

import torch

TOKEN = 1.0  # size of an embedding's channels: what Muon's steps add to the stream is of this order, and would drown smaller ones
CONSTANT = 4.0  # of the constant channel, in those
BACK = 135.0  # sharpness of the look back, before the softmax's scale
MATCH = 3.0  # of the look for a match
SAID, HEAD = 1.0, 0.15  # what a head hands on, in embeddings; what the model's head makes of it
BACK_PAIRS = (1.0, 0.5, 0.25, 0.25)  # weights of the fastest rotary pairs in the look back


@dataclasses.dataclass
class Channels:
    """Where things stand in the residual stream: channel 0 is constant, then the token itself (z), at the end what the
    token before was (p of its channels), the one before that (pp), and the token to be said (said)."""

    z: int
    p: int
    pp: int
    said: int
    at_p: int
    at_pp: int
    at_said: int

    @staticmethod
    def of(c):
        half = c.qk_nope_head_dim // 2
        p = min(c.v_head_dim, c.qk_nope_head_dim + half, c.kv_lora_rank * 3 // 8, c.hidden_size // 5)
        pp = min(2 * half, c.kv_lora_rank // 4, c.hidden_size // 8)
        said = min(c.v_head_dim, c.kv_lora_rank - p - pp, c.hidden_size // 5)
        end = c.hidden_size
        return Channels(end - said - pp - p - 1, p, pp, said, end - said - pp - p, end - said - pp, end - said)


@torch.no_grad()
def put_in(model, seed):
    """Into a model that is initialised as usual: two layers and two heads at least, the second layer has a third where there is one."""
    c = model.config
    at = Channels.of(c)
    generator = torch.Generator().manual_seed(seed + 1)
    tokens = torch.randn(c.vocab_size, at.z, generator=generator)
    embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
    embedding.mul_(0.1)
    embedding[:, 0] = CONSTANT * TOKEN
    embedding[:, 1 : 1 + at.z] = tokens * TOKEN
    head[:, at.at_said :] += tokens[:, : at.said] * HEAD
    # The constant channel of the normed stream.
    constant = CONSTANT / math.sqrt((CONSTANT**2 + at.z) / c.hidden_size)
    below, above = (_Views(c, model.model.layers[i].self_attn) for i in (0, 1))
    _look_back(c, below, at, constant)
    _match(c, above, at)


class _Views:
    """Weights as heads: q [heads, qk, latent], k [heads, nope, latent], v [heads, v, latent], o [hidden, heads, v]."""

    def __init__(self, c, attention):
        heads = c.num_attention_heads
        self.q_down, self.kv_down = attention.q_a_proj.weight, attention.kv_a_proj_with_mqa.weight
        self.q = attention.q_b_proj.weight.view(heads, c.qk_head_dim, c.q_lora_rank)
        kv = attention.kv_b_proj.weight.view(heads, -1, c.kv_lora_rank)
        self.k, self.v = kv[:, : c.qk_nope_head_dim], kv[:, c.qk_nope_head_dim :]
        self.o = attention.o_proj.weight.view(c.hidden_size, heads, c.v_head_dim)

    def clear(self, head):
        for part in (self.q[head], self.k[head], self.v[head], self.o[:, head]):
            part.zero_()


def _look_back(c, w, at, constant):
    """Head 0 attends to the token before and writes its first `p` channels, head 1 to the one before that (`pp`)."""
    latents = min(at.z, c.kv_lora_rank)
    w.kv_down.zero_()
    for i in range(latents):
        w.kv_down[i, 1 + i] = 1.0
    last = c.q_lora_rank - 1
    w.q_down.mul_(0.25)
    w.q_down[last].zero_()
    w.q_down[last, 0] = 4.0 / constant
    drawn = float(w.q_down[:last].norm()) / math.sqrt(last)
    level = 4.0 / math.sqrt((16.0 + last * drawn**2) / c.q_lora_rank)  # of the constant in the normed latent
    frequencies = (c.rope_theta ** (-torch.arange(c.qk_rope_head_dim // 2, dtype=torch.float64) / (c.qk_rope_head_dim // 2))).tolist()
    for head, distance, count, target in ((0, 1, at.p, at.at_p), (1, 2, at.pp, at.at_pp)):
        w.clear(head)
        for f, (weight, frequency) in enumerate(zip(BACK_PAIRS, frequencies)):
            # The pair turned back by `distance` positions: the product is greatest that far back.
            size = math.sqrt(BACK * weight)
            w.kv_down[c.kv_lora_rank + 2 * f, 0] = size / constant
            w.q[head, c.qk_nope_head_dim + 2 * f, last] = size * math.cos(distance * frequency) / level
            w.q[head, c.qk_nope_head_dim + 2 * f + 1, last] = -size * math.sin(distance * frequency) / level
        for i in range(count):
            w.v[head, i, i] = 1.0
            w.o[target + i, head, i] = TOKEN


def _match(c, w, at):
    """Head 0 attends to where the present token was written as the one before, the next two to where the one before
    fits too, each by half of the channels; all hand on the token that stands there."""
    keys = at.said  # latents: the token's channels to be said, p, pp
    w.kv_down[: c.kv_lora_rank].zero_()
    for rows, channel, count in ((0, 1, at.said), (keys, at.at_p, at.p), (keys + at.p, at.at_pp, at.pp)):
        for i in range(count):
            w.kv_down[rows + i, channel + i] = 1.0
    known = min(at.p, c.q_lora_rank // 3)  # of the present token and of the one before, in the query's latent
    w.q_down[: 2 * known].zero_()
    for i in range(known):
        w.q_down[i, 1 + i] = 1.0
        w.q_down[known + i, at.at_p + i] = 1.0
    size, half = math.sqrt(MATCH), min(c.qk_nope_head_dim, at.pp) // 2
    pairs = {0: [(i, i, keys + i) for i in range(min(c.qk_nope_head_dim, at.p, known))]}
    for head, begin in ((1, 0), (2, half)):
        here = [(i, begin + i, keys + begin + i) for i in range(half)]
        before = [(half + i, known + begin + i, keys + at.p + begin + i) for i in range(half)]
        pairs[head] = here + before
    for head in range(min(3, c.num_attention_heads)):
        w.clear(head)
        for row, query, key in pairs[head]:
            w.q[head, row, query] = size
            w.k[head, row, key] = size
        for i in range(at.said):
            w.v[head, i, i] = 1.0
            w.o[at.at_said + i, head, i] = SAID * TOKEN
