"""Exports as packs: read once, checked, laid out by environment; an order that is a function of (seed, epoch).

`tokens` exports are read here; `trl` exports by conversations.py, into the same Records. Nothing here needs torch until
a pack is built.
"""

import dataclasses
import hashlib
import json
import random
from array import array
from pathlib import Path

from .errors import TrainError


@dataclasses.dataclass
class Records:
    """Sequences without the prompts that they share."""

    ids: array  # int32, all joined
    learn: bytearray  # 1 or 0, one an id: the agent says it
    offsets: list  # [n + 1], where each begins
    prefix_of: list  # [n], index into prefixes
    prefixes: list  # of int32 arrays
    tokenizer: str
    digest: str  # of what was read

    def __len__(self):
        return len(self.offsets) - 1

    def length(self, i):
        return self.offsets[i + 1] - self.offsets[i]

    def beginning(self, i):
        """Length up to the end of what the agent says first."""
        learn = self.learn[self.offsets[i] : self.offsets[i + 1]]
        end = learn.find(0, learn.index(1))
        return end if end >= 0 else len(learn)

    def sequence(self, i, length=None):
        """-> ids after the prefix, and whether each is under loss; length: no more than these."""
        end = self.offsets[i + 1] if length is None else self.offsets[i] + length
        cut = slice(self.offsets[i], end)
        return self.ids[cut].tolist(), list(map(bool, self.learn[cut]))


def part(records, environments, each):
    """The records of the first `environments` prompts that are shared, of each at most `each` sequences, as they were read."""
    ids, learn, offsets, prefix_of, taken = array("i"), bytearray(), [0], [], {}
    for i in range(len(records)):
        prefix = records.prefix_of[i]
        if prefix >= environments or taken.get(prefix, 0) >= each:
            continue
        taken[prefix] = taken.get(prefix, 0) + 1
        cut = slice(records.offsets[i], records.offsets[i + 1])
        ids += records.ids[cut]
        learn += records.learn[cut]
        offsets.append(len(ids))
        prefix_of.append(prefix)
    digest = f"{records.digest}/{environments}x{each}"
    return Records(ids, learn, offsets, prefix_of, records.prefixes[:environments], records.tokenizer, digest)


class Collector:
    """Records while they are read. vocab_size: ids are below it; longest: sequences over it are left out."""

    def __init__(self, vocab_size, longest):
        self.vocab_size, self.longest = vocab_size, longest
        self.digest = hashlib.sha256()
        self.ids, self.learn, self.offsets = array("i"), bytearray(), [0]
        self.prefix_of, self.prefixes, self.prefix_index = [], [], {}
        self.tokenizer, self.left_out, self.why = None, 0, ""

    def name_tokenizer(self, name, where):
        """All that is read is of one tokenizer."""
        if self.tokenizer is None:
            self.tokenizer = name
        if name != self.tokenizer:
            raise TrainError("export", where, f"tokenizer {name}, but {self.tokenizer} before it", "train on one tokenizer's exports at a time")

    def add(self, tokens, mask, shared, where, line, wanted=True):
        """One sequence: int32 array, bytearray, tokens of the prompt that it shares; line: the bytes it was read from."""
        if len(tokens) != len(mask) or not 0 <= shared <= len(tokens) or max(mask, default=0) > 1:
            raise TrainError("export", where, f"{len(tokens)} tokens, {len(mask)} mask values, prefix of {shared}", "export it again")
        if len(tokens) and (min(tokens) < 0 or max(tokens) >= self.vocab_size):
            raise TrainError("export", where, f"token {max(tokens)} of a vocabulary of {self.vocab_size}", "give the model's own tokenizer to the export")
        if not wanted or len(tokens) > self.longest or not any(mask) or any(mask[:shared]):
            self.left_out += 1
            return
        self.digest.update(hashlib.sha256(line).digest())
        prefix = tokens[:shared]
        key = prefix.tobytes()
        if key not in self.prefix_index:
            self.prefix_index[key] = len(self.prefixes)
            self.prefixes.append(prefix)
        self.prefix_of.append(self.prefix_index[key])
        self.ids += tokens[shared:]
        self.learn += mask[shared:]
        self.offsets.append(len(self.ids))

    def leave_out(self, why):
        """One sequence that cannot be had; the first reason is told where nothing is left."""
        self.left_out += 1
        self.why = self.why or f", the first because of: {why}"

    def finish(self, paths):
        """-> Records; an export without any is refused."""
        if not self.prefix_of:
            where = ", ".join(map(str, paths))
            raise TrainError("export", where, f"no trajectory to learn from ({self.left_out} left out{self.why})", "export solved episodes: --min-score 1")
        return Records(self.ids, self.learn, self.offsets, self.prefix_of, self.prefixes, self.tokenizer, self.digest.hexdigest()[:32])


def export_files(paths, split):
    """The JSON-lines files of export folders, those of one split or all."""
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


def read_lines(files):
    """(where, bytes) of each line."""
    for file in files:
        try:
            with file.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    yield f"{file}:{number}", line
        except OSError as error:
            raise TrainError("export", file, str(error), "give a folder that can be read") from None


def read(paths, vocab_size, split="train", longest=8192, thinking=None, solved=True):
    """The records of `tokens` exports. thinking: True or False keeps that form alone; longest: sequences over it are left out."""
    collector = Collector(vocab_size, longest)
    for where, line in read_lines(export_files(paths, split)):
        try:
            row = json.loads(line)
            if "messages" in row:
                raise TrainError("export", where, "a conversation, wanted token ids", "export --format tokens, or name --tokenizer for a trl export")
            tokens, mask = array("i", row["token_ids"]), bytearray(list(row["mask"]))
            shared = int(row.get("prefix_tokens") or 0)
            named = row["tokenizer"]
            wanted = (not solved or row.get("solved", True)) and (thinking is None or row.get("thinking") == thinking)
        except (ValueError, KeyError, TypeError, OverflowError, AttributeError) as error:
            raise TrainError("export", where, f"no line of a tokens export: {error!r}", "export it again") from None
        collector.name_tokenizer(named, where)
        collector.add(tokens, mask, shared, where, line, wanted)
    return collector.finish(paths)


def plan(records, rows, seed, epoch, beginnings=0.0):
    """Packs of one epoch as (prefix, [(record, its length)]). Sequences of one prefix go together up to `rows` rows; sequences
    without a prefix are bucketed by length. beginnings: share of the sequences, drawn anew each epoch, that end with what the agent
    says first."""
    rng = random.Random(f"{seed}/{epoch}")
    drawn = random.Random(f"{seed}/{epoch}/beginnings")
    lengths = [records.beginning(i) if beginnings and drawn.random() < beginnings else records.length(i) for i in range(len(records))]
    by_prefix = {}
    for i in range(len(records)):
        by_prefix.setdefault(records.prefix_of[i], []).append(i)
    packs = []
    for prefix, members in sorted(by_prefix.items()):
        rng.shuffle(members)
        if len(records.prefixes[prefix]) == 0:
            # A few lengths' worth of shuffling in each bucket, then neighbours join.
            members.sort(key=lambda i: lengths[i] * rng.uniform(0.9, 1.1))
        base = len(records.prefixes[prefix])
        pack, used = [], base
        for i in members:
            if pack and used + lengths[i] > rows:
                packs.append((prefix, pack))
                pack, used = [], base
            pack.append((i, lengths[i]))
            used += lengths[i]
        packs.append((prefix, pack))
    rng.shuffle(packs)
    return packs


def plan_windows(records, rows, window, seed, epoch):
    """Packs of one epoch as (None, [(record, first token)]): of each sequence one stretch of `window` tokens, whose place
    is drawn anew each epoch. Short contexts are cheap, and teach what is near: words, JSON, to say again what was said."""
    rng = random.Random(f"{seed}/{epoch}/windows")
    stretches = []
    for i in range(len(records)):
        whole = len(records.prefixes[records.prefix_of[i]]) + records.length(i)
        stretches.append((i, rng.randrange(max(1, whole - window + 1))))
    rng.shuffle(stretches)
    size = max(1, rows // window)
    return [(None, stretches[at : at + size]) for at in range(0, len(stretches), size)]


def build_windows(records, stretches, window, prompt_weight):
    """Stretches of the plan as one pack."""
    from .packs import PackBuilder  # torch

    builder = PackBuilder(prompt_weight)
    for i, first in stretches:
        prefix = records.prefixes[records.prefix_of[i]].tolist()
        ids, learn = records.sequence(i)
        cut = slice(first, first + window)
        builder.add([], [((prefix + ids)[cut], ([False] * len(prefix) + learn)[cut])])
    return builder.build()


def build(records, pack, prompt_weight):
    """A pack of the plan as tensors."""
    from .packs import PackBuilder  # torch

    prefix, members = pack
    builder = PackBuilder(prompt_weight)
    shared = records.prefixes[prefix].tolist()
    if shared:
        builder.add(shared, [records.sequence(*member) for member in members])
    else:
        for member in members:
            builder.add([], [records.sequence(*member)])
    return builder.build()


class Stream:
    """Packs for ever, from (epoch, index) on."""

    def __init__(self, records, rows, seed, prompt_weight, epoch=0, index=0, window=0, renaming=None, beginnings=0.0):
        self.records, self.rows, self.seed, self.prompt_weight, self.window = records, rows, seed, prompt_weight, window
        self.renaming, self.beginnings = renaming, beginnings
        self.epoch, self.index = epoch, index
        self.packs = self._plan()

    def _plan(self):
        if self.window:
            return plan_windows(self.records, self.rows, self.window, self.seed, self.epoch)
        return plan(self.records, self.rows, self.seed, self.epoch, self.beginnings)

    def next(self):
        if self.index >= len(self.packs):
            self.epoch, self.index = self.epoch + 1, 0
            self.packs = self._plan()
        self.index += 1
        pack = self.packs[self.index - 1]
        if self.window:
            built = build_windows(self.records, pack[1], self.window, self.prompt_weight)
        else:
            built = build(self.records, pack, self.prompt_weight)
        table = self.renaming.table(self.epoch, self.index) if self.renaming else None
        return built.renamed(table) if table else built
