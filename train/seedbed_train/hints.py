"""Where to look, and what to mark: rows of a pack at which heads and the stream are taught from the trajectory itself.

What an agent says next can be told from its loss alone, but a small model sees few calls, and each says little about which of a
thousand tokens decided it. Trajectories know more: the name of the tool that is called stands in the prompt or in a plan, the words of
the request that it was called for are those that its name or its description has in some form, a value was read somewhere, and reasoning that goes through
records names each by what was read of it. Heads are taught so by the cross-entropy of their attention to such places (PARTS). Two marks
in the stream are taught beside them: at fields of results, whether the request has their word; where a record ends, whether a call will
say its id.
"""

import dataclasses
import json
import re
from pathlib import Path

import torch
from torch.nn import functional as F

from . import copying, tools
from .errors import TrainError
from .tools import inside
from .words import forms, plain_words

POINTER_HEAD, SCAN_HEAD, BRINGER_HEAD, READER_HEAD = 0, 1, 2, 2
PARTS = ("pointer", "reason", "record", "reader", "scan")  # what is taught, each weighing alike; reason and record share a head


def head_of(part, layers):
    """-> (layer, head) of a part in a model of so many layers."""
    head = {"pointer": POINTER_HEAD, "reader": READER_HEAD, "scan": SCAN_HEAD}.get(part, BRINGER_HEAD)
    return layers - 1 - (part in ("reason", "record")), head
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"
WORD = re.compile(r"[A-Za-z]\w*")
ENTRY = re.compile(r"(?<=[:,] )([\w-]+) ([^,:;]*?) (yes|no)(?=[,.])")  # of reasoning: a record, what counts of it, whether it fits
PHRASE = re.compile(r"(?:Plan: |; )([^:;]+): \w")  # of a plan: words of the request that a tool is for
GIVEN = re.compile(r", ([^,:;]+) for \w+(?=[,;.])")  # of a plan: words of the request that a call is given
FITTING = re.compile(r"(?:Fit: |So )([\w, -]+)\.")
VALUE = re.compile(r'parameter name="[^"]+" string="(true|false)">([^<]*)<')
RECORD = re.compile(r'"id":"?([^",}]+)"?([^{}]*)')
NUMBER = re.compile(r"-?\d\d+-?")  # of a date, an amount
ID = re.compile(r"[\w-]+")
CALLED = re.compile(r'invoke name="([^"]+)"|parameter name="([^"]+)"')
FOR = re.compile(r" for (\w+)(?=[,;.])")  # of reasoning: "open for state"
RESERVED = ("submit_result", "refuse")  # tools of every task


@dataclasses.dataclass
class Taught:
    """Of one span: rows int64 [n], counted from its begin, and places bool [n, context + rows of the span]."""

    rows: torch.Tensor
    places: torch.Tensor


@dataclasses.dataclass
class Marks:
    """Of a pack: rows int64 [n], wanted f32 [n]: 1 where the stream shall carry the mark at that row, 0 where it shall not."""

    rows: torch.Tensor
    wanted: torch.Tensor


MARK_SCALE, MARK_LEAST = 2.0, 2.0  # of a mark in the normed stream, and what it must exceed: most rows carry none
MARKS = 2  # that a field was asked for, two layers below the last one's output; that a record is meant, one layer below


def mark_direction(config, mark, device):
    """Of the residual stream: a share of the channels that nothing else was put in, of signs by turns."""
    at = copying.Channels.of(config)
    channels = range(1 + copying.held_channels(at) + mark, at.at_p, MARKS)
    out = torch.zeros(config.hidden_size, device=device)
    for i, channel in enumerate(channels):
        out[channel] = (-1.0) ** i / len(channels) ** 0.5
    return out


def loss_of_marks(x, marks, direction):
    """x [rows, hidden]: a layer's input -> mean binary cross-entropy."""
    of = x[marks.rows].float()
    of = of * torch.rsqrt(of.square().mean(-1, keepdim=True) + 1e-6)
    return F.binary_cross_entropy_with_logits(of @ direction * MARK_SCALE - MARK_LEAST, marks.wanted)


def _marks(wanted, device):
    if not wanted:
        return None
    rows = sorted(wanted)
    return Marks(torch.tensor(rows, device=device), torch.tensor([float(wanted[row]) for row in rows], device=device))


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
        """-> {span number: (Taught or None of each of PARTS)}, and Marks or None of each mark"""
        tokens, learn = pack.tokens.tolist(), pack.learn.tolist()
        prefixes, out, marked = {}, {}, [{} for _ in range(MARKS)]
        for number, span in enumerate(pack.spans):
            key = (span.prefix_begin, span.prefix_end)
            if key not in prefixes:
                prefixes[key] = self._definitions(tokens[slice(*key)])
            own = tokens[span.begin : span.end]
            *found, marks = self._sequence(tokens[slice(*key)], own, learn[span.begin : span.end], prefixes[key])
            for into, wanted in zip(marked, marks):
                into.update({span.begin + row: yes for row, yes in wanted.items()})
            size = span.context + len(own)
            if any(found):
                out[number] = tuple(_taught(places, size, pack.tokens.device) for places in found)
        return out, [_marks(wanted, pack.tokens.device) for wanted in marked]

    def _laid_out(self, ids):
        """-> text, and where in it each token begins."""
        begins, parts, at = [], [], 0
        for i in ids:
            begins.append(at)
            parts.append(self.texts[i])
            at += len(self.texts[i])
        return "".join(parts), begins

    def _definitions(self, ids):
        """{tool: tools.Definition}"""
        return tools.definitions(ids, *self._laid_out(ids), self.stem)

    def _sequence(self, prefix, own, learn, definitions):
        """-> {row: places} of each of PARTS; {row: wanted or not} of each mark"""
        found = tuple({} for _ in PARTS)
        if self.user not in own:
            read = _Read(own, 0, (), {}, found)
            for definition in self._definitions(own).values():  # what tells of a tool brings along how its name begins
                read.teach("record", {place + 1: definition.name[:1] for place in definition.words})
                told = [definition.name[definition.telling]]  # and what it takes, the word that no other name has
                read.teach("record", {place + 1: told for places in definition.takes.values() for place in places})
            return *found, [{}] * MARKS
        first = own.index(self.user) + 1
        last = own.index(self.assistant, first) if self.assistant in own[first:] else len(own)
        read = _Read(prefix + own, len(prefix), range(len(prefix) + first, len(prefix) + last), definitions, found)
        words = {self.stem[read.whole[i]] for i in read.request if read.whole[i] in self.stem} - tools.GENERAL
        numbers = {read.whole[i] for i in read.request if NUMBER.fullmatch(self.texts[read.whole[i]])}
        asked = {i for i in read.spots if self.stem.get(i) in words} | numbers
        marks, ends, said = {}, [], set()  # {row: asked for}; (row that ends a record, its id); ids that calls say
        at = 0
        while at < len(own):
            begin = at + 1  # own[begin, end): a turn of the agent, or what stands between two
            while at < len(own) and learn[at] == learn[begin - 1]:
                at += 1
            places = range(len(prefix) + begin, min(len(prefix) + at + 1, len(read.whole)))
            if learn[begin - 1]:
                said |= self._turn(read, places)
            elif begin - 1 > last:
                ends += self._results(read, places, asked, marks)
        return *found, [marks, {row: name in said for row, name in ends}]

    def _results(self, read, stretch, asked, marks):
        """The fields of each record of a result bring its id along, and so does its end. -> [(row that ends a record, its id)]"""
        ends = []
        text, begins = self._laid_out([read.whole[i] for i in stretch])
        for found in RECORD.finditer(text):
            name = [stretch[i] for i in inside(begins, *found.span(1))]
            body = [stretch[i] for i in inside(begins, *found.span(2))]
            fields = [i for i in body if any(c.isalnum() for c in self.texts[read.whole[i]]) and "{" not in self.texts[read.whole[i]]]
            if not name or not fields:
                continue
            closed = [i for i in range(fields[-1], stretch.stop) if "}" in self.texts[read.whole[i]]][:1]
            read.teach("record", {place + 1: [name[-1]] for place in fields + closed})
            marks.update({place - read.context: read.whole[place] in asked for place in fields})
            meant = [i for i in fields if read.whole[i] in asked]
            read.records[found[1]] = _Record(name, fields, (meant or fields) + closed)
            ends += [(place - read.context, found[1]) for place in closed]
        return ends

    def _turn(self, read, stretch):
        """-> ids of records that its calls say"""
        ids = set()
        text, begins = self._laid_out([read.whole[i] for i in stretch])
        within = lambda *span: [stretch[i] for i in inside(begins, *span)]
        thought = text.find("</think>")
        for word in WORD.finditer(text):
            if word[0] in read.definitions or word[0] in RESERVED:
                self._name(read, word[0], within(*word.span()), text, word.start(), within)
        self._parameters(read, text, thought, within)
        if thought > 0:
            self._plan(read, text[: max(0, text.find("Order: ", 0, thought))], within)
            self._reasoning(read, text[:thought], within)
        for kind, written in ((m[1], m.span(2)) for m in VALUE.finditer(text)):
            value = within(*written)
            for place in value:
                there = self._read(read, place, value)
                if there:
                    read.teach("pointer", {place: there})
            for name in ID.finditer(text, *written):  # one, or those of a list
                record = read.records.get(name[0])
                if record is not None:
                    ids.add(name[0])
                    if thought <= 0:  # where the agent reasoned, it has said the id before
                        read.teach("reader", {within(*name.span())[-1]: record.tells})
        return ids

    def _parameters(self, read, text, thought, within):
        """What a call is given under: as the definition of its tool has it, which is found by the name said last."""
        planned = max(0, text.find("Order: ", 0, thought))
        entries = [m for m in WORD.finditer(text, 0, planned) if m[0] in read.definitions]
        called = [m for m in CALLED.finditer(text) if m[1]]
        named = [(m[1], m.span(1)) for m in FOR.finditer(text, 0, max(thought, 0))] + [(m[2], m.span(2)) for m in CALLED.finditer(text) if m[2]]
        for name, span in named:
            if span[0] < planned:
                tool = next((m[0] for m in reversed(entries) if m.start() < span[0]), None)
            else:
                tool = next((m[1] for m in reversed(called) if m.start() < span[0]), called[0][1] if called else None)
            definition, places = read.definitions.get(tool), within(*span)
            there = definition.takes.get(name, []) if definition else []
            alike = [at for place, at in zip(places, there) if read.whole[at] == read.whole[place]]
            if not alike or alike[0] != there[0]:
                continue
            read.teach("pointer", {place: [at] for place, at in zip(places, there) if at in alike})
            said = [mention for mention in read.mentions.get(tool, []) if len(mention) == len(definition.name) and mention[-1] < places[0]]
            if said:
                read.teach("reason", {places[0]: [said[-1][definition.telling]]})

    def _name(self, read, said, name, text, at, within):
        """A tool's name points to where it was said before, and to definitions; the first time it is for words of the request."""
        tokens = [read.whole[i] for i in name]
        before = [places for places in read.mentions.get(said, []) if [read.whole[i] for i in places] == tokens]
        if before and "</think>" in text:  # it follows from what was said: that very mention, not one that begins alike
            there = [[mention[k] for mention in before] for k in range(len(name))]
        else:
            there = _alike(read.whole, name, [*(d.name for d in read.definitions.values()), *before])
        read.teach("pointer", {place: places for place, places in zip(name, there) if places})
        read.mentions.setdefault(said, []).append(name)
        if said in RESERVED or (before and "</think>" in text):
            return
        stems = {self.stem.get(i) for i in tokens} - tools.GENERAL - {None}
        phrase = self._phrase(text, at, within)
        spoken = [*read.request, *phrase]
        alike = lambda stems: [i for i in spoken if self.stem.get(read.whole[i]) in stems]
        why = alike(stems)
        if not why:
            body = text[at : text.find("invoke name=", at) if "invoke name=" in text[at:] else len(text)]
            values = [i for m in VALUE.finditer(body) for i in within(at + m.start(2), at + m.end(2))]
            values = {read.whole[i] for i in values if self.texts[read.whole[i]].isalnum()}
            why = [i for i in read.request if read.whole[i] in values]
        if why:  # of each token of the name its own word, where there is one
            read.teach("reason", {place: alike({self.stem.get(read.whole[place])} & stems) or why for place in name})
        told = self._told(read, read.definitions.get(said), phrase)
        if told and self.stem.get(tokens[0]) not in tools.GENERAL | {self.stem.get(read.whole[i]) for i in read.request}:
            read.teach("reader", {name[0]: told})
            read.teach("reason", {name[0]: alike({self.stem[read.whole[i]] for i in told})})

    def _phrase(self, text, at, within):
        """Places of what an entry of a plan says before the name at `at`."""
        begin = max([text.rfind(mark, 0, at) + len(mark) for mark in ("; ", "Plan: ") if mark in text[:at]], default=at)
        return within(begin, at)

    def _told(self, read, definition, phrase):
        """Places in a definition of words that were said of the tool in the plan, or else of those that the request has."""
        if definition is None:
            return []
        request = {self.stem.get(read.whole[i]) for i in read.request}
        phrase = {self.stem.get(read.whole[i]) for i in phrase} & request
        alike = lambda stems: [i for i in definition.words if self.stem[read.whole[i]] in stems]
        return alike(phrase) or alike(request)

    def _plan(self, read, text, within):
        """Words of the request that stand in a plan are where the request has them in that order."""
        request = [read.whole[i] for i in read.request]
        for found in (*PHRASE.finditer(text), *GIVEN.finditer(text)):
            phrase = within(*found.span(1))
            said = [read.whole[i] for i in phrase]
            begins = [i for i in range(len(request) - len(said) + 1) if request[i : i + len(said)] == said]
            if said and begins:
                read.teach("pointer", {place: [read.request[i + k] for i in begins] for k, place in enumerate(phrase)})

    def _reasoning(self, read, text, within):
        """Records that reasoning goes through: those that fit are said again, by way of where it says so."""
        fitting = {}
        for entry in ENTRY.finditer(text):
            name, shown, verdict = (within(*entry.span(part)) for part in (1, 2, 3))
            self._entry(read, name, shown, read.records.get(entry[1]))
            if entry[3] == "yes" and name and verdict:
                read.teach("record", {verdict[0] + 1: [name[-1]]})
                fitting.setdefault(entry[1], []).append(verdict[0])
        for found in FITTING.finditer(text):
            for name in ID.finditer(text, *found.span(1)):
                if name[0] in fitting:
                    read.teach("reader", {within(*name.span())[-1]: fitting[name[0]]})

    def _entry(self, read, name, shown, record):
        """Its id and what is told of a record are where they were read."""
        if record is None or [read.whole[i] for i in name] != [read.whole[i] for i in record.name]:
            return
        read.teach("scan", {place: [there] for place, there in zip(name, record.name)})
        for place in shown:
            there = [i for i in record.fields if read.whole[i] == read.whole[place]]
            if there:
                read.teach("scan", {place: there})

    def _read(self, read, place, value):
        """Where a value's token was read: places before it with the same neighbour, of the request where it is there."""
        token = read.whole[place]
        if not any(c.isalnum() for c in self.texts[token]):
            return []
        near = -1 if place != value[0] else 1
        alone = len(value) == 1
        same = [i for i in read.spots[token] if i < value[0] and (alone or (0 <= i + near < value[0] and read.whole[i + near] == read.whole[place + near]))]
        return [i for i in same if i in read.request] or same


@dataclasses.dataclass
class _Record:
    """Places of a record that was read: of its id, of its fields, of what tells that it is meant."""

    name: list
    fields: list
    tells: list


class _Read:
    """A sequence and what was found in it so far. Places count from the prompt's begin, rows from the sequence's own."""

    def __init__(self, whole, context, request, definitions, found):
        self.whole, self.context, self.request, self.definitions = whole, context, request, definitions
        self.records, self.mentions, self.spots = {}, {}, {}
        self.found = dict(zip(PARTS, found))
        for place, token in enumerate(whole):
            self.spots.setdefault(token, []).append(place)

    def teach(self, part, places):
        """{place of a token: where the row before it, which says it, shall look}"""
        self.found[part].update({place - 1 - self.context: there for place, there in places.items()})


def _alike(whole, name, definitions):
    """For each token of a name: where the names that begin with the same tokens have it; what comes later can't tell them apart there."""
    known = [(places, [whole[i] for i in places]) for places in definitions]
    said = [whole[i] for i in name]
    return [[places[k] for places, tokens in known if tokens[: k + 1] == said[: k + 1]] for k in range(len(said))]


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
    with torch.autocast(q.device.type, enabled=False):  # f32 has kernels for every shape
        scores = (q[asked].float() @ keys.float().T) * scale
    seen = torch.arange(scores.shape[1], device=q.device) <= context + taught.rows[:, None]
    logs = scores.masked_fill(~seen, float("-inf")).log_softmax(-1)
    return -torch.logsumexp(logs.masked_fill(~taught.places, float("-inf")), -1).sum()
