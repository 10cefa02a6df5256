"""What the tests share: a model of a few thousand weights and made-up exports."""

import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from seedbed_train.config import Config

TINY = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "moe_intermediate_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "first_k_dense_replace": 1,
    "index_n_heads": 2,
    "index_head_dim": 16,
    "index_topk": 8,
    "max_position_embeddings": 512,
    "num_nextn_predict_layers": 1,
}


def tiny(**changes):
    return Config.from_dict({**TINY, **changes})


def tokenizer(folder, words=60):
    """A tokenizer.json of 96 tokens: signs, then so many words, every third capitalised, then numbers."""
    letters = lambda n: chr(97 + n // 26) + chr(97 + n % 26)
    names = [f"<{i}>" for i in range(10)] + [letters(i).capitalize() if i % 3 == 0 else letters(i) for i in range(words)]
    names += [str(100 + i) for i in range(96 - len(names))]
    file = Path(folder) / "tokenizer.json"
    file.write_text(json.dumps({"model": {"vocab": {name: i for i, name in enumerate(names)}}}))
    return file


LR = {"matrix": 0.02, "other": 0.01, "indexer": 0.01}


def recipe(*stages, **changes):
    base = {"steps": 6, "rows": 120, "packs": 1, "lr": LR, "warmup": 2, "decay": 3, "prompt_weight": 0.2}
    return {"model": TINY, "seed": 3, "bf16": False, "stages": [{**base, **s} for s in stages], **changes}


def export(folder, environments=3, tasks=6, seed=1, tokenizer="t", vocab=90):
    """A tokens export whose agent says what its prompt said twice: there is something to learn."""
    rng = random.Random(seed)
    data = Path(folder) / "data"
    data.mkdir(parents=True, exist_ok=True)
    with (data / "train-00000.jsonl").open("w") as file:
        for env in range(environments):
            prefix = [rng.randrange(2, vocab) for _ in range(20)]
            for _ in range(tasks):
                asked = [rng.randrange(2, vocab) for _ in range(rng.randrange(3, 7))]
                ids = prefix + [1] + asked + [0] + asked + [1]
                mask = [False] * (len(prefix) + len(asked) + 2) + [True] * (len(asked) + 1)
                row = {"token_ids": ids, "mask": mask, "prefix_tokens": len(prefix), "tokenizer": tokenizer}
                row.update({"environment_id": str(env), "solved": True, "thinking": False})
                file.write(json.dumps(row) + "\n")
    return str(folder)
