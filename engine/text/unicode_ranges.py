"""Writes unicode_ranges.cpp: the classes of all code points as the regular expressions of HF `tokenizers` see them.

    build/venv/bin/python engine/text/unicode_ranges.py > engine/text/unicode_ranges.cpp

The facts are the Unicode Character Database's. They are asked from the regular-expression library inside `tokenizers`
because parity is wanted with it, whatever version of Unicode it was built with; the version is found by counting.
"""
import importlib.metadata

from tokenizers import Regex, pre_tokenizers

CLASSES = ["L", "M", "Nd", "Nl", "No", "Pc", "P", "S"]  # later ones do not take what an earlier one has
ASSIGNED = {282230: "14.0", 286719: "15.0", 287346: "15.1", 292531: "16.0", 297334: "17.0"}  # code points but surrogates


def members(pattern):
    keep = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    found = set()
    for i in range(0, len(points), 4096):
        for piece, _ in keep.pre_tokenize_str("".join(map(chr, points[i : i + 4096]))):
            found.update(map(ord, piece))
    return found


def main():
    of = {}
    for number, name in enumerate(CLASSES, 1):
        for c in members(rf"\p{{{name}}}"):
            of.setdefault(c, number)
    runs, last = [], 0
    for c in range(0x110000):
        if of.get(c, 0) != last:
            last = of.get(c, 0)
            runs.append(c << 4 | last)
    assigned = len(members(r"[^\p{Cn}]"))
    version = ASSIGNED.get(assigned, f"unknown ({assigned} code points)")
    print(f"// Written by unicode_ranges.py from tokenizers {importlib.metadata.version('tokenizers')}, Unicode {version}.")
    print('#include "engine/text/unicode.h"\n\nnamespace seedbed::engine::text {\n')
    print("// clang-format off\nconst std::uint32_t kClassRuns[] = {")
    for i in range(0, len(runs), 10):
        print("  " + " ".join(f"0x{x:x}," for x in runs[i : i + 10]))
    print("};\n// clang-format on\nconst std::size_t kClassRunCount = sizeof kClassRuns / sizeof kClassRuns[0];\n")
    print("}  // namespace seedbed::engine::text")


main()
