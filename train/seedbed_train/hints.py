"""Where to look: rows of a pack at which one head is taught what to attend to, from the trajectory itself.

What an agent says next can be told from its loss alone, but a small model sees few calls, and each says little about which of a
thousand tokens decided it. Trajectories know more: the name of the tool that is called stands in the prompt, the words of the request
that it was called for are those that its name has in some form, and a value was read somewhere. Two heads are taught so, by the
cross-entropy of their attention to such places: the pointer (of the last layer, which hands on the token that it looks at) and the
reason (of the layer below, which brings a word of the request to where a tool's name is to be said).
"""

import dataclasses
import json
import re
from pathlib import Path

import torch

from .errors import TrainError
from .words import forms, plain_words

POINTER_HEAD, BRINGER_HEAD, READER_HEAD = 0, 2, 2
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"
CALL = re.compile(r'invoke name="([^"]+)">(.*?)(?=invoke name="|$)', re.S)
VALUE = re.compile(r'parameter name="[^"]+" string="(true|false)">([^<]*)<')
RECORD = re.compile(r'"id":"?([^",}]+)"?([^{}]*)')
NUMBER = re.compile(r"-?\d\d+-?")  # of a date, an amount
ID = re.compile(r"[\w-]+")
DEFINED = re.compile(r'\{"name": "([^"]+)", "description"')
GENERAL = {"list", "find", "get", "show", "s", "of", "to", "up", "a", "the"}  # words of names that say nothing of the request


@dataclasses.dataclass
class Taught:
    """Of one span: rows int64 [n], counted from its begin, and places bool [n, context + rows of the span]."""

    rows: torch.Tensor
    places: torch.Tensor


def _byte_of():
    """The byte alphabet of tokenizer.json (GPT-2's): printable bytes stand for themselves, others follow from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(other)}


class Hinter:
    """Finds the hints of packs. Texts are kept as one character a byte, so that places in them are places in tokens."""

    def __init__(self, tokenizer, vocab_size):
        byte_of = _byte_of()
        try:
            file = json.loads(Path(tokenizer).read_text(encoding="utf-8"))
            added = {t["content"]: t["id"] for t in file["added_tokens"]}
            vocab = {**file["model"]["vocab"], **added}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainError("tokenizer", tokenizer, f"no tokenizer.json: {error!r}", "give the one that the export was made with") from None
        self.texts = [""] * max(vocab_size, max(vocab.values()) + 1)
        for text, i in vocab.items():
            spelled = text in added or any(c not in byte_of for c in text)
            self.texts[i] = text.encode("utf-8").decode("latin-1") if spelled else "".join(chr(byte_of[c]) for c in text)
        self.user, self.assistant = added.get(USER, -1), added.get(ASSISTANT, -1)
        self.stem = {i: stem for i, (stem, _) in forms(plain_words(tokenizer)).items()}

    def of(self, pack):
        """-> {span number: (the pointer's, the bringer's, the reader's Taught or None)}"""
        tokens, learn = pack.tokens.tolist(), pack.learn.tolist()
        prefixes, out = {}, {}
        for number, span in enumerate(pack.spans):
            key = (span.prefix_begin, span.prefix_end)
            if key not in prefixes:
                prefixes[key] = self._definitions(tokens[slice(*key)])
            own = tokens[span.begin : span.end]
            found = self._sequence(tokens[slice(*key)], own, learn[span.begin : span.end], prefixes[key])
            size = span.context + len(own)
            if any(found):
                out[number] = tuple(_taught(places, size, pack.tokens.device) for places in found)
        return out

    def _laid_out(self, ids):
        """-> text, and where in it each token begins."""
        begins, parts, at = [], [], 0
        for i in ids:
            begins.append(at)
            parts.append(self.texts[i])
            at += len(self.texts[i])
        return "".join(parts), begins

    def _definitions(self, ids):
        """{tool: places of its name's tokens}"""
        text, begins = self._laid_out(ids)
        return {m[1]: _inside(begins, *m.span(1)) for m in DEFINED.finditer(text)}

    def _sequence(self, prefix, own, learn, definitions):
        """-> {row: places} of the pointer, of the bringer, of the reader"""
        found = pointer, bringer, reader = {}, {}, {}
        if self.user not in own:
            return found
        first = own.index(self.user) + 1
        last = own.index(self.assistant, first) if self.assistant in own[first:] else len(own)
        whole, context = prefix + own, len(prefix)
        request = range(context + first, context + last)
        spots = {}
        for place, token in enumerate(whole):
            spots.setdefault(token, []).append(place)
        words = {self.stem[whole[i]] for i in request if whole[i] in self.stem} - GENERAL
        asked = {i for i in spots if self.stem.get(i) in words} | {whole[i] for i in request if NUMBER.fullmatch(self.texts[whole[i]])}
        records = {}  # {id: places of the fields that tell of it, in what was read so far}
        at = 0
        while at < len(own):
            begin = at + 1  # own[begin, end): a turn of the agent, or what stands between two
            while at < len(own) and learn[at] == learn[begin - 1]:
                at += 1
            if learn[begin - 1]:
                self._turn(whole, context, begin, at + 1, request, spots, definitions, records, found)
            elif begin - 1 > last:
                self._results(whole, context, begin, at, asked, records, bringer)
        return found

    def _results(self, whole, context, begin, end, asked, records, bringer):
        """The fields of each record of a result bring its id along."""
        text, begins = self._laid_out(whole[context + begin : context + end])
        for record in RECORD.finditer(text):
            name = _inside(begins, *record.span(1))
            texts = [(i, self.texts[whole[context + begin + i]]) for i in _inside(begins, *record.span(2))]
            fields = [i for i, said in texts if any(c.isalnum() for c in said) and "{" not in said]
            if not name or not fields:
                continue
            bringer.update({begin + i: [context + begin + name[-1]] for i in fields})
            meant = [i for i in fields if whole[context + begin + i] in asked]
            records[record[1]] = [context + begin + i for i in meant or fields]

    def _turn(self, whole, context, begin, end, request, spots, definitions, records, found):
        pointer, reason, reader = found
        text, begins = self._laid_out(whole[context + begin : context + end])
        for call in CALL.finditer(text):
            name = [context + begin + i for i in _inside(begins, *call.span(1))]
            defined = definitions.get(call[1], [])
            values = [
                [context + begin + i for i in _inside(begins, call.start(2) + m.start(2), call.start(2) + m.end(2))] for m in VALUE.finditer(call[2])
            ]
            if [whole[i] for i in defined] == [whole[i] for i in name]:
                pointer.update({place - 1 - context: [there] for place, there in zip(name, defined)})
            stems = {self.stem.get(whole[i]) for i in name} - GENERAL - {None}
            why = [i for i in request if self.stem.get(whole[i]) in stems]
            if not why:
                said = {whole[i] for value in values for i in value if self.texts[whole[i]].strip()}
                why = [i for i in request if whole[i] in said and self.texts[whole[i]].isalnum()]
            if why:
                reason.update({place - 1 - context: why for place in name})
            for value in values:
                for place in value:
                    there = self._read(whole, context + begin, place, value, request, spots)
                    if there:
                        pointer[place - 1 - context] = there
                said, begins = self._laid_out([whole[i] for i in value])
                for name in ID.finditer(said):  # one, or those of a list
                    if name[0] in records:
                        reader[value[_inside(begins, *name.span())[-1]] - 1 - context] = records[name[0]]

    def _read(self, whole, before, place, value, request, spots):
        """Where a value's token was read: places before the turn with the same neighbour, of the request where it is there."""
        if not any(c.isalnum() for c in self.texts[whole[place]]):
            return []
        near = -1 if place != value[0] else 1
        alone = len(value) == 1
        same = [i for i in spots[whole[place]] if i < before and (alone or (0 <= i + near < before and whole[i + near] == whole[place + near]))]
        return [i for i in same if i in request] or same


def _inside(begins, first, last):
    """Numbers of the tokens that begin in text [first, last)."""
    return [i for i, begin in enumerate(begins) if first <= begin < last]


def _taught(places, size, device):
    if not places:
        return None
    rows = sorted(places)
    mask = torch.zeros(len(rows), size, dtype=torch.bool)
    for i, row in enumerate(rows):
        mask[i, places[row]] = True
    return Taught(torch.tensor(rows, device=device), mask.to(device))


def loss(q, keys, rows, taught, context, scale):
    """q [rows asked, dim] of one head, keys [context + rows, dim]; rows: which rows of the span q is of, rising, or None: all.
    -> sum over the taught rows of -log of the attention on their places."""
    asked = taught.rows if rows is None else torch.searchsorted(rows, taught.rows)
    scores = (q[asked].float() @ keys.float().T).float() * scale
    seen = torch.arange(scores.shape[1], device=q.device) <= context + taught.rows[:, None]
    logs = scores.masked_fill(~seen, float("-inf")).log_softmax(-1)
    return -torch.logsumexp(logs.masked_fill(~taught.places, float("-inf")), -1).sum()
