"""Recipes: a model's sizes, and the stages of its training. Read without torch, checked before anything begins."""

import dataclasses
import difflib
import json
import math
from pathlib import Path

from .config import Config
from .errors import TrainError

STAGES = ("dense", "warmup", "sparse")
REQUIRED = object()


@dataclasses.dataclass(frozen=True)
class Field:
    """One key: what it may hold. kind: int, float, bool, str or dict; bounds are inclusive."""

    name: str
    kind: type
    about: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple = ()
    default: object = REQUIRED

    def wanted(self):
        """In words."""
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        if self.kind in (int, float):
            number = "a whole number" if self.kind is int else "a number"
            return f"{number} from {self.low:g} to {self.high:g}"
        return {bool: "true or false", str: "text", dict: "an object"}[self.kind]

    def holds(self, value):
        """Whether the value is of this field's kind and in its bounds. JSON's true is no number here."""
        if self.choices:
            return value in self.choices and not (isinstance(value, int) and not isinstance(value, bool))
        if self.kind in (int, float):
            numbers = (int,) if self.kind is int else (int, float)
            return isinstance(value, numbers) and not isinstance(value, bool) and math.isfinite(value) and self.low <= value <= self.high
        return isinstance(value, self.kind)


RECIPE = (
    Field("model", dict, "sizes, as the published config.json names them"),
    Field("seed", int, "of the weights and of every order", 0, 2**32),
    Field("stages", list, "one after the other"),
    Field("start", str, "weights drawn alone, or with a circuit that copies put in (copying.py)", choices=("drawn", "copying"), default="drawn"),
    Field("circuit", float, "speed at which that circuit learns, as a share of the rates; below 1 the tokens' codes stay", 0, 1, default=1.0),
    Field("rare", float, "words in at most this share of the environments share all but their codes; 0: none; needs circuit < 1", 0, 1, default=0.0),
    Field("what", str, "what this recipe is for", default=""),
    Field("data", dict, "what train/make_model.py generates, plays and exports for it", default=None),
    Field("longest", int, "sequences of more tokens are left out", 16, 2**20, default=8192),
    Field("split", str, "of the exports' environments", choices=("train", "heldout", None), default="train"),
    Field("thinking", bool, "one form of the chat format alone; absent: both", choices=(True, False, None), default=None),
    Field("bf16", bool, "products in bf16 where the processor has it", default=True),
    Field("evaluate_every", int, "steps between measures on held-out exports; 0: none", 0, 10**9, default=0),
    Field("evaluate_packs", int, "packs of such a measure; 0: all", 0, 10**9, default=8),
)

STAGE = (
    Field("stage", str, "which part of the DSA recipe", choices=STAGES),
    Field("steps", int, "optimiser steps", 1, 10**9),
    Field("rows", int, "tokens of a pack", 16, 2**20),
    Field("packs", int, "packs of a step", 1, 4096),
    Field("lr", dict, "learning rates: matrix, other, indexer"),
    Field("warmup", int, "steps up to the full rate", 0, 10**9),
    Field("decay", int, "last steps, down to nought", 0, 10**9),
    Field("optimizer", str, "of the matrices inside layers", choices=("muon", "adamw"), default="muon"),
    Field("window", int, "tokens of a stretch of a sequence, which is then all that is seen of it; 0: whole sequences", 0, 2**20, default=0),
    Field("renamed", float, "share of the packs in which rare words stand for one another (renaming.py); needs --tokenizer", 0, 1, default=0.0),
    Field("beginnings", float, "share of the sequences that end with what the agent says first, drawn anew each epoch", 0, 1, default=0.0),
    Field("prompt_share", float, "of those tokens, the share whose loss is computed, drawn at random and weighed up", 1e-3, 1, default=1.0),
    Field("prompt_weight", float, "of the loss on tokens that the agent did not say", 0, 1, default=0.2),
    Field("mtp_weight", float, "of the prediction layer's loss", 0, 10, default=0.0),
    Field("hint_weight", float, "of the loss on where four heads look and on two marks (hints.py), in a dense stage; needs --tokenizer", 0, 10, default=0.0),
    Field("weight_decay", float, "of Muon's matrices", 0, 10, default=0.0),
    Field("clip", float, "largest norm of the gradient", 1e-6, 1e6, default=1.0),
    Field("balance", float, "speed of the experts' balancing", 0, 1, default=1e-3),
    Field("probes", int, "rows of a span that the indexer's loss is taken on; 0: all", 0, 2**20, default=64),
)

RATES = (
    Field("matrix", float, "learning rate of Muon", 0, 10, default=None),
    Field("embedding", float, "learning rate of the embedding; absent: other's", 0, 10, default=None),
    Field("other", float, "learning rate of AdamW", 0, 10, default=None),
    Field("indexer", float, "learning rate of the indexers", 0, 10, default=None),
)


def rates_needed(stage):
    """Which of a stage's learning rates are read (optim.py)."""
    if stage["stage"] == "warmup":
        return ("indexer",)
    needed = ("matrix", "other") if stage.get("optimizer", "muon") == "muon" else ("other",)
    return needed + (("indexer",) if stage["stage"] == "sparse" else ())


def check_fields(fields, raw, where):
    """Every key known, every value what its field may hold, nothing missing."""
    if not isinstance(raw, dict):
        raise TrainError("recipe", where, f"found {type(raw).__name__}, wanted an object", "see train/recipes/")
    known = {field.name: field for field in fields}
    for key in raw:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1, 0.5)
            todo = f"did you mean {near[0]!r}?" if near else "remove it"
            raise TrainError("recipe", where, f"unknown key {key!r}, wanted one of {', '.join(known)}", todo)
    for field in fields:
        if field.name not in raw:
            if field.default is REQUIRED:
                raise TrainError("recipe", where, f"has no {field.name!r}, wanted {field.about}", "add it")
        elif field.kind is not list and not field.holds(raw[field.name]):
            raise TrainError("recipe", where, f"{field.name}: found {raw[field.name]!r}, wanted {field.wanted()}", "correct it")


def check(recipe, where):
    """-> the recipe; TrainError names what is wrong with it."""
    check_fields(RECIPE, recipe, where)
    Config.from_dict(recipe["model"], f"{where}, model")
    if not isinstance(recipe["stages"], list) or not recipe["stages"]:
        raise TrainError("recipe", where, f"stages: found {recipe['stages']!r}, wanted a list of stages", "give one at least")
    for i, stage in enumerate(recipe["stages"]):
        at = f"{where}, stage {i}"
        check_fields(STAGE, stage, at)
        check_fields(RATES, stage["lr"], f"{at}, lr")
        sizes = recipe["model"]
        room = sizes["num_attention_heads"] > 2 and sizes["num_hidden_layers"] > 1
        if stage.get("hint_weight") and (stage["stage"] != "dense" or not room):
            raise TrainError("recipe", at, "hint_weight in what is no dense stage of three heads and two layers at least", "leave it out")
        for rate in rates_needed(stage):
            if rate not in stage["lr"]:
                raise TrainError("recipe", f"{at}, lr", f"has no {rate!r}, which the stage {stage['stage']} learns with", "add it")
    return recipe


def read_recipe(path):
    """The recipe in a JSON file."""
    try:
        recipe = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainError("recipe", path, str(error), "give a recipe, for instance train/recipes/cpu.json") from None
    return check(recipe, path)
