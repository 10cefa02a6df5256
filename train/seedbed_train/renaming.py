"""Rare words stand for one another, anew in every pack: what an agent must copy is then no word that it knows.

A small model that sees a word in one environment of a thousand learns it by heart there, and cannot say it elsewhere.
With words exchanged throughout a pack (prompt, results and replies alike) every one of them is copied as often as any
other, and only copying helps. What most environments share stays as it is, and so do numbers, whose order means
something. The forms of a word (bond, bonds, Bond) are exchanged together, for words that have the same forms.
"""

import random

from .words import forms, plain_words, rare_words

COMMON = 0.1  # share of the environments, where a recipe says nothing else


class Renaming:
    """Draws the exchange of a pack. common: a word in a larger share of the environments stays; share: of the packs, the others
    stay as they are."""

    def __init__(self, records, tokenizer, vocab_size, seed, share=1.0, common=COMMON):
        words = plain_words(tokenizer)
        rare = set(rare_words(records, words, vocab_size, common))
        families = {}
        for i, (stem, form) in sorted(forms(words).items()):
            if i < vocab_size:
                families.setdefault(stem, []).append((form, i))
        groups = {}
        for stem, members in sorted(families.items()):
            if all(i in rare for _, i in members):
                members.sort()
                groups.setdefault(tuple(form for form, _ in members), []).append([i for _, i in members])
        self.groups = [group for _, group in sorted(groups.items()) if len(group) > 1]
        self.vocab_size, self.seed, self.share = vocab_size, seed, share

    def table(self, epoch, index):
        """Token -> token of the index-th pack of an epoch; None: as it is."""
        rng = random.Random(f"{self.seed}/{epoch}/{index}/renaming")
        if rng.random() >= self.share:
            return None
        out = list(range(self.vocab_size))
        for families in self.groups:
            drawn = families[:]
            rng.shuffle(drawn)
            for old, new in zip(families, drawn):
                for i, j in zip(old, new):
                    out[i] = j
        return out
