"""Writes a shipped model's card (README.md) from what was measured: the run, its recipe, evaluations, recall.

    python train/card.py --model models/sprout --recipe train/recipes/cpu.json --run build/train/cpu/run \
                         --evaluation eval.json [--measure measure.json] --hardware "2 cores of a shared AMD EPYC"

Instead of --run, --report takes a file of bench/results that holds what a run's metrics said, and the commit that it was made at.
Nothing is typed in by hand: a number that no file holds does not appear.
"""

import argparse
import json
from pathlib import Path

SUITES_WANTED = {
    "compact-l1": "recipe cpu: at least 25 %",
    "compact-l2": "recipe gpu: at least 60 % with level 1",
    "compact-heldout": "recipe gpu: at least 35 %",
}


def percent(value):
    return f"{100 * value:.1f} %"


def interval(estimate):
    return f"{percent(estimate['value'])} ({100 * estimate['low']:.0f} to {100 * estimate['high']:.0f})"


def first(estimates, k=1):
    return next((e for e in estimates if e["k"] == k), None)


def stage_lines(metrics):
    """One row a stage as it was run: steps, loss and share right in its last twenty."""
    rows, at = [], 0
    while at < len(metrics):
        end = at
        while end < len(metrics) and metrics[end]["stage"] == metrics[at]["stage"]:
            end += 1
        part = metrics[at:end]
        mean = lambda lines, key: sum(line[key] for line in lines) / len(lines)
        rows.append((part[0]["stage"], len(part), mean(part[-20:], "agent_loss"), mean(part[-20:], "agent_right")))
        at = end
    return rows


class Told:
    """What is told of a run: from its metrics, or from a report that was kept of them."""

    def __init__(self, options):
        self.commit = self.what = None
        if options.report:
            report = json.loads(options.report.read_text())
            self.commit, self.what = report["commit"], report.get("what")
            self.steps, self.tokens, self.seconds = report["steps"], report["tokens"], report["seconds_of_steps"]
            self.stages = [(s["stage"], s["steps"], s["agent_loss_last_20"], s["agent_right_last_20"]) for s in report["stages"]]
            self.held = [(line["step"], line) for line in report["held_out"]]
            return
        metrics = [json.loads(line) for line in (options.run / "metrics.jsonl").read_text().splitlines()]
        self.steps, self.tokens, self.seconds = (metrics[-1][key] for key in ("step", "tokens", "seconds"))
        self.stages = stage_lines(metrics)
        self.held = [(line["step"], line["held_out"]) for line in metrics if "held_out" in line]


def scores(evaluation):
    out = ["| suite | " + " | ".join(p["label"] for p in evaluation["policies"]) + " |", "|---|" + "---|" * len(evaluation["policies"])]
    names = [s["name"] for s in evaluation["suites"]]
    for name in names:
        cells = []
        for policy in evaluation["policies"]:
            row = next((r for r in policy["rows"] if r["by"] == "suite" and r["name"] == name), None)
            row = row or next((r for r in policy["rows"] if r["by"] == "all"), None)
            estimate = first(row["pass_at"]) if row else None
            cells.append(interval(estimate) if estimate else "")
        out.append(f"| {name} | " + " | ".join(cells) + " |")
    return out


def errors(evaluation):
    row = next(r for r in evaluation["policies"][0]["rows"] if r["by"] == "all")
    counted = ", ".join(f"{e['name']} {e['count']}" for e in row["errors"] if e["count"])
    return f"Of {row['episodes']} episodes {row['solved']} were solved; the others: {counted or 'none'}."


def head(options, recipe, told):
    """What it is: sizes, hardware, data."""
    model = json.loads((options.model / "config.json").read_text())
    size = sum(p.stat().st_size for p in options.model.glob("*.safetensors"))
    data = recipe["data"]
    gen = f"{' '.join(data['gen'])} --envs {data['envs']} --tasks-per-env {data['tasks_per_env']} --seed {data['seed']}"
    return [
        f"# {options.model.name}: the model that comes with the program",
        "",
        "A DeepSeek-V3.2-class model in small (latent attention, lightning indexer with top-k sparse attention, gated experts, a prediction",
        "layer), trained from nothing on seedbed's own trajectories. It is what `seedbed run --policy engine`, `seedbed serve` and the demo use",
        "where no other model is named: a start for experiments, worth what is said under Scores. It knows nothing but tool calls in",
        "environments like those that it was trained on.",
        "",
        "| what | |",
        "|---|---|",
        f"| layers, width, heads | {model['num_hidden_layers']}, {model['hidden_size']}, {model['num_attention_heads']} |",
        f"| experts: in all, for a token, shared | {model['n_routed_experts']}, {model['num_experts_per_tok']}, {model['n_shared_experts']} |",
        f"| selection | {model['index_topk']} positions a token |",
        f"| vocabulary; positions | {model['vocab_size']:,}; {model['max_position_embeddings']:,} |",
        f"| weights | {size / 2**20:.1f} MiB, {model['torch_dtype']} |",
        f"| trained on | {options.hardware} |",
        f"| steps, tokens, hours of steps | {told.steps:,}; {told.tokens:,}; {told.seconds / 3600:.2f} |",
        f"| recipe, seed | `train/recipes/{options.recipe.name}`, {recipe['seed']} |",
        f"| data | `seedbed gen {gen}`, played by `{data.get('policy', 'teacher')}` |",
    ]


def training(told):
    """How it was trained: stages, and what held-out episodes said on the way."""
    out = ["", "## How it was trained", ""]
    out += [f"Of this run: {told.what}.", ""] if told.what else []
    out += ["| stage | steps | loss of the agent's tokens in the last twenty | tokens right in them |", "|---|---|---|---|"]
    out += [f"| {s} | {n:,} | {loss:.3f} | {percent(right)} |" for s, n, loss, right in told.stages]
    held = told.held
    if not held:
        return out
    what = "share of tokens, of replies, of whole episodes in which each token is the likeliest one"
    out += ["", f"On held-out episodes, following the teacher ({what}):", ""]
    out += ["| step | loss | tokens | replies | episodes |", "|---|---|---|---|---|"]
    keep = held[:: max(1, len(held) // 12)]
    keep = keep if keep[-1] == held[-1] else [*keep, held[-1]]
    for step, h in keep:
        shares = " | ".join(percent(h[key]) for key in ("agent_right", "turns_right", "episodes_right"))
        out.append(f"| {step:,} | {h['agent_loss']:.3f} | {shares} |")
    return out


def selection(options):
    """Sparse beside dense, and what the indexer keeps."""
    measured = json.loads(options.measure.read_text())
    recall, dense, sparse = measured["recall"], measured["dense"], measured["sparse"]
    of = f"of {measured.get('what', options.measure.stem)}: {measured['trajectories']} episodes (file: `{options.measure.name}`)"
    out = ["## Selection", "", f"`python -m seedbed_train measure` {of}.", ""]
    out += ["| | dense | sparse |", "|---|---|---|"]
    out.append(f"| loss of the agent's tokens | {dense['agent_loss']:.3f} | {sparse['agent_loss']:.3f} |")
    out += [f"| replies right | {percent(dense['turns_right'])} | {percent(sparse['turns_right'])} |", ""]
    if recall:
        most = f" (the most that so many could: {percent(recall['best'])})" if "best" in recall else ""
        window, chance = percent(recall["window"]), percent(recall["chance"])
        kept = f"selection {percent(recall['selection'])}{most}, the last {recall['k']} positions {window}, chance {chance}"
        out += [f"Attention's mass kept at positions from {recall['least_position']:,} on, {recall['k']} keys each: {kept}.", ""]
    return out


def card(options):
    """Writes the model folder's README.md."""
    recipe = json.loads(options.recipe.read_text())
    told = Told(options)
    evaluation = json.loads(options.evaluation.read_text())
    out = head(options, recipe, told) + training(told)
    asked = "pass@1 with 95 % intervals, temperature 0; suites: `docs/eval.md`"
    out += ["", "## Scores", "", f"`seedbed eval`, {asked}. File: `{options.evaluation.name}`.", ""]
    out += scores(evaluation)
    out += ["", errors(evaluation), ""]
    wanted = [f"{name}: {bar}" for name, bar in SUITES_WANTED.items()]
    out += [f"Aims: {'; '.join(wanted)}.", ""]
    if options.measure:
        out += selection(options)
    seen = "English made by a grammar; 8 to 12 tools and prompts of under a thousand tokens are what it has seen. Out of that it mostly fails."
    out += ["## Limits", "", f"{seen} It holds no knowledge of the world, and no safety training.", ""]
    again = "in legs of any length; then `seedbed eval`, `python -m seedbed_train measure` and `train/card.py`"
    first = f"`git checkout {told.commit}` (the recipe and the teacher have changed since), " if told.commit else ""
    out += ["## Make it again", "", f"{first}`./dev train {options.recipe.stem}`, {again}.", ""]
    (options.model / "README.md").write_text("\n".join(out), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--recipe", required=True, type=Path)
    run = parser.add_mutually_exclusive_group(required=True)
    run.add_argument("--run", type=Path, help="whose metrics.jsonl")
    run.add_argument("--report", type=Path, help="a file of bench/results about a run")
    parser.add_argument("--evaluation", required=True, type=Path)
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--hardware", required=True)
    card(parser.parse_args())


if __name__ == "__main__":
    main()
