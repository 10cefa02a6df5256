"""Runs docs/finetune-with-trl.md: its Python blocks as they stand, one after the other, and its `seedbed` lines.

    ./dev acceptance
    build/venv/bin/python tests/acceptance/finetune_page.py [--seedbed PROGRAM]

The first shell block makes the data, with smaller numbers; MODEL is a tiny random Qwen3 with TRL's own template of that family,
since nothing is downloaded. Held beyond "it ran": no environment on both sides of the split, episodes cut behind turns that are
not to be learnt, under loss exactly what the assistant says in the completion, and every model that the page saves loads again.
The other `seedbed` lines are checked to be commands that the program takes.

Exit code: 0 all hold, 1 something does not, 2 it could not be tried.
"""

import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="")
ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/finetune-with-trl.md"

try:
    import datasets
    import peft
    import tokenizers
    import torch
    import transformers
    import trl
except ImportError as error:
    print(f"finetune_page: {error}; run it through ./dev acceptance, or: {sys.executable} -m pip install datasets trl peft", file=sys.stderr)
    sys.exit(2)


class Failed(Exception):
    pass


def want(condition, what):
    if not condition:
        raise Failed(what)


def blocks(kind):
    """(line of its first, text) of each fenced block of that kind."""
    text = PAGE.read_text(encoding="utf-8")
    for found in re.finditer(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text[: found.start(1)].count("\n") + 1, found.group(1)


def commands():
    """The `seedbed` lines of each shell block, as words."""
    return [[shlex.split(line) for line in text.splitlines() if line.startswith("seedbed ")] for _, text in blocks("sh")]


def smaller(words):
    """The same command with numbers for a test."""
    sizes = {"--envs": "8", "--tasks-per-env": "4", "--samples": "1"}
    return [sizes.get(before, word) for before, word in zip([None, *words], words)]


def run(seedbed, words, folder):
    done = subprocess.run([seedbed, *words[1:]], cwd=folder, capture_output=True, text=True, check=False, timeout=1800)
    want(done.returncode == 0, f"{shlex.join(words)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")


def make_model(folder, rows_file):
    """A random Qwen3 of a few thousand weights; its tokenizer is learnt from the rows, so that sequences have natural lengths."""
    core = tokenizers.Tokenizer(tokenizers.models.BPE())
    core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = tokenizers.decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    core.train([str(rows_file)], tokenizers.trainers.BpeTrainer(vocab_size=4096, special_tokens=special, initial_alphabet=alphabet, show_progress=False))
    core.add_tokens(["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<|endoftext|>", eos_token="<|im_end|>")
    tokenizer.chat_template = (pathlib.Path(trl.__file__).parent / "chat_templates/qwen3.jinja").read_text(encoding="utf-8")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    config = transformers.Qwen3Config(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2,
                                      num_key_value_heads=1, head_dim=16, max_position_embeddings=32768, pad_token_id=0, eos_token_id=2, bos_token_id=None)
    transformers.Qwen3ForCausalLM(config).save_pretrained(folder)


def check_rows(names):
    """Split by environment; cut behind what is not to be learnt."""
    train, held = (set(names[key]["environment_id"]) for key in ("train_rows", "eval_rows"))
    want(train and held and not train & held, f"{len(train)} environments to learn from, {len(held)} held out, {len(train & held)} on both sides")


def check_cut(names):
    cut = 0
    for row in names["rows"]:
        made = names["prompt_and_completion"](row)
        want([m["content"] for m in made["prompt"] + made["completion"]] == [m["content"] for m in row["messages"]], f"{row['id']}: messages were lost")
        want(made["completion"][0]["role"] == "assistant", f"{row['id']}: the completion begins with {made['completion'][0]['role']}")
        wrong = [i for i, m in enumerate(row["messages"]) if m.get("train") is False]
        want(all(i < len(made["prompt"]) for i in wrong), f"{row['id']}: a turn that is not to be learnt is in the completion")
        cut += bool(wrong)
    want(cut > 0, "no episode has a turn that is not to be learnt: nothing was tried")
    return cut


def check_kept(names):
    """The rows that are trained on have the calls of their episodes, with no argument more or less."""
    calls = lambda messages: [c["function"] for m in messages for c in m.get("tool_calls") or []]
    sources = [row for row in names["rows"] if row["environment_id"] not in names["held_out"]]
    for row, source in zip(names["train_rows"], sources, strict=True):
        want(calls(row["prompt"] + row["completion"]) == calls(source["messages"]), f"{source['id']}: other calls than in the export")
        want(row["tools"] == source["tools"], f"{source['id']}: other tools than in the export")


def check_labels(names):
    """Under loss is what the assistant says in the completion: its calls, its reasoning, its ends; no result, no prompt."""
    tokenizer, data = names["tokenizer"], names["trainer"].train_dataset
    for row, source in zip(data, names["train_rows"]):
        ids, labels = row["input_ids"], row["labels"]
        want(all(label in (-100, i) for i, label in zip(ids, labels)), "a label is another token than its input")
        said = tokenizer.decode([i for i, label in zip(ids, labels) if label != -100])
        turns = [m for m in source["completion"] if m["role"] == "assistant"]
        want(said.count("<|im_end|>") == len(turns), f"{len(turns)} turns, {said.count('<|im_end|>')} ends under loss")
        calls = [c["function"]["name"] for m in turns for c in m.get("tool_calls") or []]
        want(re.findall(r'<tool_call>\n\{"name": "([^"]+)"', said) == calls, f"calls under loss are not {calls}")
        want("<tool_response>" not in said and "<|im_start|>" not in said, "a result or the beginning of a turn is under loss")
        want(all((m.get("reasoning_content") or "").strip() in said for m in turns), "reasoning is not under loss")
    return len(data)


def run_page(names):
    told = {}
    for line, text in blocks("python"):
        code = compile("\n" * (line - 1) + text, str(PAGE.relative_to(ROOT)), "exec")
        exec(code, names)  # noqa: S102 (the page's own blocks)
        if "eval_rows = rows.filter" in text:
            check_rows(names)
        if "def prompt_and_completion" in text:
            told["cut"] = check_cut(names)
            check_kept(names)
        if "trainer.train_dataset[0]" in text:
            told["rows"] = check_labels(names)
        if "trainer.train()" in text:
            loss = [entry["train_loss"] for entry in names["trainer"].state.log_history if "train_loss" in entry]
            want(loss and all(x == x and x > 0 for x in loss), f"line {line}: losses {loss}")
            told.setdefault("losses", []).append(loss[-1])
    return told


def check_saved(out):
    for folder in (out, out + "-merged", out + "-dpo"):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        want(all(torch.isfinite(p).all() for p in model.parameters()), f"{folder}: weights that are no numbers")
    before, after = (transformers.AutoModelForCausalLM.from_pretrained(f).state_dict() for f in (os.environ["MODEL"], out))
    want(any(not torch.equal(before[name], after[name]) for name in before), "training changed nothing")


def check_other_commands(seedbed, rest, folder):
    """Every flag of the lines that are not run is one that the command has."""
    checked = 0
    for words in (words for block in rest for words in block):
        told = subprocess.run([seedbed, words[1], "--help"], capture_output=True, text=True, check=False, cwd=folder)
        want(told.returncode == 0, f"{words[1]} is no command: {told.stderr.strip()[-200:]}")
        known = set(re.findall(r"^  (--[a-z-]+)", told.stdout, re.MULTILINE))
        unknown = [word for word in words[2:] if word.startswith("--") and word not in known]
        want(not unknown, f"{shlex.join(words)}: there is no {', '.join(unknown)}")
        checked += 1
    return checked


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seedbed", default=str(ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed"))
    seedbed = str(pathlib.Path(parser.parse_args().seedbed).resolve())
    if not pathlib.Path(seedbed).exists():
        print(f"finetune_page: there is no {seedbed}; ./dev build makes it", file=sys.stderr)
        return 2
    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        try:
            first, *rest = commands()
            for words in first:
                run(seedbed, smaller(words), folder)
            make_model(folder / "model", next((folder / "sft/data").glob("train-*.jsonl")))
            os.environ.update({"HF_HOME": temp, "HF_DATASETS_CACHE": str(folder / "cache"), "DATA": str(folder / "sft"), "PAIRS": str(folder / "pairs"),
                               "MODEL": str(folder / "model"), "OUT": str(folder / "tuned"), "STEPS": "3", "MAX_LENGTH": "8192"})
            told = run_page({"__name__": "finetune_page"})
            check_saved(os.environ["OUT"])
            other = check_other_commands(seedbed, rest, folder)
        except Failed as failure:
            print(f"finetune_page: {failure}", file=sys.stderr)
            return 1
    losses = ", ".join(f"{loss:.2f}" for loss in told["losses"])
    print(f"{len(first)} commands run, {other} looked up, {told['rows']} rows with their labels ({told['cut']} cut), losses of SFT, LoRA and DPO {losses} "
          f"(datasets {datasets.__version__}, trl {trl.__version__}, peft {peft.__version__}, transformers {transformers.__version__}, torch {torch.__version__})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
