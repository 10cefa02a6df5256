"""`seedbed serve` under a crowd and under nonsense: nothing may be left afterwards.

    ./dev acceptance light
    build/venv/bin/python tests/acceptance/server_load.py [--seedbed PROGRAM] [--crowd N]

1,000 streams at once, half of whose clients leave in the middle, twice; then pages, descriptors and memory are looked at. Slow
readers, oversized bodies, broken JSON, text that is no UTF-8, floods of header fields. SIGTERM with a stream running, at the end.

Only the standard library, on raw sockets. Exit code: 0 all hold, 1 something does not, 2 it could not be tried.
"""

import argparse
import asyncio
import json
import pathlib
import resource
import socket
import struct
import sys
import tempfile
import time

from serving import PROGRAM, CannotTry, make_model, run_checks, serving


class Setting:
    def __init__(self, served, crowd):
        self.served, self.crowd = served, crowd
        self.idle_descriptors = served.descriptors()
        self.rss = []


def expect(holds, why):
    if not holds:
        raise AssertionError(why)


def head_of(length, path="/v1/chat/completions", more=""):
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{more}Content-Length: {length}\r\n\r\n".encode()


def chat_bytes(**more):
    body = json.dumps({"messages": [{"role": "user", "content": "Hello!"}], "stream": True, **more}).encode()
    return head_of(len(body)) + body


def talk(served, *pieces, wait=30, end=False):
    """Everything that the server answers to these bytes, until it closes or falls silent."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=wait) as s:
        try:
            for piece in pieces:
                s.sendall(piece)
            if end:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed while we wrote: what it said is still to be read
        said = b""
        try:
            while piece := s.recv(1 << 16):
                said += piece
        except OSError as error:
            said += f"[{error}]".encode()
        return said


def status_of(said):
    return int(said[9:12]) if said.startswith(b"HTTP/1.1 ") else said[:60]


async def stream(served, tokens, leave_after, reset):
    """One client. Leaves after so many events where that is a number; gives how many it saw, and whether the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    seen, done = 0, False
    try:
        writer.write(chat_bytes(max_tokens=tokens, ignore_eos=True, seed=seen))
        await writer.drain()
        while leave_after is None or seen < leave_after:
            line = await reader.readline()
            if not line:
                break
            seen += line.startswith(b"data: ")
            if line.startswith(b"data: [DONE]"):
                done = True
                break
    finally:
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
    return seen, done


async def crowd_of(served, size):
    # Every second client leaves: at once, after one event or after some, with and without a reset.
    leave = [None if i % 2 else (0, 1, 4)[i // 2 % 3] for i in range(size)]
    tasks = [stream(served, 12 if after is None else 200, after, i % 4 == 0) for i, after in enumerate(leave)]
    results = await asyncio.wait_for(asyncio.gather(*tasks), 600)
    for after, (seen, done) in zip(leave, results, strict=True):
        if after is None:
            expect(done and seen >= 3, f"a stream that was read to its end: {seen} events, end: {done}")


def nothing_left(s):
    served = s.served
    for name in "vllm:num_requests_running", "vllm:num_requests_waiting", "seedbed_requests_in_flight":
        expect(served.wait_for(lambda name=name: served.metric(name) == 0, 30), f"{name} stays at {served.metric(name)}")
    pages, free, cached = (served.metric(f"seedbed_pages{kind}") for kind in ("", "_free", "_cached"))
    expect(pages == free + cached and pages > 0, f"{pages} pages: {free} free, {cached} cached")
    expect(served.wait_for(lambda: served.metric("seedbed_connections") == 1, 30), f"{served.metric('seedbed_connections')} connections, one of them this one")
    expect(served.wait_for(lambda: served.descriptors() == s.idle_descriptors, 10), f"{served.descriptors()} descriptors, {s.idle_descriptors} before")
    return f"{int(pages)} pages, {int(cached)} cached; {s.idle_descriptors} descriptors; {served.rss_mib():.0f} MiB"


def check_a_crowd(s):
    for _ in range(3):
        asyncio.run(crowd_of(s.served, s.crowd))
        said = nothing_left(s)
        s.rss.append(s.served.rss_mib())
    # The first crowd fills caches and the allocator; later ones must find that enough.
    expect(s.rss[2] < s.rss[0] + 32, f"memory grows with every crowd: {s.rss} MiB")
    expect(s.served.metric("seedbed_http_gone_total") >= s.crowd * 0.4, "few were seen going")
    return said + "; after each crowd " + ", ".join(f"{x:.0f}" for x in s.rss) + " MiB"


def check_slow_readers(s):
    slow, sockets = s.served.metric("seedbed_http_slow_total"), []
    for _ in range(2):  # each event tells 64 choices' likeliest twenty: megabytes in a moment, and nobody reads them
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", s.served.port))
        reader.sendall(chat_bytes(n=32, max_tokens=2_000, ignore_eos=True, logprobs=True, top_logprobs=20))
        sockets.append(reader)
    begin = time.monotonic()
    expect(s.served.wait_for(lambda: s.served.metric("seedbed_http_slow_total") == slow + 2, 240), "slow readers are kept")
    took = time.monotonic() - begin
    for reader in sockets:
        reader.close()
    return f"closed after {took:.1f} s; {nothing_left(s)}"


def check_wrong_bodies(s):
    mib = b"x" * (1 << 20)
    said = talk(s.served, head_of(17 << 20), *[mib] * 17)
    expect(status_of(said) == 413 and b"body_too_large" in said, said[:300])
    chunks = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    said = talk(s.served, chunks, *[b"100000\r\n" + mib + b"\r\n"] * 17)
    expect(status_of(said) == 413, said[:300])
    close = "Connection: close\r\n"
    broken = [b"", b"{", b"[]", b"null", b'{"messages":', b'{"messages":[{"role":"user","content":"\xff\xfe"}]}', b'{"messages":"\\ud800"}', b"[" * 100_000, b'{"a":' * 50_000, b"\0" * 100, b'{"messages":[],"messages":[]}', b'{"max_tokens":1e999}']
    for body in broken:
        said = talk(s.served, head_of(len(body), more=close), body)
        expect(status_of(said) == 400, f"{body[:40]}: {said[:300]}")
        error = json.loads(said.partition(b"\r\n\r\n")[2])["error"]
        expect(error["message"] and error["type"] == "invalid_request_error" and {"param", "code"} <= set(error), error)
    return nothing_left(s)


def check_wrong_heads(s):
    post = b"POST / HTTP/1.1\r\nHost: x\r\n"
    for status, said_by_client in (
        (431, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 50) for i in range(2_000)) + b"\r\n"),
        (414, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n"),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        (400, b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, post + b"Authorization: Bearer \xff\r\n\r\n"),
        (400, post + b"A\0B: c\r\n\r\n"),
        (400, post + b"Content-Length: 5, 6\r\n\r\nhello"),
        (400, post + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, post + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffffff\r\n"),
        (501, post + b"Transfer-Encoding: gzip\r\n\r\n"),
        (505, b"GET / HTTP/2.0\r\n\r\n"),
    ):
        said = talk(s.served, said_by_client)
        expect(status_of(said) == status, f"{said_by_client[:50]}: {said[:300]}")
        expect("message" in json.loads(said.partition(b"\r\n\r\n")[2])["error"], said[:300])
    expect(talk(s.served, b"GET / HT", end=True) == b"", "half a request and its end are answered")
    said = talk(s.served, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 50 + b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    expect(said.count(b"HTTP/1.1 200 OK") == 50 and said.count(b"HTTP/1.1 404") == 1, said[-300:])
    return nothing_left(s)


def check_a_crowd_that_says_nothing(s):
    held = [socket.create_connection(("127.0.0.1", s.served.port)) for _ in range(s.crowd)]
    for i, silent in enumerate(held):
        if i % 2:
            silent.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Le")
    expect(status_of(talk(s.served, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == 200, "health")
    expect(s.served.metric("seedbed_connections") == s.crowd + 1, s.served.metric("seedbed_connections"))
    for silent in held:
        silent.close()
    return nothing_left(s)


def check_the_end(s):
    with socket.create_connection(("127.0.0.1", s.served.port), timeout=60) as running, socket.create_connection(("127.0.0.1", s.served.port), timeout=60) as idle:
        running.sendall(chat_bytes(max_tokens=300, ignore_eos=True))
        said = running.recv(4096)
        expect(said.startswith(b"HTTP/1.1 200"), said)
        s.served.end()
        expect(idle.recv(1) == b"", "an idle connection stays open")
        while piece := running.recv(1 << 16):
            said += piece
        expect(b"data: [DONE]" in said and said.endswith(b"0\r\n\r\n"), f"SIGTERM cut a stream: {said[-200:]}")
    code = s.served.exit_code()
    expect(code == 0, f"exit code {code}: {''.join(s.served.log)[-500:]}")
    return f"{said.count(b'data: ')} events, exit code 0"


CHECKS = [
    check_wrong_heads,
    check_wrong_bodies,
    check_a_crowd,
    check_slow_readers,
    check_a_crowd_that_says_nothing,
    check_the_end,
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seedbed", default=PROGRAM)
    parser.add_argument("--crowd", type=int, default=1_000)
    parser.add_argument("--only", help="checks whose name contains this")
    words = parser.parse_args()
    wanted = 2 * words.crowd + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))  # for our side; the server sees to its own
    with tempfile.TemporaryDirectory() as temp:
        try:
            model = make_model(words.seedbed, pathlib.Path(temp))
        except CannotTry as error:
            print(f"server_load: {error}", file=sys.stderr)
            sys.exit(2)
        with serving(words.seedbed, model, "--cache-tokens", 131072, "--max-batch", 64, descriptors=512) as served:
            served.get("/health")
            time.sleep(0.5)  # its connection is closed: what is open now is the server's own
            checks = [c for c in CHECKS if not words.only or words.only in c.__name__]
            sys.exit(run_checks("server_load", checks, Setting(served, words.crowd)))


if __name__ == "__main__":
    main()
