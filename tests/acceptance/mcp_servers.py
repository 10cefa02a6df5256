"""Third-party MCP servers from PyPI inside jails, through `seedbed sandbox mcp`: both eras of the protocol.

    ./dev acceptance                              # builds, runs this
    build/venv/bin/python tests/acceptance/mcp_servers.py

Each server lives in a folder of its own that pip fills, is seen read-only in the jail, and has no network. What it offers and
what its tools answer is compared with what the same server does without a jail is known to do: sums, times, rows, commits.

Exit code: 0 all as expected, 1 not, 2 it could not be tried.
"""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEEDBED = ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed"
PLACE = ROOT / "build/acceptance-mcp"
PYTHON = "/usr/bin/python3"  # what a jail shows
INSTALLS = {  # the newest SDK, and the last one of the handshake
    "mcp-2": ["mcp-server-time", "mcp-server-git"],
    "mcp-1": ["mcp<2", "mcp-server-sqlite", "mcp-server-calculator"],
}


def give_up(why):
    print(f"mcp_servers: {why}", file=sys.stderr)
    sys.exit(2)


def install():
    for name, packages in INSTALLS.items():
        done = PLACE / f"{name}.done"
        if done.exists() and json.loads(done.read_text()) == packages:
            continue
        command = [PYTHON, "-m", "pip", "install", "--quiet", "--break-system-packages", "--upgrade", "--target", str(PLACE / name), *packages]
        if subprocess.run(command, check=False).returncode:
            give_up("pip could not install " + " ".join(packages))
        done.write_text(json.dumps(packages))


# git trusts no repository of another user's, and in the jail everything of the host is one.
TRUSTED = ["GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"]


class Server:
    def __init__(self, folder, command, *flags):
        self.command = ["env", "PYTHONPATH=/srv/mcp", *TRUSTED, *command]
        self.flags = ["--json", "--mount", f"{PLACE / folder}:/srv/mcp", *flags]

    def run(self, *more):
        out = subprocess.run([SEEDBED, "sandbox", "mcp", *self.flags, *more, "--", *self.command], capture_output=True, text=True, timeout=120)
        if not out.stdout.strip():
            raise AssertionError(f"{self.command}: {out.stderr.strip()}")
        return json.loads(out.stdout)

    def call(self, tool, **arguments):
        return self.run("--call", tool, "--args", json.dumps(arguments))


def want(condition, what):
    if not condition:
        raise AssertionError(what)


def module(name):
    return [PYTHON, "-m", name]


def check_time():
    server = Server("mcp-2", module("mcp_server_time"))
    offered = server.run()
    want(offered["protocol"] == "2026-07-28", offered["protocol"])
    want([tool["name"] for tool in offered["tools"]] == ["get_current_time", "convert_time"], offered["tools"])
    moved = server.call("convert_time", source_timezone="Asia/Tokyo", time="12:00", target_timezone="UTC")
    want(moved["end"] == "ok" and moved["result"]["target"]["datetime"].split("T")[1].startswith("03:00"), moved)
    want(server.call("get_current_time", timezone="Nowhere/None")["end"] == "tool_error", "a zone that is none")
    want("invalid_arguments" in json.dumps(server.call("convert_time", time="12:00")), "arguments are checked before the server sees them")
    return len(offered["tools"])


def check_git():
    repository = PLACE / "repository"
    if not repository.exists():
        git = ["git", "-C", str(repository), "-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
        subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
        subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "the first of all"], check=True)
    server = Server("mcp-2", module("mcp_server_git"), "--mount", f"{repository}:/srv/repository")
    offered = server.run()
    want(offered["protocol"] == "2026-07-28" and len(offered["tools"]) >= 10, offered)
    log = server.call("git_log", repo_path="/srv/repository")
    want(log["end"] == "ok" and "the first of all" in json.dumps(log), log)
    refused = server.call("git_log", repo_path="none")
    want(refused["end"] == "tool_error", refused)
    return len(offered["tools"])


def check_sqlite():
    server = Server("mcp-1", [PYTHON, "-c", "from mcp_server_sqlite import main; main()", "--db-path", "a.db"])
    offered = server.run()
    want(not offered["protocol"].startswith("2026"), offered["protocol"])
    names = {tool["name"] for tool in offered["tools"]}
    want({"read_query", "write_query", "create_table", "list_tables"} <= names, names)
    want(server.call("create_table", query="CREATE TABLE t (x INTEGER)")["end"] == "ok", "create_table")
    read = server.call("read_query", query="SELECT 6 * 7 AS answer")
    want("42" in json.dumps(read), read)
    return len(offered["tools"])


def check_calculator():
    server = Server("mcp-1", module("mcp_server_calculator"))
    offered = server.run()
    want([tool["name"] for tool in offered["tools"]] == ["calculate"], offered["tools"])
    want("5535" in json.dumps(server.call("calculate", expression="123 * 45")), "123 * 45")
    return len(offered["tools"])


def main():
    PLACE.mkdir(parents=True, exist_ok=True)
    install()
    failed, said = 0, []
    for check in (check_time, check_git, check_sqlite, check_calculator):
        name = check.__name__.removeprefix("check_")
        try:
            said.append(f"{name} {check()} tools")
        except (AssertionError, KeyError, ValueError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"{name}: {error}", file=sys.stderr)
            said.append(f"{name} FAILED")
    print("MCP servers from PyPI in jails: " + ", ".join(said))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
