"""A tiny seeded model with a tokenizer, and `seedbed serve` with it, for the scripts beside this one."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed")


class CannotTry(Exception):
    """Why nothing was tried: exit code 2."""


def seedbed(program, *words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False, timeout=900)
    if done.returncode != 0:
        raise RuntimeError(f"seedbed {' '.join(map(str, words))}: exit code {done.returncode}: {done.stderr.strip()[-800:]}")
    return done.stdout


def make_model(program, temp, vocab=1024):
    """A model of config nano with random weights: its words are noise, everything around them is real."""
    if not pathlib.Path(program).exists():
        raise CannotTry(f"there is no {program}; ./dev build makes it")
    corpus, model = temp / "corpus.txt", temp / "tiny"
    corpus.write_text("".join(p.read_text(encoding="utf-8") for p in sorted(ROOT.glob("docs/*.md")) + [ROOT / "README.md"]), encoding="utf-8")
    seedbed(program, "engine", "train-tokenizer", "--vocab", vocab, "--chat", "--out", temp / "tokenizer.json", corpus)
    config = json.loads((ROOT / "bench/configs/nano.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((temp / "tokenizer.json").read_text(encoding="utf-8"))
    rows = [*tokenizer["model"]["vocab"].values(), *(t["id"] for t in tokenizer["added_tokens"])]
    ids = {t["content"]: t["id"] for t in tokenizer["added_tokens"]}
    config["vocab_size"] = (max(rows) + 64) // 64 * 64
    config["bos_token_id"], config["eos_token_id"] = ids["<｜begin▁of▁sentence｜>"], ids["<｜end▁of▁sentence｜>"]
    (temp / "config.json").write_text(json.dumps(config), encoding="utf-8")
    seedbed(program, "engine", "make-model", "--config", temp / "config.json", "--seed", 1, "--out", model, "--tokenizer", temp / "tokenizer.json")
    return model


class Served:
    def __init__(self, process, ready, log):
        self.process, self.port, self.name, self.log = process, ready["port"], ready["model"], log
        self.key = None  # what clients must send, where a key is asked for
        self.root = f"http://127.0.0.1:{self.port}"

    def get(self, path):
        return self.ask(path).decode()

    def post(self, path, body):
        return json.loads(self.ask(path, json.dumps(body).encode()))

    def ask(self, path, body=None):
        request = urllib.request.Request(self.root + path, body, {"Content-Type": "application/json"})
        if self.key:
            request.add_header("Authorization", f"Bearer {self.key}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def metric(self, name):
        """The sum of a metric's samples."""
        rows = [line.rpartition(" ") for line in self.get("/metrics").splitlines() if not line.startswith("#")]
        values = [float(value) for key, _, value in rows if key.partition("{")[0] == name]
        if not values:
            raise AssertionError(f"/metrics has no {name}")
        return sum(values)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def rss_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024

    def wait_for(self, holds, seconds=30):
        """True as soon as it holds."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def end(self):
        """Asks for an orderly end; a second time would not wait for it."""
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self, seconds=60):
        return self.process.wait(timeout=seconds)


@contextlib.contextmanager
def serving(program, model, *flags, environment=None, descriptors=None):
    command = [program, "serve", "--model", str(model), "--port", "0", "--json", *map(str, flags)]
    if descriptors:  # a soft limit, as login shells have one
        command = ["/bin/sh", "-c", f'ulimit -S -n {descriptors} && exec "$@"', "sh", *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
    log = []
    reader = threading.Thread(target=lambda: log.extend(process.stderr), daemon=True)
    reader.start()
    try:
        text, ready = "", None
        while ready is None:
            line = process.stdout.readline()
            if not line:
                process.wait(timeout=30)
                reader.join(timeout=5)
                raise RuntimeError(f"seedbed serve did not begin: exit code {process.returncode}: {''.join(log)[-800:]}")
            text += line
            with contextlib.suppress(json.JSONDecodeError):
                ready = json.loads(text)
        yield Served(process, ready, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=30)
        process.stdout.close()


def run_checks(name, checks, *arguments):
    """Runs all, tells each that fails; the exit code."""
    failed = 0
    begin = time.monotonic()
    for check in checks:
        title = check.__name__.removeprefix("check_").replace("_", " ")
        started = time.monotonic()
        try:
            said = check(*arguments)
            print(f"{name}: {title}: ok, {time.monotonic() - started:.1f} s{'; ' + said if said else ''}", flush=True)
        except Exception as error:  # whatever a client raises is what did not hold
            failed += 1
            print(f"{name}: {title}: FAILED: {type(error).__name__}: {error}", flush=True)
    print(f"{name}: {len(checks) - failed} of {len(checks)} hold, {time.monotonic() - begin:.0f} s", flush=True)
    return 1 if failed else 0
