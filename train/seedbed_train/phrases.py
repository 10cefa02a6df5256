"""Phrases of a corpus: texts of several words and signs that most environments spell alike, to be one token each.

Half of a tool environment's text is the same everywhere: the chat format, JSON around names and values, instructions.
Merges that cross words (Liu et al., 2025, "SuperBPE") make one token of each such stretch. What environments have for
themselves (names, values, words of a request) never becomes part of a phrase, so that it is the same tokens wherever it
stands and can be copied.

`make_model.py` writes them, and `seedbed engine train-tokenizer --bare-words --phrases FILE` makes tokens of them.
"""

import collections
import heapq
import json
import random
import re
from pathlib import Path

from .errors import TrainError

BEGIN = "<｜begin▁of▁sentence｜>"
MARKS = re.compile("<｜end▁of▁sentence｜>|<｜▁pad▁｜>|<｜User｜>|<｜Assistant｜>|<think>|</think>|｜DSML｜")
# Words, numbers, what is between; months of a date and numbers of an id with their signs.
MONTH, ROW = r"-\d\d-(?=\d)", r"-0\d{3}(?!\d)"
PIECE = re.compile(rf"{MONTH}|{ROW}|\d+|[A-Z]?[a-z]+(?:(?=[A-Z])|(?![^\W\d_]))|[^\W\d_]+|(?:(?!{MONTH}|{ROW})[\W_])+")
NUMBERED = re.compile(r"-\d\d-|-0\d{3}")
# Words that begin names of tools or stand in them, though most environments have them.
NAMES = {"list", "find", "get", "show", "lists", "finds", "up", "s", "way", "failed"}
COMMON_WORD, COMMON_SIGN, COMMON_NUMBER = 0.7, 0.05, 0.02  # share of the texts
LEAST_WORDS = 4  # pieces of a phrase that begins or ends in a word
LONGEST = 80  # characters


def pieces_of(text):
    """The text's stretches between marks of the chat format, each a list of pieces."""
    return [PIECE.findall(stretch) for stretch in MARKS.split(text)]


def may_be(phrase, opening):
    """Whether a phrase cuts no name. opening: words that stretches begin with."""
    parts = PIECE.findall(phrase)
    first, last = phrase[0], phrase[-1]
    if last == "_" or (first == "_" and not phrase.startswith("_id")) or not first.isascii():
        return False
    if last.isdigit() or first.isdigit():
        return False
    if last.isalpha() and (len(parts) < LEAST_WORDS or parts[-2] == "_") and parts[-1] != "id":
        return False
    return not first.islower() or len(parts) >= LEAST_WORDS or (parts[0] in opening and parts[0] != "name")


class Merger:
    """Joins the commonest neighbours, again and again. runs: {tuple of pieces: count}"""

    def __init__(self, runs):
        self.words, self.counts = [list(run) for run in runs], list(runs.values())
        self.pairs, self.where = collections.Counter(), collections.defaultdict(set)
        for i in range(len(self.words)):
            self._count(i, 1)
        self.heap = [(-count, pair) for pair, count in self.pairs.items()]
        heapq.heapify(self.heap)

    def _count(self, i, sign):
        for pair in zip(self.words[i], self.words[i][1:]):
            self.pairs[pair] += sign * self.counts[i]
            if sign > 0:
                self.where[pair].add(i)

    def run(self, least):
        """Until no pair occurs `least` times. -> {phrase: how often it is left standing}"""
        made = set()
        while self.heap:
            count, pair = heapq.heappop(self.heap)
            if self.pairs[pair] != -count:
                if self.pairs[pair] > 0:
                    heapq.heappush(self.heap, (-self.pairs[pair], pair))
                continue
            if -count < least:
                break
            new = pair[0] + pair[1]
            if len(new) <= LONGEST:
                made.add(new)
                self._join(pair, new)
            self.pairs[pair] = 0
        left = collections.Counter()
        for word, count in zip(self.words, self.counts):
            for piece in word:
                if piece in made:
                    left[piece] += count
        return left

    def _join(self, pair, new):
        changed = set()
        for i in sorted(self.where[pair]):
            word, out, at = self.words[i], [], 0
            self._count(i, -1)
            while at < len(word):
                here = at + 1 < len(word) and (word[at], word[at + 1]) == pair
                out.append(new if here else word[at])
                at += 2 if here else 1
            self.words[i] = out
            self._count(i, 1)
            changed.update(zip(out, out[1:]))
        for other in sorted(changed):
            heapq.heappush(self.heap, (-self.pairs[other], other))


def mine(texts, count):
    """The `count` phrases that save most tokens, in an order of their own."""
    documents = [pieces_of(text) for text in texts]
    held, opening = collections.Counter(), collections.Counter()
    for document in documents:
        held.update({piece for stretch in document for piece in stretch})
        opening.update(stretch[0] for stretch in document if stretch)
    total = len(documents)

    def common(piece):
        share = held[piece] / total
        if NUMBERED.fullmatch(piece) or piece[0].isdigit() or piece.lower() in NAMES:
            return False
        return share >= (COMMON_WORD if piece[-1].isalpha() else COMMON_SIGN)

    runs = collections.Counter()
    for document in documents:
        for stretch in document:
            run = []
            for piece in [*stretch, None]:
                if piece is not None and common(piece):
                    run.append(piece)
                elif run:
                    runs[tuple(run)] += 1
                    run = []
    left = Merger(runs).run(max(2, total * COMMON_SIGN))
    openings = {word for word, times in opening.items() if times > total * COMMON_SIGN}
    saved = {phrase: times * (len(PIECE.findall(phrase)) - 1) for phrase, times in left.items() if may_be(phrase, openings)}
    # Numbers are one token with their sign, and never more: what follows them differs from place to place.
    numbered = sorted(piece for piece in held if NUMBERED.fullmatch(piece) and held[piece] >= COMMON_NUMBER * total)[:count]
    best = sorted(saved, key=lambda phrase: (-saved[phrase], phrase))
    return sorted({*numbered, *best[: count - len(numbered)]})


def read_texts(files, sample=None, seed=1):
    """Conversations of rendered texts: all, or up to `sample` of them."""
    texts = []
    for file in files:
        try:
            texts += Path(file).read_text(encoding="utf-8").split(BEGIN)[1:]
        except (OSError, UnicodeDecodeError) as error:
            raise TrainError("text", file, str(error), "give files of `seedbed export --format prompts`") from None
    if not texts:
        raise TrainError("text", ", ".join(map(str, files)), f"no {BEGIN} in them", "give files of `seedbed export --format prompts`")
    random.Random(seed).shuffle(texts)
    return texts[:sample]


def write(files, count, out, sample=1200):
    phrases = mine(read_texts(files, sample), count)
    Path(out).write_text(json.dumps(phrases, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    return len(phrases)
