"""What a box's Python is made of: a server that has imported what sessions want, and forks a session whenever one is asked for.

Descriptor 0 is a stream of lines, JSON objects, to and from the host outside. The server waits for `{"start": "session"}` and forks; the
child says `{"ready": true}` and answers `{"id": N, "code": "..."}` by `{"id": N, "ok": ..., "value": ..., "error": ...}`, as often as
asked. A child of `{"start": "call", "id": N, "code": "..."}` answers once. When a child has ended, the server says `{"ended": STATUS}` and
waits for the next line.
Standard output and error are the host's pipes. SIGINT interrupts what a child runs.
"""

import ast
import gc
import json
import linecache
import os
import signal
import sys
import traceback

MOST_SHOWN = 65536  # characters of a value or an error
WARM = os.environ.get("SEEDBED_WARM", "")

for module in filter(None, WARM.split(",")):
    __import__(module)


def say(fd, message):
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(fd, data) :]


def shown(text):
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN // 2] + f"\n[... {len(text) - MOST_SHOWN} characters left out ...]\n" + text[-(MOST_SHOWN // 2) :]


def told(error, name):
    """The traceback from the session's own code on."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if frame.filename == name), len(frames))
    lines = traceback.format_list(frames[first:]) + traceback.format_exception_only(type(error), error)
    return ("Traceback (most recent call last):\n" if first < len(frames) else "") + "".join(lines)


def evaluate(code, names, name):
    tree = ast.parse(code, name)
    last = ast.Expression(tree.body.pop().value) if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), names)
    return None if last is None else eval(compile(last, name, "eval"), names)


def answer(request, names):
    """-> (the answer, whether the session goes on)"""
    number = request.get("id")
    name = f"<cell {number}>"
    code = request.get("code", "")
    linecache.cache[name] = (len(code), None, code.splitlines(True), name)
    out, goes_on = {"id": number, "ok": True, "value": None, "error": None}, True
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            value = evaluate(code, names, name)
            if value is not None:
                names["_"] = value
                out["value"] = shown(repr(value))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        out.update(ok=False, error="KeyboardInterrupt", value=None)
    except SystemExit as error:
        out.update(ok=False, error=f"SystemExit: {error.code}", value=None)
        goes_on = False
    except BaseException as error:
        try:
            out.update(ok=False, error=shown(told(error, name)), value=None)
        except BaseException:
            out.update(ok=False, error=type(error).__name__, value=None)
    return out, goes_on


def session(fd, once):
    """once: the one request, or None for as many as come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    names = {"__name__": "__main__", "__builtins__": __builtins__, "exit": sys.exit, "quit": sys.exit}
    if not once:
        say(fd, {"ready": True})
    goes_on = True
    while goes_on:
        reply, goes_on = answer(once or line_of(fd), names)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:
                pass
        say(fd, reply)
        goes_on = goes_on and not once
    os._exit(0)


def line_of(fd, kept=bytearray()):
    """The next line. The host says nothing to the server while a child reads, so nothing that is read ahead is lost."""
    while b"\n" not in kept:
        data = os.read(fd, 65536)
        if not data:
            os._exit(0)
        kept += data
    line, _, rest = bytes(kept).partition(b"\n")
    kept[:] = rest
    return json.loads(line)


def serve():
    fd = os.dup(0)
    while fd < 16:
        fd = os.dup(fd)
    os.closerange(3, fd)
    os.set_inheritable(fd, False)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answer({"id": 0, "code": "1"}, {})  # what a child would otherwise do first
    gc.collect()
    gc.freeze()
    gc.disable()
    say(fd, {"serving": True})
    while True:
        wanted = line_of(fd)
        child = os.fork()
        if child == 0:
            gc.enable()
            session(fd, wanted if wanted.get("start") == "call" else None)
        _, status = os.waitpid(child, 0)
        say(fd, {"ended": status})


serve()
