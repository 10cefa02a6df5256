"""The table of docs/gpu.md: op x file x tier x hash of its sources x what a GPU has seen of it, from the tree and the reports kept.

    python3 bench/gpu/document.py             writes the section
    python3 bench/gpu/document.py --check     exit code 1 where it is stale
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import report
import sources
import suite
from programs import Refused

BEGIN, END = "<!-- ops: made by bench/gpu/document.py -->", "<!-- /ops -->"


def reports(folder):
    """[(file name, report)], the newest first. A damaged one is an error, not a gap."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if isinstance(data, dict) and data.get("format") == report.FORMAT:
            found.append((path.name, report.read(path)))
    return sorted(found, key=lambda pair: (pair[1]["date"], pair[0]), reverse=True)


def cases_of(data, suites):
    """{"passed", "failed", "other"} of the contract's cases that belong to an op."""
    count, wanted = {"passed": 0, "failed": 0, "other": 0}, set(suites.split())
    if not any(suite.DEVICE_FOUND in phase["facts"].get("passed", []) for phase in data["phases"]):
        return count  # suites that go over all backends pass without a device too
    for phase in data["phases"]:
        if phase["name"] not in ("contract-first", "contract"):
            continue
        for key, names in (("passed", phase["facts"].get("passed", [])), ("failed", [one["name"] for one in phase["facts"].get("failed", [])]),
                           ("other", [one["name"] for one in phase["facts"].get("skipped", [])] + phase["facts"].get("not_run", []))):
            count[key] += sum(suite.suite_of(name) in wanted for name in names)
    return count


def state_of(file, suites, now, kept):
    """What the newest report with these sources says, else the newest with others, else that there is none."""
    older = ""
    for name, data in kept:
        count = cases_of(data, suites)
        if not count["passed"] + count["failed"]:
            continue
        told = f"{count['passed']} cases passed" + (f", **{count['failed']} failed**" if count["failed"] else "") + (f", {count['other']} not run" if count["other"] else "")
        where = f"{data['device']['name']}, {data['date'][:10]}, [report](../bench/results/{name})"
        if data["bundle"]["ops"].get(file) == now:
            return f"{told}: {where}"
        older = older or f"these sources: never run; older ones (`{data['bundle']['ops'].get(file, 'none')}`): {told}: {where}"
    return older or "never run"


def section(root):
    kept, hashes = reports(root / "bench/results"), sources.hashes(root)
    missing = sources.missing_rows(root)
    if missing:
        raise Refused(f"table of ops: bench/gpu/sources.py: {', '.join(missing)} in {sources.FOLDER}/ has no row in OPS; add one, with its ops, tier and suites")
    lines = [BEGIN]
    lines.append("There is no report of a GPU in `bench/results/`: **nothing in this table has run on one yet.**" if not kept else
                 f"The newest of {len(kept)} in `bench/results/` is `{kept[0][0]}`: {kept[0][1]['verdict']}.")
    lines += ["", f"| op | file in `{sources.FOLDER}/` | tier | sources | on a GPU |", "|---|---|---|---|---|"]
    for ops, file, tier, suites in sources.OPS:
        if file in hashes:
            lines.append(f"| {ops} | `{file}` | {tier} | `{hashes[file]}` | {state_of(file, suites, hashes[file], kept)} |")
    return "\n".join([*lines, END])


def replaced(text, new):
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise Refused(f"docs/gpu.md: the lines '{BEGIN}' and '{END}' are missing; put them where the table belongs")
    return text[:begin] + new + text[end + len(END):]


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    page = root / "docs/gpu.md"
    try:
        old = page.read_text(encoding="utf-8")
        new = replaced(old, section(root))
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    if "--check" in sys.argv[1:]:
        if new != old:
            print("docs/gpu.md: the table of ops is stale: sources or reports have changed; run: python3 bench/gpu/document.py", file=sys.stderr)
        return int(new != old)
    page.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
