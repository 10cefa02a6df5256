"""What a box's Python is made of: a server that has imported what sessions want, and has a child ready for whatever is asked next.

Descriptor 0 is a stream of lines, JSON objects, to and from the host outside. The child that is ready takes `{"start": "session", "id": N}`,
says `{"ready": N}` and answers `{"id": N, "code": "..."}` by `{"id": N, "ok": ..., "value": ..., "error": ...}`, as often as
asked; or it takes `{"start": "call", "id": N, "code": "..."}`, answers once and ends. When a session, or a call without an answer, has
ended, the server says `{"ended": STATUS, "id": N}` with the number that it was started by: the word may come late, when the next
one has begun.
Standard output and error are the host's pipes. SIGINT interrupts what a child runs.
"""

import ast
import gc
import json
import linecache
import os
import select
import signal
import struct
import sys
import time
import traceback

MOST_SHOWN = 65536  # characters of a value or an error
READY = 2  # children ahead of time
PATIENCE = 0.005  # seconds
MOST_PAUSE = 1.0  # seconds
NOBODY = 3  # exit code of a child that was ready when the host had gone
TOOK = struct.Struct("<cq")  # what a child says first: what it took, and its number
WARM = os.environ.get("SEEDBED_WARM", "")
leave = os._exit  # whatever the code of a session makes of the module

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


def session(fd, wanted, answered):
    """wanted: what it was started by; answered: where it is noted that a call has its answer."""
    once = wanted if wanted.get("start") == "call" else None
    names = {"__name__": "__main__", "__builtins__": __builtins__, "exit": sys.exit, "quit": sys.exit}
    if not once:
        say(fd, {"ready": wanted.get("id")})
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
    if once:
        os.sched_yield()  # whoever waits for the answer runs before this process is taken down
        os.write(answered, b"a")
    leave(0)


def line_of(fd, kept=bytearray()):
    """The next line. One process reads at a time, and the host says nothing more before it has its answer, so nothing that is read
    ahead is lost."""
    while b"\n" not in kept:
        data = os.read(fd, 65536)
        if not data:
            leave(NOBODY)
        kept += data
    line, _, rest = bytes(kept).partition(b"\n")
    kept[:] = rest
    return json.loads(line)


class Child:
    """A process that is ready for a request and, once it is told to go, takes the next one. It says on `notes` which it took: s for a
    session, c for a call, and its number; a when a call has its answer."""

    def __init__(self, fd, others):
        """OSError: there is no room for one, and nothing is left of the attempt."""
        ends, self.pid = [], 0
        try:
            ends += os.pipe()
            ends += os.pipe()
            self.pid = os.fork()
            if not self.pid:
                self.live(fd, others, *ends)
            self.ends = os.pidfd_open(self.pid)
        except OSError:
            for end in ends:
                os.close(end)
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            raise
        self.notes, mine, wait, self.go = ends
        os.close(mine)
        os.close(wait)
        os.set_blocking(self.notes, False)
        self.told = self.answered = self.silent = False

    def live(self, fd, others, notes, mine, wait, go):
        """The process itself. Whatever happens, it ends here: beyond, it would be a second server."""
        try:
            for other in others:
                other.close()
            os.close(notes)
            os.close(go)
            gc.enable()
            json.dumps(answer({"id": 0, "code": "1"}, {})[0])  # pages that every request writes to are copied before one comes
            if not os.read(wait, 1):
                leave(NOBODY)
            os.close(wait)
            os.set_blocking(fd, True)  # code that had it before may have changed that, for all who share it
            wanted = line_of(fd)
            while "start" not in wanted:  # meant for a session that had ended
                wanted = line_of(fd)
            kind = b"c" if wanted.get("start") == "call" else b"s"
            os.write(mine, TOOK.pack(kind, wanted["id"]))
            if kind == b"s":
                os.close(mine)
            session(fd, wanted, mine)
        except BaseException as error:  # such as a channel that the code has closed
            sys.stderr.write("session: " + told(error, None))
            sys.stderr.flush()
        finally:
            leave(1)

    def tell(self):
        if self.told:
            return
        self.told = True
        try:
            os.write(self.go, b"g")
        except BrokenPipeError:
            pass  # killed meanwhile; its notes are closed, which buries it

    def note(self, size=1):
        try:
            return os.read(self.notes, size)
        except BlockingIOError:
            return b""

    def close(self):
        for fd in (self.notes, self.ends, self.go):
            os.close(fd)

    def bury(self):
        _, status = os.waitpid(self.pid, 0)
        self.close()
        return status


class Pause:
    """How long no child is made after one could not be: twice as long each time, until one can, or one has ended and left its place."""

    def __init__(self):
        self.end()

    def end(self):
        self.length, self.until = PATIENCE, 0.0

    def begin(self):
        self.until = time.monotonic() + self.length
        self.length = min(2 * self.length, MOST_PAUSE)

    def left(self):
        return max(0.0, self.until - time.monotonic())


def more(fd, ready, at_work, pause):
    """One more child, ahead of time; None where the box holds no further process, or held none a moment ago."""
    if pause.left():
        return None
    try:
        child = Child(fd, [*ready, *at_work])
    except OSError:
        pause.begin()
        return None
    pause.end()
    return child


def supervise(fd):
    """The first of those that are ready goes, but not while a session reads. New ones are made when nobody waits for an answer: a
    fork holds a processor for as long as a call takes."""
    ready, at_work, in_session = [], [], None
    pause = Pause()
    while True:
        if ready and not in_session:
            ready[0].tell()
        lacking = len(ready) < READY
        asked = [child for child in at_work if child is not in_session and not child.answered]
        if lacking and not asked and (child := more(fd, ready, at_work, pause)):
            ready.append(child)
            continue
        watched = [child.ends for child in at_work] + [child.notes for child in [*ready, *asked]]
        most = PATIENCE if asked else pause.left()
        heard, _, _ = select.select(watched, [], [], most if lacking else None)
        if not heard and asked:  # a long one
            asked[0].answered = True
        for child in [child for child in ready if child.notes in heard]:
            ready.remove(child)
            took = child.note(TOOK.size)
            if took:
                at_work.append(child)
                kind, child.number = TOOK.unpack(took)
                in_session = child if kind == b"s" else None
                continue
            pause.end()
            if os.waitstatus_to_exitcode(child.bury()) == NOBODY:
                return
        for child in [child for child in at_work if child.notes in heard or child.ends in heard]:
            child.silent |= child is not in_session and child.note() == b"a"
            child.answered = True
            if child.ends not in heard:
                continue
            at_work.remove(child)
            pause.end()
            silent, status = child.silent, child.bury()
            if child is in_session:
                in_session = None
            if not silent:
                say(fd, {"ended": status, "id": child.number})


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
    supervise(fd)


serve()
