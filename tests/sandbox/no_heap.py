"""What runs between clone and exec in a jail uses no heap: its objects name no function that allocates.

    python3 tests/sandbox/no_heap.py OBJECT...        # all of a helper's objects; those named below are looked at

The child of a clone shares nothing with its parent's locks but their state: an allocation there may wait for ever.
Exit code: 0 none is named, 1 some are, 2 an object is missing.
"""

import re
import subprocess
import sys

AFTER_CLONE = ("box/init.cc", "box/root.cc", "box/walls.cc", "broker/launch.cc", "broker/filter.cc", "broker/landlock.cc")
ALLOCATES = re.compile(r"\b(malloc|calloc|realloc|free|strdup|asprintf|fopen|opendir|getline|qsort)\b|operator (new|delete)|basic_string<|std::vector")
VIEWS = re.compile(r"basic_string_view<[^()]*>")


def main():
    found, wrong = set(), []
    for path in sys.argv[1:]:
        part = next((name for name in AFTER_CLONE if path.endswith(name + ".o")), None)
        if part is None:
            continue
        found.add(part)
        named = subprocess.run(["nm", "-uC", path], check=True, capture_output=True, text=True).stdout
        wrong += [f"{part}: {line.strip()}" for line in named.splitlines() if ALLOCATES.search(VIEWS.sub("", line))]
    missing = set(AFTER_CLONE) - found
    if missing:
        print(f"no_heap: no object of {', '.join(sorted(missing))} among the {len(sys.argv) - 1} given")
        return 2
    print("\n".join(wrong) or f"no_heap: {len(found)} objects name no function that allocates")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
