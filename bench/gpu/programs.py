"""Running programs under a time limit, every line of theirs in one log with the time since the start."""
import collections
import os
import pathlib
import signal
import subprocess
import threading
import time

MOST_LINE = 32 << 10  # bytes of a line that are kept
MOST_KEPT = 32 << 20  # bytes of one program's output that are kept for reading
MOST_LOG = 15 << 20  # bytes of the whole log
_running, _stopped = set(), threading.Event()


class Refused(Exception):
    """Four parts: what, where, found and wanted, what to do. Its text is for people; nothing else is printed."""


class Deadline:
    """Seconds since the start and until the end of the whole."""

    def __init__(self, seconds, clock=time.monotonic):
        self.seconds, self.clock, self.begin = seconds, clock, clock()

    def elapsed(self):
        return self.clock() - self.begin

    def left(self):
        return max(0.0, self.seconds - self.elapsed())


class Log:
    """The console, and a file of at most MOST_LOG bytes which then says that it was cut."""

    def __init__(self, path, deadline, console, most=MOST_LOG):
        self.deadline, self.console, self.most = deadline, console, most
        self.file = open(path, "w", encoding="utf-8") if path else None
        self.bytes, self.cut, self.lock = 0, False, threading.Lock()

    def __call__(self, who, text, show=True):
        line = f"[{self.deadline.elapsed():6.1f} s] {who}: {text}"
        with self.lock:
            if self.file and not self.cut:
                self.bytes += len(line.encode("utf-8", "replace")) + 1
                self.cut = self.bytes > self.most
                self.file.write(f"(cut: the log has {self.most} bytes)\n" if self.cut else line + "\n")
                self.file.flush()
            if show:
                print(line, file=self.console, flush=True)

    def close(self):
        if self.file:
            self.file.close()
            self.file = None


# lines: of standard output; errors: the last lines of standard error. ended: why we ended it ("time", "quiet"), or "".
Outcome = collections.namedtuple("Outcome", "code ended seconds lines errors")


def what_went_wrong(outcome):
    """One line; empty where it ended with 0."""
    last = next((line for line in reversed(outcome.errors + outcome.lines[-5:]) if line.strip()), "")
    tail = f": {last.strip()[:300]}" if last else ""
    if outcome.ended:
        return f"ended by us after {outcome.seconds:.1f} s ({'its time was up' if outcome.ended == 'time' else 'nothing was heard of it'}){tail}"
    if outcome.code < 0:
        try:
            name = signal.Signals(-outcome.code).name
        except ValueError:
            name = f"signal {-outcome.code}"
        return f"crashed with {name}{tail}"
    return f"exit code {outcome.code}{tail}" if outcome.code else ""


def _read(stream, take):
    """Lines of a pipe; of one that is longer than MOST_LINE the beginning."""
    with stream:
        while True:
            raw = stream.readline(MOST_LINE)
            if not raw:
                return
            whole = raw.endswith(b"\n")
            take(raw.decode("utf-8", "replace").rstrip("\r\n") + ("" if whole or len(raw) < MOST_LINE else " (line cut)"))
            while not whole:
                rest = stream.readline(MOST_LINE)
                whole = not rest or rest.endswith(b"\n")


def _end(process):
    for sent, wait in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, sent)
        except ProcessLookupError:
            pass
        try:
            process.wait(wait)
            break
        except subprocess.TimeoutExpired:
            pass
    try:  # what the program started and left behind
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def end_all():
    """What other threads started and still wait for; nothing is started after it."""
    _stopped.set()
    for process in list(_running):
        _end(process)


def run(command, limit, log, who, show=lambda line: True, environment=None, quiet=None, folder=None, on_line=None):
    """Outcome of a program that may take `limit` seconds, and `quiet` seconds between two lines. Raises Refused where it
    cannot be started."""
    command = [str(word) for word in command]
    log(who, "$ " + " ".join(word if len(word) < 200 else word[:200] + "..." for word in command), show=False)
    begin = time.monotonic()
    if _stopped.is_set():
        raise Refused(f"program '{command[0]}': not started; the check was stopped; run it again")
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=folder,
            start_new_session=True)
    except OSError as error:
        raise Refused(f"program '{command[0]}': cannot be started; {error.strerror}; make the bundle anew on a machine like this one") from None
    _running.add(process)
    lines, errors, state = [], collections.deque(maxlen=400), {"kept": 0, "heard": begin}

    def take(line, of_errors):
        state["heard"] = time.monotonic()
        state["kept"] += len(line)
        if of_errors:
            errors.append(line)
        elif state["kept"] <= MOST_KEPT:
            lines.append(line)
        log(who, line, show=show(line))
        if on_line and not of_errors:
            on_line(line)

    readers = [threading.Thread(target=_read, args=(pipe, lambda line, e=of_errors: take(line, e)), daemon=True)
               for pipe, of_errors in ((process.stdout, False), (process.stderr, True))]
    for reader in readers:
        reader.start()
    ended = ""
    try:
        while True:
            try:
                process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                now = time.monotonic()
                ended = "time" if now - begin >= limit else "quiet" if quiet and now - state["heard"] >= quiet else ""
                if ended:
                    break
    finally:
        if process.poll() is None:
            _end(process)
        _running.discard(process)
        for reader in readers:
            reader.join(2.0)
    return Outcome(process.returncode if process.returncode is not None else -9, ended, time.monotonic() - begin, list(lines), list(errors))


def find(name, folders=()):
    """A program of the PATH or of some usual folder; None where there is none."""
    for folder in [*os.environ.get("PATH", "").split(os.pathsep), *folders]:
        path = pathlib.Path(folder or ".") / name
        if path.is_file() and os.access(path, os.X_OK):
            return path
    return None
