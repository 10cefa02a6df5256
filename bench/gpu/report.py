"""report.json: what the check saw. Read again before it is kept, since it may come from another machine.

    python3 bench/gpu/report.py REPORT.json      (./dev gpu --keep) copies it to bench/results/<device>-<date>-<commit>.json
"""
import json
import math
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bars
import device
import phases
from programs import Refused

FORMAT, VERSION = "seedbed-gpu-report", 1
MOST_BYTES = 16 << 20
MEMBERS = {"format", "version", "date", "commit", "seconds", "seconds_allowed", "verdict", "asked", "machine", "device", "bundle", "ceilings", "phases", "measurements", "bars"}
_DATE = re.compile(r"^20\d\d-[01]\d-[0-3]\d [0-2]\d:[0-5]\d UTC$")


def write(path, report):
    """The texts of failures are cut where the file would be too large."""
    for most in (1 << 30, 4000, 400, 40):
        text = json.dumps(_cut(report, most), indent=1, allow_nan=False) + "\n"
        if len(text.encode()) <= MOST_BYTES:
            part = path.with_name(path.name + ".part")
            part.write_text(text, encoding="utf-8")
            part.rename(path)
            return
    raise Refused(f"report '{path}': {len(text.encode())} bytes, at most {MOST_BYTES}; nothing was written; look into log.txt")


def _cut(value, most):
    if isinstance(value, str):
        return value if len(value) <= most else value[:most] + "..."
    if isinstance(value, list):
        return [_cut(one, most) for one in value]
    if isinstance(value, dict):
        return {key: _cut(one, most) for key, one in value.items()}
    return value


def _texts(value, most):
    return isinstance(value, dict) and all(isinstance(key, str) and isinstance(one, (str, int, float)) and len(str(one)) <= most for key, one in value.items())


def check(data):
    """What is wrong with a report, in one line; empty where nothing is."""
    if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("version") != VERSION:
        return f"is no {FORMAT} of version {VERSION}"
    if set(data) != MEMBERS:
        return f"members are missing or unknown: {sorted(set(data) ^ MEMBERS)[:5]}"
    if not isinstance(data["date"], str) or not _DATE.match(data["date"]):
        return "date is none"
    if not isinstance(data["commit"], str) or not re.fullmatch(r"[0-9A-Za-z.-]{4,60}", data["commit"]):
        return "commit is none"
    if data["verdict"] not in ("passed", "failed"):
        return f"verdict is {str(data['verdict'])[:40]!r}"
    if not _texts(data["machine"], 200) or not _texts(data["device"], 200) or not data["device"].get("name"):
        return "machine or device are no facts"
    if not isinstance(data["bundle"], dict) or not all(_texts(data["bundle"].get(key), 200) for key in ("ops", "sources", "programs")):
        return "bundle lacks ops, sources or programs"
    known = [name for name, _, _, _ in phases.PHASES]
    if not isinstance(data["phases"], list) or [phase.get("name") if isinstance(phase, dict) else None for phase in data["phases"]] != known:
        return f"phases are not these: {', '.join(known)}"
    for phase in data["phases"]:
        if phase.get("state") not in (phases.PASSED, phases.FAILED, phases.NOT_RUN) or not isinstance(phase.get("facts"), dict) or not isinstance(phase.get("why"), str):
            return f"phase {phase['name']} lacks a state, why or facts"
        if phase["state"] != phases.PASSED and not phase["why"]:
            return f"phase {phase['name']}: {phase['state']} without a reason"
    if not isinstance(data["measurements"], list) or not isinstance(data["bars"], list) or not data["bars"]:
        return "measurements or bars are no lists"
    for one in data["measurements"]:
        seconds = one.get("seconds", 1.0) if isinstance(one, dict) else None
        if not isinstance(seconds, (int, float)) or not math.isfinite(seconds) or seconds <= 0 or not isinstance(one.get("name"), str):
            return f"a measurement is none: {str(one)[:80]}"
    for bar in data["bars"]:
        if not isinstance(bar, dict) or bar.get("verdict") not in (bars.PASS, bars.FAIL, bars.NOT_MEASURED) or (bar.get("figure") is None) != (bar["verdict"] == bars.NOT_MEASURED):
            return f"a bar is none: {str(bar)[:80]}"
    good = all(phase["state"] == phases.PASSED for phase in data["phases"] if not data["asked"] or phase["name"] in data["asked"])
    if (data["verdict"] == "passed") != (good and (bool(data["asked"]) or all(bar["verdict"] == bars.PASS for bar in data["bars"]))):
        return "its verdict is not that of its phases and bars"
    return ""


def read(path):
    """The report. Raises Refused."""
    def no(found):
        return Refused(f"report '{path}': {found}; take the report.json that ./dev gpu wrote")

    try:
        if path.stat().st_size > MOST_BYTES:
            raise no(f"{path.stat().st_size} bytes, at most {MOST_BYTES}")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise no(error.strerror or str(error)) from None
    except (ValueError, RecursionError):
        raise no("no JSON") from None
    try:
        wrong = check(data)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        wrong = f"a member is missing or of another kind ({type(error).__name__}: {error})"
    if wrong:
        raise no(wrong)
    return data


def kept_name(data):
    date = re.sub(r"\D", "", data["date"][:16])
    return f"{device.slug(data['device']['name'])}-{date[:8]}-{date[8:12]}-{data['commit']}.json"


def keep(path, folder):
    """Where it lies now. Raises Refused."""
    data = read(path)
    target = folder / kept_name(data)
    if target.exists():
        raise Refused(f"report '{path}': {target} is there already; remove that one first if this is another run")
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return target


def main():
    if len(sys.argv) != 2:
        print("report.py: one argument is wanted: the report.json to keep", file=sys.stderr)
        return 2
    root = pathlib.Path(__file__).resolve().parents[2]
    try:
        target = keep(pathlib.Path(sys.argv[1]), root / "bench/results")
    except Refused as error:
        print(error, file=sys.stderr)
        return 3
    print(f"kept: {target.relative_to(root)}; now: python3 bench/gpu/document.py", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
