"""Environments around third-party MCP servers from PyPI: `gen --from-mcp`, then agents through `seedbed run`.

    ./dev acceptance                              # builds, runs this
    build/venv/bin/python tests/acceptance/mcp_environments.py

Four servers (both eras of the protocol), each in a jail without a network, with files of its own and tasks written here. The
gates admit the right tasks and say what is wrong with the others; the oracle solves what was admitted; and an agent behind an
OpenAI-compatible endpoint (the standard library's HTTP server and a script for each prompt) calls the tools over HTTP and is
scored.

Exit code: 0 all as expected, 1 not, 2 it could not be tried.
"""

import http.server
import json
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import mcp_servers as servers  # noqa: E402

want = servers.want


def call(tool, **args):
    return {"tool": tool, "args": args}


def git_files(folder):
    when = {"GIT_AUTHOR_DATE": "2031-03-05T10:00:00Z", "GIT_COMMITTER_DATE": "2031-03-05T10:00:00Z"}
    git = ["git", "-C", str(folder), "-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(folder)], check=True)
    for name, text, message in (("hinge.txt", "brass\n", "add the hinge"), ("spring.txt", "steel\n", "add the spring")):
        (folder / name).write_text(text)
        subprocess.run([*git, "add", name], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", message], check=True, env={"PATH": "/usr/bin:/bin", **when})
    shutil.rmtree(folder / ".git/hooks")


def sqlite_files(folder):
    with sqlite3.connect(folder / "shop.db") as shop:
        shop.execute("CREATE TABLE clock (id INTEGER PRIMARY KEY, maker TEXT NOT NULL, price INTEGER NOT NULL)")
        shop.executemany("INSERT INTO clock VALUES (?, ?, ?)", [(1, "Tompion", 4100), (2, "Harrison", 7350), (3, "Knibb", 2890)])
    shop.close()


PYTHON = servers.PYTHON
# name, folder of packages, command, files, tasks, numbers (from 1) and gates of those that must be rejected
ENVIRONMENTS = [
    (
        "git",
        "mcp-2",
        [PYTHON, "-m", "mcp_server_git"],
        git_files,
        [
            {
                "prompt": "In the repository /work: which message has the newest commit?",
                "calls": [call("git_log", repo_path="/work")],
                "answer": {"message": "add the spring"},
                "derived": ["message"],
            },
            {
                "prompt": "Create the branch release in the repository /work.",
                "calls": [call("git_create_branch", repo_path="/work", branch_name="release")],
                "files": [{"name": "branch", "sql": "SELECT count(*) FROM file WHERE path = '.git/refs/heads/release'"}],
            },
            {
                "prompt": "In the repository /none: which message has the newest commit?",
                "calls": [call("git_log", repo_path="/none")],
                "answer": {"message": "add the spring"},
                "derived": ["message"],
            },
        ],
        {3: "G1"},
    ),
    (
        "time",
        "mcp-2",
        [PYTHON, "-m", "mcp_server_time"],
        None,
        [
            {
                "prompt": "It is 12:00 in Asia/Tokyo. What is the time in UTC, as HH:MM?",
                "calls": [call("convert_time", source_timezone="Asia/Tokyo", time="12:00", target_timezone="UTC")],
                "answer": {"time": "03:00"},
                "derived": ["time"],
            },
            {
                "prompt": "What is the time in UTC?",
                "calls": [call("get_current_time", timezone="UTC")],
                "answer": {"time": "03:00"},
                "derived": ["time"],
            },
        ],
        {2: "G1"},  # never the same twice
    ),
    (
        "sqlite",
        "mcp-1",
        [PYTHON, "-c", "from mcp_server_sqlite import main; main()", "--db-path", "shop.db"],
        sqlite_files,
        [
            {
                "prompt": "What do the clocks of the table clock cost together?",
                "calls": [call("describe_table", table_name="clock"), call("read_query", query="SELECT sum(price) AS total FROM clock")],
                "answer": {"total": 14340},
                "derived": ["query", "table_name", "total"],
            },
            {
                "prompt": "Lower the price in the table clock of the clock by Knibb by 100, and say what it costs then.",
                "calls": [
                    call("write_query", query="UPDATE clock SET price = price - 100 WHERE maker = 'Knibb'"),
                    call("read_query", query="SELECT price FROM clock WHERE maker = 'Knibb'"),
                ],
                "answer": {"price": 2790},
                "derived": ["query", "price"],
            },
        ],
        {2: "G3"},  # no check sees what a database holds: without the update the same answer would do
    ),
    (
        "calculator",
        "mcp-1",
        [PYTHON, "-m", "mcp_server_calculator"],
        None,
        [
            {
                "prompt": "What is 123 * 45 + 6?",
                "calls": [call("calculate", expression="123 * 45 + 6")],
                "answer": {"result": 5541},
                "derived": ["expression", "result"],
            }
        ],
        {},
    ),
]


class Agent(http.server.BaseHTTPRequestHandler):
    """Plays the plan of a prompt, a call a turn, and hands in what it was told to."""

    plans = {}
    seen = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        messages = body["messages"]
        prompt = next(m["content"] for m in messages if m["role"] == "user")
        steps = next(plan for text, plan in self.plans.items() if text in prompt)
        done = sum(len(m.get("tool_calls") or []) for m in messages)
        if done:
            self.seen.append(messages[-1]["content"])
        step = steps[min(done, len(steps) - 1)]
        made = {"id": f"c{done}", "type": "function", "function": {"name": step["tool"], "arguments": json.dumps(step["args"])}}
        reply = {"role": "assistant", "content": None, "tool_calls": [made]}
        out = {
            "id": "r",
            "object": "chat.completion",
            "created": 0,
            "model": "script",
            "choices": [{"index": 0, "message": reply, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        text = json.dumps(out).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def seedbed(*words):
    out = subprocess.run([servers.SEEDBED, *map(str, words), "--json"], capture_output=True, text=True, timeout=300)
    if not out.stdout.strip():
        raise AssertionError(f"seedbed {words[0]}: {out.stderr.strip()[:2000]}")
    return json.loads(out.stdout)


def check(place, url, name, packages, command, files, tasks, rejected):
    folder, file, store = place / name, place / f"{name}.jsonl", place / f"{name}.db"
    folder.mkdir()
    if files:
        files(folder)
    file.write_text("".join(json.dumps(task) + "\n" for task in tasks))
    quoted = " ".join("'" + word + "'" for word in ["env", "PYTHONPATH=/srv/mcp", *servers.TRUSTED, *command])
    source = ["--mount", f"{servers.PLACE / packages}:/srv/mcp", "--files", folder, "--tasks", file]
    made = seedbed("gen", "--from-mcp", quoted, *source, "--title", "a watchmaker", "--out", store)
    want({row["task"]: row["gate"] for row in made["rejected"]} == rejected, made["rejected"])
    good = len(tasks) - len(rejected)
    want(made["tasks"] == good, made)
    for policy in (["oracle"], ["http", "--base-url", url, "--model-name", "script"]):
        played = seedbed("run", store, "--policy", *policy)
        want(played["episodes"] == good and played["solved"] == good and played["infra_errors"] == 0, played)
    lazy = seedbed("run", store, "--policy", "random")
    want(lazy["infra_errors"] == 0, lazy)
    want(seedbed("verify-pack", store)["failed"] == [], "verify-pack")
    return f"{name} {good} tasks"


def main():
    servers.PLACE.mkdir(parents=True, exist_ok=True)
    servers.install()
    for environment in ENVIRONMENTS:
        for task in environment[4]:
            Agent.plans[task["prompt"]] = [*task["calls"], {"tool": "submit_result", "args": task.get("answer", {})}]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    failed, said = 0, []
    with tempfile.TemporaryDirectory() as place:
        for environment in ENVIRONMENTS:
            try:
                said.append(check(pathlib.Path(place), url, *environment))
            except (AssertionError, KeyError, ValueError, subprocess.SubprocessError) as error:
                failed += 1
                print(f"{environment[0]}: {error}", file=sys.stderr)
                said.append(f"{environment[0]} FAILED")
    print("environments around MCP servers from PyPI, played by an agent over HTTP: " + ", ".join(said))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
