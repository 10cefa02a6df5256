"""`trl` and `openai` exports as the Records that their `tokens` exports would give.

The chat format is the program's own: `seedbed chat encode --jsonl` writes each conversation as text in pieces, with what
the assistant says marked; `tokenizers` turns the pieces into ids. No template stands here that could differ from it.
"""

import contextlib
import hashlib
import itertools
import json
import subprocess
import tempfile
from array import array
from pathlib import Path

from .data import Collector, export_files, read_lines
from .errors import TrainError


class Encoder:
    """A tokenizer.json for pieces: markers are looked up, and in other text none is looked for."""

    def __init__(self, path):
        import tokenizers

        try:
            text = Path(path).read_bytes()
            raw = json.loads(text)
            self.name = "sha256:" + hashlib.sha256(text).hexdigest()[:32]
            self.markers = {token["content"]: token["id"] for token in raw.pop("added_tokens")}
            self.plain = tokenizers.Tokenizer.from_str(json.dumps({**raw, "added_tokens": []}))
        except Exception as error:  # tokenizers raises Exception itself
            raise TrainError("tokenizer", path, f"cannot be read: {error}", "give the tokenizer.json of the model") from None
        self.kept = {}  # ids of system turns, which many conversations share

    def text(self, text, keep):
        """Ids of plain text."""
        if not keep:
            return self.plain.encode(text, add_special_tokens=False).ids
        if text not in self.kept:
            if len(self.kept) >= 256:
                self.kept.clear()
            self.kept[text] = self.plain.encode(text, add_special_tokens=False).ids
        return self.kept[text]

    def sequence(self, pieces, learnt):
        """pieces: [text, special, part, message]; learnt(message): whether it is under loss. -> ids, mask, how many ids the system turn has."""
        ids, mask, system = array("i"), bytearray(), 0
        # A marker that this vocabulary lacks is text, one with what stands beside it.
        kind = lambda piece: (piece[1] and piece[0] in self.markers, piece[2], piece[3])
        for (marker, part, message), group in itertools.groupby(pieces, kind):
            texts = [piece[0] for piece in group]
            new = [self.markers[text] for text in texts] if marker else self.text("".join(texts), part == "system")
            ids.extend(new)
            mask += bytes([part == "said" and learnt(message)]) * len(new)
            if part == "system" and system + len(new) == len(ids):
                system = len(ids)
        return ids, mask, system


def is_conversation_export(paths, split):
    """Whether the first line holds messages; an export without a line is none."""
    for _, line in read_lines(export_files(paths, split)):
        try:
            return "messages" in json.loads(line)
        except (ValueError, TypeError):
            return False
    return False


def learnt_of(messages):
    """Which messages are to be learnt: `train` false (axolotl's key) or `weight` 0 (OpenAI's) says no."""
    return [m.get("train", True) is not False and m.get("weight", 1) != 0 for m in messages]


def bare(row):
    """The line for `chat encode`: what it knows, and nothing of ours."""
    messages = [{k: v for k, v in m.items() if k not in ("train", "weight")} for m in row["messages"]]
    return json.dumps({"messages": messages, "tools": row.get("tools")}, ensure_ascii=False) + "\n"


@contextlib.contextmanager
def rendered(program, rows_file, thinking):
    """The lines that the program makes of a file of conversations."""
    command = [str(program), "chat", "encode", "--jsonl"] + (["--thinking"] if thinking else [])
    with open(rows_file, "rb") as source, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=errors)
        except OSError as error:
            raise TrainError("program", program, str(error), "build it with ./dev build, name it with --program") from None
        try:
            yield process.stdout
            if process.stdout.read(1) or process.wait() != 0:
                errors.seek(0)
                said = errors.read().decode("utf-8", "replace").strip()[-500:]
                raise TrainError("program", program, f"exit code {process.returncode} of chat encode: {said}", "use a seedbed of this version")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _rows(paths, split, solved, rows_file):
    """Writes the conversations that are wanted. -> [(where, line, learnt, environment)], how many were left out."""
    kept, left_out = [], 0
    with open(rows_file, "w", encoding="utf-8") as out:
        for where, line in read_lines(export_files(paths, split)):
            try:
                row = json.loads(line)
                text, learnt = bare(row), learnt_of(row["messages"])
                wanted = not solved or row.get("solved", True)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise TrainError("export", where, f"no line of a trl export: {error!r}", "export it again with --format trl") from None
            if not wanted:
                left_out += 1
                continue
            out.write(text)
            kept.append((where, line, learnt, row.get("environment_id")))
    return kept, left_out


def shared_prefix(groups, key, ids, system):
    """Keeps what the system turns of one environment's tasks have in common: groups[key] becomes no longer than that."""
    turn = ids[:system]
    held = groups.setdefault(key, turn)
    at = next((i for i, (a, b) in enumerate(zip(held, turn)) if a != b), min(len(held), len(turn)))
    groups[key] = held[:at]


def read(paths, tokenizer, vocab_size, program="seedbed", split="train", longest=8192, thinking=None, solved=True):
    """The records of `trl` or `openai` exports. thinking: True or False renders that form alone, None both."""
    encoder, collector = Encoder(tokenizer), Collector(vocab_size, longest)
    collector.name_tokenizer(encoder.name, tokenizer)
    modes = (True, False) if thinking is None else (thinking,)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        rows_file = Path(folder) / "rows.jsonl"
        kept, collector.left_out = _rows(paths, split, solved, rows_file)
        found, groups = [], {}
        outputs = [stack.enter_context(rendered(program, rows_file, mode)) for mode in modes]
        for where, line, learnt, environment in kept:
            for mode, output in zip(modes, outputs):
                answer = output.readline()
                if not answer:
                    break  # the program says why when it is waited for
                sequences = json.loads(answer)
                if "error" in sequences:  # for instance arguments that are no object
                    collector.leave_out(sequences["error"])
                for pieces in sequences.get("sequences", ()):
                    ids, mask, system = encoder.sequence(pieces, lambda m: learnt[m])
                    key = environment if isinstance(environment, str) else ids[:system].tobytes()
                    shared_prefix(groups, key, ids, system)
                    found.append((ids, mask, key, where, line + bytes([mode])))
    for ids, mask, key, where, line in found:
        collector.add(ids, mask, len(groups[key]), where, line)
    return collector.finish(paths)
