"""Loads every export with Hugging Face `datasets` and hands it to TRL's own functions.

    ./dev acceptance                                       # installs the packages, makes a store and its exports, runs this
    build/venv/bin/python tests/acceptance/datasets_trl.py FOLDER...

Without a folder it makes a store of its own with build/release/seedbed, runs the scripted policies on it and exports both
formats. Reached: `load_dataset` (splits and features), every conversation of both formats word for word against the JSON lines
in the folder, `trl.data_utils.is_conversational`, `apply_chat_template` and `maybe_apply_chat_template` with tools and a chat
template that renders calls and results, and TRL's `SFTTrainer` preparing the data and taking one optimizer step on a tiny
random model. No network: the tokenizer and the model are made here.

Exit code: 0 all hold, 1 something does not, 2 it could not be tried.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
ROOT = pathlib.Path(__file__).resolve().parents[2]

try:
    import datasets
    import tokenizers
    import torch
    import transformers
    import trl
    from trl.data_utils import apply_chat_template, is_conversational, maybe_apply_chat_template
except ImportError as error:
    print(f"datasets_trl: {error}; run it through ./dev acceptance, or: {sys.executable} -m pip install datasets trl", file=sys.stderr)
    sys.exit(2)

# Qwen's way of writing tools, calls and results, cut down to what is looked for below.
TEMPLATE = """{%- if tools %}<tools>{% for tool in tools %}{{ tool | tojson }}{% endfor %}</tools>{% endif -%}
{%- for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}
{%- for c in m.tool_calls or [] %}<call>{{ c.function.name }} {{ c.function.arguments | tojson }}</call>{% endfor %}<|end|>{% endfor -%}
{%- if add_generation_prompt %}<|assistant|>{% endif -%}"""


class Failed(Exception):
    pass


def want(condition, what):
    if not condition:
        raise Failed(what)


def tiny_tokenizer():
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    special = ["<pad>", "<|end|>"]
    core = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={t: i for i, t in enumerate(special + alphabet)}, merges=[]))
    core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = tokenizers.decoders.ByteLevel()
    core.add_special_tokens(special)
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<|end|>")
    made.chat_template = TEMPLATE
    return made


def lines_of(folder, split):
    with open(folder / "data" / f"{split}-00000.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def check_rows(folder, data):
    """What the loader gives is what stands in the file: nothing joined, nothing null that was absent."""
    rows = 0
    for split in data:
        lines = lines_of(folder, split)
        want(len(lines) == len(data[split]), f"{folder}: {split} has {len(data[split])} rows, the file {len(lines)} lines")
        for line, row in zip(lines, data[split]):
            for key, value in line.items():
                want(row[key] == value, f"{folder}: {split} {line['id']}: column {key} reads {str(row[key])[:200]}, the file has {str(value)[:200]}")
        rows += len(lines)
    want(any((folder / "data").iterdir()), f"{folder}: no data")
    return rows


def check_trl(folder, data, tokenizer):
    for split in data:
        for row in data[split].select(range(min(200, len(data[split])))):
            example = {"messages": row["messages"]}
            want(is_conversational(example), f"{folder}: {row['id']} is not conversational")
            text = apply_chat_template(example, tokenizer, tools=row["tools"])["text"]
            want(text == maybe_apply_chat_template(dict(example), tokenizer, tools=row["tools"])["text"], f"{folder}: {row['id']} renders twice differently")
            for message in row["messages"]:
                want(message["content"] in text, f"{folder}: {row['id']}: a message is lost")
                for call in message.get("tool_calls") or []:
                    arguments = call["function"]["arguments"]
                    want(isinstance(arguments, dict), f"{folder}: {row['id']}: arguments are {type(arguments).__name__}")
                    want(f"<call>{call['function']['name']} " in text, f"{folder}: {row['id']}: a call is lost")
            for tool in row["tools"]:
                want(json.dumps(tool["function"]["name"]) in text, f"{folder}: {row['id']}: tool {tool['function']['name']} is lost")


def check_sft(folder, data, tokenizer):
    """TRL's trainer prepares the data as it is and takes one step."""
    split = "train" if "train" in data else next(iter(data))
    small = data[split].select(range(min(4, len(data[split])))).select_columns(["messages", "tools"])
    config = transformers.LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                                      num_key_value_heads=1, max_position_embeddings=32768, pad_token_id=0, eos_token_id=1, bos_token_id=None)
    torch.manual_seed(1)
    model = transformers.LlamaForCausalLM(config)
    with tempfile.TemporaryDirectory() as out:
        settings = trl.SFTConfig(output_dir=out, max_steps=1, per_device_train_batch_size=1, max_length=1024, report_to=[], save_strategy="no",
                                 use_cpu=True, bf16=False, disable_tqdm=True, logging_strategy="no")
        trainer = trl.SFTTrainer(model=model, args=settings, train_dataset=small, processing_class=tokenizer)
        loss = trainer.train().training_loss
    want(loss == loss and loss > 0, f"{folder}: the step's loss is {loss}")
    return loss


def check_openai(folder, data):
    for split in data:
        for row in data[split]:
            for message in row["messages"]:
                for call in message.get("tool_calls") or []:
                    want(isinstance(call["function"]["arguments"], str), f"{folder}: {row['id']}: arguments are no string")


def is_openai(data):
    return "parallel_tool_calls" in next(iter(data.values())).column_names


def check(folder, tokenizer, cache):
    data = datasets.load_dataset(str(folder), cache_dir=cache)
    rows = check_rows(folder, data)
    splits = ", ".join(f"{split} {len(data[split])}" for split in data)
    if is_openai(data):
        check_openai(folder, data)
        return f"{folder.name}: {rows} rows ({splits}), openai"
    check_trl(folder, data, tokenizer)
    return f"{folder.name}: {rows} rows ({splits}), trl, one SFT step with loss {check_sft(folder, data, tokenizer):.3f}"


def make_exports(seedbed, folder, isolation):
    store = str(folder / "a.db")
    level = ["--isolation", isolation] if isolation else []
    commands = [["gen", "--family", "general", "--envs", "12", "--tasks-per-env", "6", "--seed", "11", "--out", store, *level]]
    commands += [["run", store, "--policy", policy, *level] for policy in ("oracle", "random")]
    commands += [["export", store, "--format", form, "--out", str(folder / form)] for form in ("trl", "openai")]
    for command in commands:
        done = subprocess.run([seedbed, *command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"datasets_trl: seedbed {' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}", file=sys.stderr)
            sys.exit(2)
    return [folder / "trl", folder / "openai"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    parser.add_argument("--seedbed", default=str(ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed"))
    parser.add_argument("--isolation", default="")
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as scratch:
        folders = arguments.folders or make_exports(arguments.seedbed, pathlib.Path(scratch), arguments.isolation)
        tokenizer = tiny_tokenizer()
        try:
            told = [check(folder.resolve(), tokenizer, str(pathlib.Path(scratch) / "cache")) for folder in folders]
        except Failed as failure:
            print(f"datasets_trl: {failure}", file=sys.stderr)
            return 1
    versions = f"datasets {datasets.__version__}, trl {trl.__version__}, transformers {transformers.__version__}, torch {torch.__version__}"
    print(f"{'; '.join(told)} ({versions})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
