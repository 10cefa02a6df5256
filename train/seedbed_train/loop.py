"""One run: stages of steps over a stream of packs. Everything that a step depends on lies in state.pt, so that a run
that was killed goes on to the very weights that it would have had."""

import json
import math
import os
import sys
import time
from pathlib import Path

import torch

from . import checkpoint, copying, data, hints, lanes, renaming
from .attention import Mode
from .config import Config
from .errors import TrainError
from .evaluate import evaluate
from .grain import GRAIN
from .model import Model
from .optim import Optimizers, schedule
from .recipe import read_recipe  # noqa: F401 (part of this module's interface)
from .words import plain_words, rare_words


class Run:
    def __init__(self, recipe, records, out, held_out=None, device="cpu", threads=0, quiet=False, tokenizer=None):
        self.tokenizer = tokenizer  # file; for stages that rename
        self.recipe, self.records, self.held_out, self.out, self.quiet = recipe, records, held_out, Path(out), quiet
        if threads:
            torch.set_num_threads(threads)
        self.threads = torch.get_num_threads()
        self.device = torch.device(device)
        self.autocast = bool(recipe.get("bf16", True)) and (self.device.type == "cuda" or _cpu_has_bf16())
        self.config = Config.from_dict(recipe["model"], "recipe")
        self.model = Model(self.config).initialise(recipe["seed"])
        if recipe.get("start") == "copying":
            copying.put_in(self.model, recipe["seed"], plain_words(tokenizer) if tokenizer else None)
        self.model.to(self.device)
        self.hold = self._hold()
        self.model.train()
        self.step, self.stage, self.stage_step, self.tokens, self.seconds = 0, 0, 0, 0, 0.0
        self.place = (0, 0)  # epoch, pack
        self.optimizers, self.hinter = None, None
        self.out.mkdir(parents=True, exist_ok=True)
        if (self.out / "state.pt").exists():
            self._resume()
        else:
            self._cut_metrics()  # of a run that was killed before its first save
            self._begin_stage()

    # ---- state ----

    def _identity(self):
        return {"model": self.config.to_dict(), "seed": self.recipe["seed"], "tokenizer": self.records.tokenizer}

    def save(self):
        state = {
            "identity": self._identity(),
            "data": self.records.digest,
            "model": self.model.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "at": [self.step, self.stage, self.stage_step, self.tokens, self.seconds],
            "place": self.place,
        }
        fresh = self.out / "state.pt.new"
        with fresh.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.out / "state.pt")

    def _resume(self):
        file = self.out / "state.pt"
        try:
            state = torch.load(file, map_location=self.device, weights_only=True)
            identity, at = state["identity"], state["at"]
        except Exception as error:
            raise TrainError("training state", file, f"cannot be read: {error}", "restore it, or begin in another folder") from None
        if identity != self._identity():
            changed = [k for k, v in self._identity().items() if identity.get(k) != v]
            todo = "give the recipe and data it was begun with, or another folder"
            raise TrainError("training state", file, f"is of another run: {', '.join(changed)} differ", todo)
        self.step, self.stage, self.stage_step, self.tokens, self.seconds = at
        self.model.load_state_dict(state["model"])
        # Other data (more of it) begins at its own start; the same data go on where they were.
        self.place = tuple(state["place"]) if state["data"] == self.records.digest else (0, 0)
        self._begin_stage(self.stage_step)
        if self.stage < len(self.recipe["stages"]) and state["optimizers"]:
            self.optimizers.load_state_dict(state["optimizers"])
        self._cut_metrics()

    def _cut_metrics(self):
        """Lines of steps that were lost with the process that made them."""
        file = self.out / "metrics.jsonl"
        if not file.exists():
            return
        kept = []
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= self.step:
                    kept.append(line + "\n")
            except (ValueError, KeyError):
                break
        fresh = file.with_suffix(".new")
        fresh.write_text("".join(kept), encoding="utf-8")
        os.replace(fresh, file)

    def _begin_stage(self, at=0):
        self.stage_step = at
        if self.stage >= len(self.recipe["stages"]):
            return
        stage = self.recipe["stages"][self.stage]
        self.optimizers = Optimizers(self.model, stage)
        self.stream = data.Stream(
            self.records,
            stage["rows"],
            self.recipe["seed"],
            stage.get("prompt_weight", 0.2),
            *self.place,
            window=stage.get("window", 0),
            renaming=self._renaming(stage.get("renamed", 0.0)),
            beginnings=stage.get("beginnings", 0.0),
        )

    def _words_needed(self, key):
        if not self.tokenizer:
            raise TrainError("recipe", key, "needs to know which tokens are words", "name --tokenizer FILE")

    def _hold(self):
        speed, common = self.recipe.get("circuit", 1.0), self.recipe.get("rare", 0.0)
        if self.recipe.get("start") != "copying" or speed >= 1:
            return None
        rare = ()
        if common:
            self._words_needed("rare")
            rare = rare_words(self.records, plain_words(self.tokenizer), self.config.vocab_size, common)
        return copying.Hold(self.model, speed, rare)

    def _renaming(self, share):
        if not share:
            return None
        self._words_needed("renamed")
        common = self.recipe.get("rare") or renaming.COMMON
        return renaming.Renaming(self.records, self.tokenizer, self.config.vocab_size, self.recipe["seed"], share, common)

    def _hint(self, pack, mode):
        """What heads and the stream are taught on a pack (hints.py)."""
        (found, marked), last = self.hinter.of(pack), self.config.num_hidden_layers - 1
        taught = lambda part: {number: parts[part] for number, parts in found.items() if parts[part] is not None}
        mode.hints = [(*hints.head_of(name, last + 1), taught(part)) for part, name in enumerate(hints.PARTS)]
        below = [(last + 1 - hints.MARKS + mark, marks, self.marks[mark]) for mark, marks in enumerate(marked)]
        mode.marks = [each for each in below if each[0] > 0 and each[1] is not None]

    # ---- steps ----

    def train(self, minutes=math.inf, save_every=120.0):
        """Until the recipe is done (-> True) or the time is up (-> False)."""
        begin = last_save = time.monotonic()
        while self.stage < len(self.recipe["stages"]):
            stage = self.recipe["stages"][self.stage]
            while self.stage_step < stage["steps"]:
                if time.monotonic() - begin > minutes * 60:
                    self.save()
                    return False
                self._one(stage)
                if time.monotonic() - last_save > save_every:
                    self.save()
                    last_save = time.monotonic()
            self._next_stage()
            self.save()
        return True

    def _next_stage(self):
        """More of the same goes on where it was: with the optimizers' state, in the order of the packs."""
        same = lambda key, default=None: len({stage.get(key, default) for stage in self.recipe["stages"][self.stage : self.stage + 2]}) == 1
        carried = self.optimizers.state_dict() if same("stage") and same("optimizer", "muon") else None
        if carried is None or not same("window", 0):
            self.place = (0, 0)
        self.stage += 1
        self._begin_stage()
        if carried is not None and self.stage < len(self.recipe["stages"]):
            self.optimizers.load_state_dict(carried)

    def _one(self, stage):
        begin = time.monotonic()
        kind = stage["stage"]
        if stage.get("hint_weight") and self.hinter is None:
            self.marks = [hints.mark_direction(self.config, mark, self.device) for mark in range(hints.MARKS)]
            self._words_needed("hint_weight")
            self.hinter = hints.Hinter(self.tokenizer, self.config.vocab_size)
        generator = torch.Generator().manual_seed(self.recipe["seed"] * 1_000_003 + self.step)
        share = stage.get("prompt_share", 1.0)
        packs = [self.stream.next().thin(share, generator).to(self.device) for _ in range(stage["packs"])]
        rows = sum(p.rows for p in packs)
        if kind == "dense" and not stage.get("window"):  # stretches of one length are one batch as they are
            packs = [p.filled(GRAIN) for p in packs]
        weight = float(sum(p.weights.sum() for p in packs))
        sums = {}
        self.optimizers.zero_grad()
        parameters = self.optimizers.parameters()
        modes = [Mode(kind, probes=stage.get("probes", 64), generator=generator) for _ in packs]
        work = lambda pack, mode: self._gradients(stage, pack, mode, parameters, weight, len(packs))
        # Packs that draw nothing at random may be worked on side by side; they are added in their order.
        several = self.threads if kind == "dense" and self.device.type == "cpu" else 1
        for gradients, out in lanes.each(work, packs, modes, several):
            for parameter, gradient in zip(parameters, gradients):
                if gradient is not None:
                    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
            for key, value in out.items():
                sums[key] = sums.get(key, 0) + value
        if self.hold:
            self.hold.gradients()
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, stage.get("clip", 1.0)))
        language = float(sums["language"][0] / sums["language"][1])
        if not math.isfinite(norm) or not math.isfinite(language):
            todo = f"the state of the last save is untouched in {self.out}; lower lr and run again"
            raise TrainError("training", f"step {self.step}", f"loss {language}, gradient norm {norm}", todo)
        factor = schedule(self.stage_step, stage["steps"], stage["warmup"], stage["decay"])
        if self.hold:
            self.hold.step(self.optimizers, factor)
        else:
            self.optimizers.step(factor)
        worst = max((m.rebalance(stage.get("balance", 1e-3) if kind != "warmup" else 0.0) for m in self.model.moes), default=1.0)
        self.step += 1
        self.stage_step += 1
        self.place = (self.stream.epoch, self.stream.index)
        self.tokens += rows
        seconds = time.monotonic() - begin
        self.seconds += seconds
        line = {"step": self.step, "stage": kind, "loss": language, "grad_norm": norm, "lr": factor, "tokens": self.tokens, "rows": rows}
        line.update({"seconds": round(self.seconds, 2), "load_max": round(worst, 3), "epoch": self.stream.epoch})
        agent = sums["agent"]
        line["agent_loss"], line["agent_right"] = float(agent[0] / max(1, agent[1])), float(agent[2] / max(1, agent[1]))
        for key in ("index", "mtp", "hint", "marks"):
            if key in sums:
                line[key] = float(sums[key][0] / sums[key][1].clamp_min(1))
        every = self.recipe.get("evaluate_every", 0)
        if self.held_out is not None and every and self.step % every == 0:
            packs_at_most = self.recipe.get("evaluate_packs", 8)
            line["held_out"] = evaluate(self.model, self.held_out, stage["rows"], kind, self.device, self.autocast, packs_at_most)
        with (self.out / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._show(line, stage, rows / seconds)

    def _gradients(self, stage, pack, mode, parameters, weight, packs):
        """Of one pack of a step: gradients by parameter (None: it has no part in the loss), and the losses' sums."""
        if stage.get("hint_weight"):
            self._hint(pack, mode)
        mtp = stage.get("mtp_weight", 0.0)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            out = self.model.losses(pack, mode, mtp > 0)
        loss = torch.zeros((), device=self.device)
        if mode.stage != "warmup":
            loss = out["language"][0] / weight
            if "mtp" in out:
                loss = loss + mtp * out["mtp"][0] / weight
        if "hint" in out:
            loss = loss + stage["hint_weight"] * out["hint"][0] / out["hint"][1].clamp_min(1) / packs
        if "marks" in out:
            loss = loss + stage["hint_weight"] * out["marks"][0] / packs
        if "index" in out:
            loss = loss + out["index"][0] / out["index"][1] / packs
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        return gradients, {key: value.detach().double().cpu() for key, value in out.items()}

    def _show(self, line, stage, rate):
        if self.quiet:
            return
        left = (stage["steps"] - self.stage_step) * (line["rows"] / rate)
        held = line.get("held_out")
        text = f"{line['stage']} {self.stage_step}/{stage['steps']}  loss {line['loss']:.3f}  "
        text += f"agent {line['agent_loss']:.3f} ({100 * line['agent_right']:.1f} %)  "
        text += f"{rate:.0f} tokens/s  left {left / 60:.0f} min"
        if held:
            shares = ", ".join(f"{name} {100 * held[name + '_right']:.1f} %" for name in ("agent", "turns", "episodes"))
            text += f"\nheld out: loss {held['agent_loss']:.3f}, right: {shares}"
        print(text, file=sys.stderr, flush=True)

    def write_model(self, directory, dtype=torch.bfloat16, extra_files=()):
        checkpoint.write(self.model, directory, dtype, extra_files, self.recipe.get("thinking"))


def _cpu_has_bf16():
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
