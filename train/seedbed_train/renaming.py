"""Rare words stand for one another, anew in every pack: what an agent must copy is then no word that it knows.

A small model that sees a word in one environment of a thousand learns it by heart there, and cannot say it elsewhere.
With words exchanged throughout a pack (prompt, results and replies alike) every one of them is copied as often as any
other, and only copying helps. What most environments share stays as it is, and so do numbers, whose order means
something. Capitalised words are exchanged among themselves.
"""

import json
import random
from pathlib import Path

from .errors import TrainError


def plain_words(tokenizer):
    """{id: text} of the tokens of a tokenizer.json that are ASCII letters alone."""
    try:
        vocab = json.loads(Path(tokenizer).read_text(encoding="utf-8"))["model"]["vocab"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError("tokenizer", tokenizer, f"no tokenizer.json: {error!r}", "give the one that the export was made with") from None
    return {i: text for text, i in vocab.items() if text.isascii() and text.isalpha()}


def environments_with(records):
    """For each token the number of prompts whose sequences, or which itself, hold it."""
    by_prefix = {}
    for i in range(len(records)):
        held = by_prefix.setdefault(records.prefix_of[i], set())
        held.update(records.ids[records.offsets[i] : records.offsets[i + 1]])
    counts = {}
    for prefix, held in by_prefix.items():
        held.update(records.prefixes[prefix])
        for token in held:
            counts[token] = counts.get(token, 0) + 1
    return counts, len(by_prefix)


class Renaming:
    """Draws the exchange of a pack. common: a word in a larger share of the environments stays; share: of the packs, the others
    stay as they are."""

    def __init__(self, records, tokenizer, vocab_size, seed, share=1.0, common=0.1):
        words = plain_words(tokenizer)
        counts, environments = environments_with(records)
        rare = [i for i in sorted(words) if i < vocab_size and counts.get(i, 0) <= common * environments]
        self.kinds = [[i for i in rare if words[i][0].isupper() == upper] for upper in (False, True)]
        self.vocab_size, self.seed, self.share = vocab_size, seed, share

    def table(self, epoch, index):
        """Token -> token of the index-th pack of an epoch; None: as it is."""
        rng = random.Random(f"{self.seed}/{epoch}/{index}/renaming")
        if rng.random() >= self.share:
            return None
        out = list(range(self.vocab_size))
        for kind in self.kinds:
            drawn = kind[:]
            rng.shuffle(drawn)
            for old, new in zip(kind, drawn):
                out[old] = new
        return out
