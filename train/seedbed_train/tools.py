"""Tools as a prompt defines them: places of their names, of what tells of them, of what they take."""

import dataclasses
import re
from collections import Counter

DEFINED = re.compile(r'\{"name": "([^"]+)", "description": "((?:[^"\\]|\\.)*)"')
TAKEN = re.compile(r'"(\w+)": \{"(?:type|enum)"')  # of a tool's definition: what it takes
NO_PARAMETER = ("parameters", "items")
# Words of names and descriptions that say nothing of the request.
GENERAL = {"list", "find", "get", "show", "s", "of", "to", "up", "a", "an", "the", "by", "in", "is", "it", "and", "for", "from", "with"}


@dataclasses.dataclass
class Definition:
    """Places of a tool's name, of the words that tell of it: the later ones of its name, those of its description; and of what it takes."""

    name: list
    words: list
    takes: dict  # {parameter: places}
    telling: int = 0  # which token of the name is in the fewest others


def definitions(ids, text, begins, stem):
    """ids: a prompt's tokens; text: theirs; begins: where in it each begins; stem: {token: its word's}. -> {tool: Definition}"""
    out = {}
    all_found = [*DEFINED.finditer(text)]
    for found, end in zip(all_found, [*(each.start() for each in all_found[1:]), len(text)]):
        name, told = (inside(begins, *found.span(part)) for part in (1, 2))
        words = [i for i in name[1:] + told if stem.get(ids[i], "a") not in GENERAL]
        takes = {m[1]: inside(begins, *m.span(1)) for m in TAKEN.finditer(text, found.end(), end) if m[1] not in NO_PARAMETER}
        if name:
            out[found[1]] = Definition(name, words, takes)
    spoken = Counter(ids[i] for definition in out.values() for i in definition.name)
    for definition in out.values():
        definition.telling = min(range(len(definition.name)), key=lambda k: (spoken[ids[definition.name[k]]], -k))
    return out


def inside(begins, first, last):
    """Numbers of the tokens that begin in text [first, last)."""
    return [i for i, begin in enumerate(begins) if first <= begin < last]
