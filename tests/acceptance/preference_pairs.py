"""Loads a preference export with Hugging Face `datasets` and hands it to TRL's own `DPOTrainer`.

    build/venv/bin/python tests/acceptance/preference_pairs.py [FOLDER] [--seedbed PROGRAM]

Without a folder it makes a store of its own and exports `--format preference`. Reached: `load_dataset` (splits and features),
every row word for word against the lines in the folder, `is_conversational`, `apply_chat_template` with tools (no call, result or
tool is lost, and prompt plus completion is the whole conversation), and one optimizer step of `DPOTrainer` on a tiny random
model. No network: the tokenizer and the model are made here.

Exit code: 0 all hold, 1 something does not, 2 it could not be tried.
"""

import argparse
import copy
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from datasets_trl import ROOT, Failed, check_rows, datasets, tiny_tokenizer, torch, transformers, trl, want  # noqa: E402
from trl.data_utils import apply_chat_template, is_conversational  # noqa: E402


def check_pairs(folder, data, tokenizer):
    wrongs = {}
    for split in data:
        for row in data[split]:
            wrongs[row["wrong"]] = wrongs.get(row["wrong"], 0) + 1
            want(row["chosen_score"] == 1 and 0 <= row["rejected_score"] < 1, f"{folder}: {row['id']}: scores {row['chosen_score']} and {row['rejected_score']}")
            want(row["prompt"][0]["role"] == "system" and row["prompt"][-1]["role"] in ("user", "tool"), f"{folder}: {row['id']}: the prompt ends in {row['prompt'][-1]['role']}")
            want(row["chosen"] != row["rejected"], f"{folder}: {row['id']}: nothing to prefer")
            example = {key: row[key] for key in ("prompt", "chosen", "rejected")}
            want(is_conversational(example), f"{folder}: {row['id']} is not conversational")
            text = apply_chat_template(example, tokenizer, tools=row["tools"])
            for side in ("chosen", "rejected"):
                want(row[side][0]["role"] == "assistant", f"{folder}: {row['id']}: {side} begins with {row[side][0]['role']}")
                for message in row[side]:
                    want(message["content"] in text[side], f"{folder}: {row['id']}: a message of {side} is lost")
                    for call in message.get("tool_calls") or []:
                        want(isinstance(call["function"]["arguments"], dict), f"{folder}: {row['id']}: arguments are no object")
                        want(f"<call>{call['function']['name']} " in text[side], f"{folder}: {row['id']}: a call of {side} is lost")
            for tool in row["tools"]:
                want(f'"{tool["function"]["name"]}"' in text["prompt"], f"{folder}: {row['id']}: tool {tool['function']['name']} is lost")
    return wrongs


def check_dpo(folder, data, tokenizer):
    """TRL's trainer prepares the data as it is and takes one step."""
    split = "train" if "train" in data else next(iter(data))
    small = data[split].select(range(min(4, len(data[split])))).select_columns(["prompt", "chosen", "rejected", "tools"])
    config = transformers.LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                                      num_key_value_heads=1, max_position_embeddings=65536, pad_token_id=0, eos_token_id=1, bos_token_id=None)
    torch.manual_seed(1)
    model = transformers.LlamaForCausalLM(config)
    with tempfile.TemporaryDirectory() as out:
        settings = trl.DPOConfig(output_dir=out, max_steps=1, per_device_train_batch_size=1, max_length=None, report_to=[], save_strategy="no",
                                 use_cpu=True, bf16=False, disable_tqdm=True, logging_strategy="no", gradient_checkpointing=False)
        trainer = trl.DPOTrainer(model=model, ref_model=copy.deepcopy(model), args=settings, train_dataset=small, processing_class=tokenizer)
        loss = trainer.train().training_loss
    want(loss == loss and loss > 0, f"{folder}: the step's loss is {loss}")
    return loss


def make_export(seedbed, folder):
    store = str(folder / "a.db")
    for command in (["gen", "--family", "general", "--envs", "12", "--tasks-per-env", "8", "--seed", "11", "--out", store],
                    ["export", store, "--format", "preference", "--out", str(folder / "pairs")]):
        done = subprocess.run([seedbed, *command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"preference_pairs: seedbed {' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}", file=sys.stderr)
            sys.exit(2)
    return folder / "pairs"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path)
    parser.add_argument("--seedbed", default=str(ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed"))
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.folder or make_export(arguments.seedbed, pathlib.Path(scratch))).resolve()
        try:
            data = datasets.load_dataset(str(folder), cache_dir=str(pathlib.Path(scratch) / "cache"))
            rows = check_rows(folder, data)
            tokenizer = tiny_tokenizer()
            wrongs = check_pairs(folder, data, tokenizer)
            loss = check_dpo(folder, data, tokenizer)
        except Failed as failure:
            print(f"preference_pairs: {failure}", file=sys.stderr)
            return 1
    told = ", ".join(f"{name} {count}" for name, count in sorted(wrongs.items()))
    print(f"{rows} pairs ({told}), one DPO step with loss {loss:.3f} (datasets {datasets.__version__}, trl {trl.__version__}, "
          f"transformers {transformers.__version__}, torch {torch.__version__})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
