"""A pack: token sequences laid out flat, in which sequences of one environment share the prompt that they begin with.

Rows are tokens. A span is a stretch of rows that attend to one prefix (a stretch of earlier rows, maybe empty) and,
causally, to themselves; the prefix is a span of its own without a prefix. Positions go on where the prefix ends, so a
span sees exactly what its sequence would see alone: the prompt is computed once for all of them.
"""

import dataclasses

import torch


@dataclasses.dataclass
class Span:
    begin: int  # rows [begin, end)
    end: int
    prefix_begin: int  # rows [prefix_begin, prefix_end) before it
    prefix_end: int

    @property
    def context(self):
        return self.prefix_end - self.prefix_begin


@dataclasses.dataclass
class Pack:
    tokens: torch.Tensor  # int64 [rows]
    positions: torch.Tensor  # int64 [rows]
    targets: torch.Tensor  # int64 [rows]: the next token of the row's sequence; -1: none
    weights: torch.Tensor  # float32 [rows]: of the row's loss
    learn: torch.Tensor  # bool [rows]: the target was sampled by the agent
    spans: list

    @property
    def rows(self):
        return len(self.tokens)

    def thin(self, share, generator):
        """Keeps the loss on so large a share of the prompt's tokens, drawn at random, and weighs it up: the head is
        most of the work of a small model."""
        if share >= 1.0:
            return self
        drawn = torch.rand(self.rows, generator=generator) < share
        return dataclasses.replace(self, weights=torch.where(self.learn, self.weights, self.weights * drawn / share))

    def filled(self, grain):
        """With rows that weigh nothing up to a multiple of `grain`, a span of their own."""
        more = -self.rows % grain
        if more == 0:
            return self
        values = {"tokens": 0, "positions": 0, "targets": -1, "weights": 0, "learn": False}
        longer = {f: torch.nn.functional.pad(getattr(self, f), (0, more), value=v) for f, v in values.items()}
        return dataclasses.replace(self, **longer, spans=[*self.spans, Span(self.rows, self.rows + more, self.rows, self.rows)])

    def renamed(self, table):
        """Every token is another one: `table` says which."""
        table = torch.tensor(table, dtype=torch.int64)
        targets = torch.where(self.targets >= 0, table[self.targets.clamp_min(0)], self.targets)
        return dataclasses.replace(self, tokens=table[self.tokens], targets=targets)

    def to(self, device):
        moved = {f: getattr(self, f).to(device, non_blocking=True) for f in ("tokens", "positions", "targets", "weights", "learn")}
        return dataclasses.replace(self, **moved)


class PackBuilder:
    """Joins sequences to a pack. prompt_weight: of the loss on tokens that the agent did not sample."""

    def __init__(self, prompt_weight):
        self.prompt_weight = prompt_weight
        self.tokens, self.positions, self.targets, self.learn, self.spans = [], [], [], [], []

    @property
    def rows(self):
        return len(self.tokens)

    def add(self, prefix, sequences):
        """prefix: ids shared by all; sequences: (ids after the prefix, learn flags of those ids)."""
        start = self.rows
        if len(prefix) > 0:
            self._append(prefix, 0, [False] * len(prefix))
            self.spans.append(Span(start, self.rows, start, start))
        for ids, learn in sequences:
            begin = self.rows
            self._append(ids, len(prefix), learn)
            self.spans.append(Span(begin, self.rows, start, start + len(prefix)))

    def _append(self, ids, position, learn):
        # Row i predicts id i + 1 of its own stretch; the first id after a prefix is predicted by nobody, since the
        # prefix's last row belongs to all of its sequences.
        ids, learn = list(ids), list(learn)
        self.tokens += ids
        self.positions += range(position, position + len(ids))
        self.targets += ids[1:] + [-1]
        self.learn += learn[1:] + [False]

    def build(self):
        learn = torch.tensor(self.learn, dtype=torch.bool)
        targets = torch.tensor(self.targets, dtype=torch.int64)
        weights = torch.where(learn, 1.0, self.prompt_weight) * (targets >= 0)
        return Pack(torch.tensor(self.tokens, dtype=torch.int64), torch.tensor(self.positions, dtype=torch.int64), targets, weights, learn, self.spans)
