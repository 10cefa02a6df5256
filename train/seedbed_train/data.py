"""`tokens` exports as packs: read once, checked, laid out by environment; an order that is a function of (seed, epoch)."""

import dataclasses
import hashlib
import json
import random
from pathlib import Path

import numpy as np

from .errors import TrainError
from .packs import PackBuilder


@dataclasses.dataclass
class Records:
    """Sequences without the prompts that they share. ids: int32 joined; offsets [n + 1]."""

    ids: np.ndarray
    learn: np.ndarray  # bool, one an id
    offsets: np.ndarray
    prefix_of: np.ndarray  # [n], index into prefixes
    prefixes: list  # of int32 arrays
    tokenizer: str
    digest: str  # of what was read

    def __len__(self):
        return len(self.offsets) - 1

    def length(self, i):
        return int(self.offsets[i + 1] - self.offsets[i])

    def sequence(self, i):
        cut = slice(self.offsets[i], self.offsets[i + 1])
        return self.ids[cut].tolist(), self.learn[cut].tolist()


def export_files(paths, split):
    files = []
    for path in map(Path, paths):
        if path.is_file():
            files.append(path)
            continue
        found = sorted(p for p in path.glob("data/*.jsonl") if split is None or p.name.startswith(split + "-"))
        if not found:
            raise TrainError("export", path, f"holds no data/{split or '*'}-*.jsonl", "give the folder that `seedbed export --format tokens` wrote")
        files += found
    return files


def read(paths, vocab_size, split="train", longest=8192, thinking=None, solved=True):
    """The records of `tokens` exports. thinking: True or False keeps that form alone; longest: sequences over it are left out."""
    digest = hashlib.sha256()
    ids, learn, prefix_of, lengths = [], [], [], []
    prefixes, prefix_index = [], {}
    tokenizer, left_out = None, 0
    for file in export_files(paths, split):
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                where = f"{file}:{number}"
                try:
                    row = json.loads(line)
                    tokens = np.asarray(row["token_ids"], dtype=np.int64)
                    mask = np.asarray(row["mask"], dtype=bool)
                    shared = int(row.get("prefix_tokens") or 0)
                    named = row["tokenizer"]
                except (ValueError, KeyError, TypeError, OverflowError) as error:
                    raise TrainError("export", where, f"no line of a tokens export: {error!r}", "export it again") from None
                if tokenizer is None:
                    tokenizer = named
                if named != tokenizer:
                    raise TrainError("export", where, f"tokenizer {named}, but {tokenizer} before it", "train on one tokenizer's exports at a time")
                if tokens.ndim != 1 or len(tokens) != len(mask) or not 0 <= shared <= len(tokens):
                    raise TrainError("export", where, f"{len(tokens)} tokens, {len(mask)} mask values, prefix of {shared}", "export it again")
                if len(tokens) and (tokens.min() < 0 or tokens.max() >= vocab_size):
                    raise TrainError("export", where, f"token {int(tokens.max())} of a vocabulary of {vocab_size}", "give the model's own tokenizer to the export")
                unfit = len(tokens) > longest or not mask.any() or (solved and not row.get("solved", True))
                if unfit or (thinking is not None and row.get("thinking") != thinking) or mask[:shared].any():
                    left_out += 1
                    continue
                digest.update(hashlib.sha256(line).digest())
                prefix = tokens[:shared].astype(np.int32)
                key = prefix.tobytes()
                if key not in prefix_index:
                    prefix_index[key] = len(prefixes)
                    prefixes.append(prefix)
                prefix_of.append(prefix_index[key])
                ids.append(tokens[shared:].astype(np.int32))
                learn.append(mask[shared:])
                lengths.append(len(tokens) - shared)
    if not ids:
        raise TrainError("export", ", ".join(map(str, paths)), f"no trajectory to learn from ({left_out} left out)", "export solved episodes: --min-score 1")
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    return Records(np.concatenate(ids), np.concatenate(learn), offsets, np.asarray(prefix_of), prefixes, tokenizer, digest.hexdigest()[:32])


def plan(records, rows, seed, epoch):
    """Packs of one epoch as (prefix, record numbers). Sequences of one prefix go together up to `rows` rows; sequences
    without a prefix are bucketed by length."""
    rng = random.Random(f"{seed}/{epoch}")
    by_prefix = {}
    for i in range(len(records)):
        by_prefix.setdefault(int(records.prefix_of[i]), []).append(i)
    packs = []
    for prefix, members in sorted(by_prefix.items()):
        rng.shuffle(members)
        if len(records.prefixes[prefix]) == 0:
            # A few lengths' worth of shuffling in each bucket, then neighbours join.
            members.sort(key=lambda i: records.length(i) * rng.uniform(0.9, 1.1))
        base = len(records.prefixes[prefix])
        pack, used = [], base
        for i in members:
            if pack and used + records.length(i) > rows:
                packs.append((prefix, pack))
                pack, used = [], base
            pack.append(i)
            used += records.length(i)
        packs.append((prefix, pack))
    rng.shuffle(packs)
    return packs


def build(records, pack, prompt_weight):
    prefix, members = pack
    builder = PackBuilder(prompt_weight)
    shared = records.prefixes[prefix].tolist()
    if shared:
        builder.add(shared, [records.sequence(i) for i in members])
    else:
        for i in members:
            builder.add([], [records.sequence(i)])
    return builder.build()


class Stream:
    """Packs for ever, from (epoch, index) on."""

    def __init__(self, records, rows, seed, prompt_weight, epoch=0, index=0):
        self.records, self.rows, self.seed, self.prompt_weight = records, rows, seed, prompt_weight
        self.epoch, self.index = epoch, index
        self.packs = plan(records, rows, seed, epoch)

    def next(self):
        if self.index >= len(self.packs):
            self.epoch, self.index = self.epoch + 1, 0
            self.packs = plan(self.records, self.rows, self.seed, self.epoch)
        self.index += 1
        return build(self.records, self.packs[self.index - 1], self.prompt_weight)
