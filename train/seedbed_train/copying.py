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

from .words import forms

TOKEN = 1.0  # size of an embedding's channels: what Muon's steps add to the stream is of this order, and would drown smaller ones
CONSTANT = 4.0  # of the constant channel, in those
BACK = 200.0  # sharpness of the look back, before the softmax's scale
MATCH = 3.0  # of the look for a match
ROW_MATCH = 1.0  # of the look for the stem in `row`
SAID, HEAD = 1.0, 0.15  # what a head hands on, in embeddings; what the model's head makes of it
BACK_PAIRS = (1.0,) * 6  # weights of the rotary pairs, fastest first: with fewer, or less, far positions look like near ones
STEM = 24  # channels that all forms of a word have alike


@dataclasses.dataclass
class Channels:
    """Where things stand in the residual stream: channel 0 is constant, then the token itself (z: its code, its stem's, and what is
    learnt), at the end what the
    token before was (p of its channels), the one before that (pp), a token brought from elsewhere (row), and the token to
    be said (said)."""

    z: int
    p: int
    pp: int
    row: int
    said: int
    at_p: int
    at_pp: int
    at_row: int
    at_said: int
    row_stem: int  # the last channels of row: the stem of the token brought there, those before them its code

    @staticmethod
    def of(c):
        half = c.qk_nope_head_dim // 2
        p = min(c.v_head_dim, c.qk_nope_head_dim + half, c.kv_lora_rank * 3 // 8, c.hidden_size // 5)
        pp = min(2 * half, c.kv_lora_rank // 4, c.hidden_size // 8)
        said = min(c.v_head_dim, c.kv_lora_rank - p - pp, c.hidden_size // 5)
        row = min(said, c.hidden_size // 6, c.kv_lora_rank - said)
        at_row = c.hidden_size - said - row
        at_p = at_row - pp - p
        out = Channels(at_p - 1, p, pp, row, said, at_p, at_row - pp, at_row, c.hidden_size - said, 0)
        out.row_stem = max(0, min(stem_channels(out), row // 2, c.kv_lora_rank - said - p - pp))
        return out


def codes(vocab_size, count, generator):
    """[vocabulary, count]: normal numbers, of one length in all."""
    out = torch.randn(vocab_size, count, generator=generator)
    return out / out.norm(dim=-1, keepdim=True).clamp_min(1e-6) * math.sqrt(count)


def stems(vocab_size, count, generator, words):
    """The same, but all forms of a word have its code. words: {id: text} or None; what is no word has a code of its own."""
    out = codes(vocab_size, count, generator)
    first = {}
    for i, (stem, _) in sorted(forms(words or {}).items()):
        if i < vocab_size:
            out[i] = out[first.setdefault(stem, i)]
    return out


def code_channels(at):
    """How many of the token's own channels are its code."""
    return max(at.said, at.p, at.pp)


def stem_channels(at):
    """How many behind them are its stem's."""
    return max(0, min(STEM, (at.z - code_channels(at)) // 2))


def held_channels(at):
    """Code and stem stay; the others are learnt."""
    return code_channels(at) + stem_channels(at)


def level_(embedding, at):
    """Every token's learnt channels get one length: the look back weighs keys by the constant channel's share of the stream, so a
    token that were shorter than the others would draw all attention to itself."""
    free = embedding[:, 1 + held_channels(at) : 1 + at.z]
    if free.shape[1]:
        free.mul_(TOKEN * math.sqrt(free.shape[1]) / free.norm(dim=-1, keepdim=True).clamp_min(1e-6))


@torch.no_grad()
def put_in(model, seed, words=None):
    """Into a model that is initialised as usual: two layers and two heads at least, the second layer has a third where there is one.
    words: {id: text} of the vocabulary's words, whose forms then have a stem in common."""
    c = model.config
    at = Channels.of(c)
    generator = torch.Generator().manual_seed(seed + 1)
    code, stem = (codes(c.vocab_size, code_channels(at), generator), stems(c.vocab_size, stem_channels(at), generator, words))
    tokens = torch.cat((code, stem, torch.randn(c.vocab_size, at.z - held_channels(at), generator=generator)), -1)
    embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
    embedding.zero_()
    embedding[:, 0] = CONSTANT * TOKEN
    embedding[:, 1 : 1 + at.z] = tokens * TOKEN
    level_(embedding, at)
    head[:, at.at_said :] = tokens[:, : at.said] * HEAD
    # The constant channel of the normed stream.
    constant = CONSTANT / math.sqrt((CONSTANT**2 + at.z) / c.hidden_size)
    for layer, module in enumerate(model.model.layers[: c.num_hidden_layers]):
        views = _Views(c, module.self_attn)
        if layer == 0:
            _look_back(c, views, at, constant)
        elif layer == 1:
            _match(c, views, at)
        for part in _handing_on(c, at, layer):
            _hand_on(views, part, layer)
        if 1 < layer == c.num_hidden_layers - 1 and c.num_attention_heads > 2:
            _match_row(c, views, at)


@dataclasses.dataclass
class Handing:
    """A head that hands on what stands where it looks: `count` channels from `source` on, by latents from `latent` on, to `target`;
    `first`: its value's first channel for them."""

    head: int
    source: int
    target: int
    count: int
    latent: int
    first: int = 0


def _to_row(at, head, code_latent, stem_latent):
    """A head that brings a token to `row`: some of its code, and its stem."""
    code = at.row - at.row_stem
    stem = [Handing(head, 1 + code_channels(at), at.at_row + code, at.row_stem, stem_latent, code)] if at.row_stem else []
    return [Handing(head, 1, at.at_row, code, code_latent), *stem]


def _handing_on(c, at, layer):
    """Such heads of a layer. Where there is one more layer, one of them brings a token to `row`, and of the last layer one reads it there,
    another looks for words of its stem."""
    token, last = 1, layer == c.num_hidden_layers - 1
    if layer == 0:
        return []
    if layer == 1:
        return _to_row(at, 3, 0, at.said + at.p + at.pp) if c.num_attention_heads > 3 else []
    heads = [Handing(head, token, at.at_said, at.said, 0) for head in range(min(2, c.num_attention_heads))]
    if c.num_attention_heads > 2:
        heads += [Handing(2, at.at_row, at.at_said, at.row - at.row_stem, at.said)] if last else _to_row(at, 2, 0, at.said)
    return heads


def _hand_on(w, part, layer):
    """Values of one head; where it looks is drawn as usual."""
    if layer > 1 or part.latent > 0:  # _match has laid out the first latents of layer 1
        w.kv_down[part.latent : part.latent + part.count].zero_()
    if part.first == 0:
        w.v[part.head].zero_()
        w.o[:, part.head].zero_()
    for i in range(part.count):
        if layer > 1 or part.latent > 0:
            w.kv_down[part.latent + i, part.source + i] = 1.0
        w.v[part.head, part.first + i, part.latent + i] = 1.0
        w.o[part.target + i, part.head, part.first + i] = TOKEN


def _match_row(c, w, at):
    """Of the last layer, head 0 looks for words of the stem that stands in `row`."""
    code = at.row - at.row_stem
    latent = at.said + code
    count = min(at.row_stem, c.qk_nope_head_dim, c.kv_lora_rank - latent)
    if count <= 0:
        return
    size = math.sqrt(ROW_MATCH)
    w.q_down[:count].zero_()
    w.kv_down[latent : latent + count].zero_()
    w.q[0].zero_()
    w.k[0].zero_()
    for i in range(count):
        w.q_down[i, at.at_row + code + i] = 1.0
        w.kv_down[latent + i, 1 + code_channels(at) + i] = 1.0
        w.q[0, i, i] = w.k[0, i, latent + i] = size


class Hold:
    """What training may do to a model that copies. speed: of the circuit, as a share of the learning rates; 0: it stays. rare:
    ids that share everything but their codes."""

    def __init__(self, model, speed=1.0, rare=()):
        c, at = model.config, Channels.of(model.config)
        self.embedding, self.head = model.model.embed_tokens.weight, model.lm_head.weight
        self.held = 1 + held_channels(at)  # channels [0, held) of the embedding: constant, code and stem
        self.at, self.speed, self.rare = at, speed, torch.tensor(sorted(rare), dtype=torch.int64, device=self.head.device)
        self.parts = []  # parameter, share of a step that each of its numbers makes
        if speed < 1:
            for layer in range(c.num_hidden_layers):
                attention = model.model.layers[layer].self_attn
                views = _Views(c, attention, lambda w: torch.ones_like(w, requires_grad=False))
                _used(c, views, at, speed, layer)
                named = zip(_Views.PARTS, (views.q_down, views.kv_down, views.q_whole, views.kv_whole, views.o_whole))
                self.parts += [(getattr(attention, name).weight, share) for name, share in named]
        with torch.no_grad():
            if len(self.rare):
                free = slice(self.held, at.at_p)
                self.embedding[self.rare, free] = self.embedding[self.rare[:1], free]
                self.head[self.rare, : at.at_said] = self.head[self.rare[:1], : at.at_said]

    @torch.no_grad()
    def gradients(self):
        """After the backward pass: codes have none, rare words a common one."""
        embedding, head, at = self.embedding.grad, self.head.grad, self.at
        if embedding is None or head is None or self.speed >= 1:
            return
        embedding[:, : self.held] = 0
        embedding[:, at.at_p :] = 0
        head[:, at.at_said :] = 0
        if len(self.rare):
            free = slice(self.held, at.at_p)
            embedding[self.rare, free] = embedding[self.rare, free].sum(0)
            head[self.rare, : at.at_said] = head[self.rare, : at.at_said].sum(0)

    @torch.no_grad()
    def step(self, optimizers, factor):
        """The optimisers' step, of which the circuit makes its share."""
        moving = [(p, share, p.clone()) for p, share in self.parts if p.grad is not None]
        optimizers.step(factor)
        for p, share, before in moving:
            p.copy_(torch.lerp(before, p, share))
        if self.speed < 1 and self.embedding.grad is not None:
            level_(self.embedding, self.at)


class _Views:
    """Weights as heads: q [heads, qk, latent], k [heads, nope, latent], v [heads, v, latent], o [hidden, heads, v]."""

    PARTS = ("q_a_proj", "kv_a_proj_with_mqa", "q_b_proj", "kv_b_proj", "o_proj")

    def __init__(self, c, attention, of=lambda weight: weight):
        """of: what of each weight is seen: itself, or another tensor of its shape."""
        heads = c.num_attention_heads
        whole = (of(getattr(attention, name).weight) for name in self.PARTS)
        self.q_down, self.kv_down, self.q_whole, self.kv_whole, self.o_whole = whole
        self.q = self.q_whole.view(heads, c.qk_head_dim, c.q_lora_rank)
        kv = self.kv_whole.view(heads, -1, c.kv_lora_rank)
        self.k, self.v = kv[:, : c.qk_nope_head_dim], kv[:, c.qk_nope_head_dim :]
        self.o = self.o_whole.view(c.hidden_size, heads, c.v_head_dim)

    def clear(self, head):
        for part in (self.q[head], self.k[head], self.v[head], self.o[:, head]):
            part.zero_()


def _look_back(c, w, at, constant):
    """Head 0 attends to the token before and writes its first `p` channels, head 1 to the one before that (`pp`)."""
    latents = min(at.z, c.kv_lora_rank)
    w.kv_down[:latents].zero_()
    w.kv_down[c.kv_lora_rank :].zero_()
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
    w.kv_down[: keys + at.p + at.pp].zero_()
    for rows, channel, count in ((0, 1, at.said), (keys, at.at_p, at.p), (keys + at.p, at.at_pp, at.pp)):
        for i in range(count):
            w.kv_down[rows + i, channel + i] = 1.0
    known = _known(c, at)
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


def _known(c, at):
    """Latents of the query for the present token, and as many for the one before."""
    return min(at.p, c.q_lora_rank // 3)


def _used(c, shares, at, speed, layer):
    """Marks what a layer's part of the circuit uses."""
    whole = 0
    if layer == 0:
        whole = 2
        shares.kv_down[: min(at.z, c.kv_lora_rank)] = speed
        shares.kv_down[c.kv_lora_rank :] = speed
        shares.q_down[-1] = speed
    elif layer == 1:
        whole = min(3, c.num_attention_heads)
        shares.kv_down[: at.said + at.p + at.pp] = speed
        shares.q_down[: 2 * _known(c, at)] = speed
    for part in (shares.q[:whole], shares.k[:whole], shares.v[:whole], shares.o[:, :whole]):
        part.fill_(speed)
    for part in _handing_on(c, at, layer):
        shares.kv_down[part.latent : part.latent + part.count] = speed
        shares.v[part.head].fill_(speed)
        shares.o[:, part.head].fill_(speed)
