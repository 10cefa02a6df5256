"""Measurements: one JSON object a line of standard output; other lines are talk.

    {"name": "index_logits_paged/b64", "shape": {"tokens": 64}, "seconds": 1.5e-4, "bytes": 570425344, "flop": 0, "repeats": 50}

`shape` is an object of numbers and words. `bytes` and `flop` are counted from the arguments. Instead of `seconds` a line may have
"value" (a number that is no time), "skipped" or "error" (why there is none); {"name": "device", ...} tells of the device. Further
members are kept if they are numbers or words.
"""
import json
import math
import re

_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_./=-]{0,119}$")
_KINDS = ("seconds", "value", "skipped", "error")  # a line has one of them
MOST = 20_000


class Malformed(Exception):
    """One line: what is wrong with it."""


def shape_of(value):
    if isinstance(value, dict) and all(isinstance(v, (int, float, str)) for v in value.values()):
        return dict(value)
    raise Malformed("shape is no object of numbers and words")


def text_of(shape):
    return " ".join(f"{key}={value}" for key, value in shape.items())


def _refuse_constant(text):
    raise ValueError(f"{text} is no number of JSON")


def parse(line):
    """A measurement as a dict, or None where the line is talk. Raises Malformed."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no JSON ({str(error)[:80]})") from None
    if not isinstance(value, dict):
        raise Malformed("no JSON object")
    name = value.get("name")
    if not isinstance(name, str) or not _NAME.match(name):
        raise Malformed(f"name is {str(name)[:40]!r}, wanted letters, digits and some of _ . / = -")
    found = {"name": name, "shape": shape_of(value.get("shape", {}))}
    kinds = [kind for kind in _KINDS if kind in value]
    if len(kinds) != 1 and not (name == "device" and not kinds):
        raise Malformed(f"{name}: wanted one of {', '.join(_KINDS)}, found {', '.join(kinds) or 'none'}")
    for kind in kinds:
        it = value[kind]
        if kind in ("skipped", "error"):
            found[kind] = str(it)[:300]
        elif isinstance(it, bool) or not isinstance(it, (int, float)) or not math.isfinite(it):
            raise Malformed(f"{name}: {kind} is {str(it)[:40]}, wanted a number")
        elif kind == "seconds" and not 0 < it < 1e6:
            raise Malformed(f"{name}: seconds is {str(it)[:40]}, wanted more than 0")
        else:
            found[kind] = it
    for key, other in value.items():
        if key in found or key in _KINDS or len(key) > 40:
            continue
        if isinstance(other, bool) or isinstance(other, str):
            found[key] = other if isinstance(other, bool) else other[:300]
        elif isinstance(other, (int, float)) and math.isfinite(other):
            if key in ("bytes", "flop", "repeats") and other < 0:
                raise Malformed(f"{name}: {key} is {other}, wanted 0 or more")
            found[key] = other
        elif key in ("bytes", "flop", "repeats"):
            raise Malformed(f"{name}: {key} is {str(other)[:40]}, wanted a number")
    return found


def read(lines, source):
    """([measurements], [what is wrong, one line each])"""
    found, wrong = [], []
    for number, line in enumerate(lines, 1):
        try:
            one = parse(line)
        except Malformed as error:
            wrong.append(f"{source}: line {number} is no measurement: {error}")
            continue
        if one is not None:
            found.append({**one, "source": source})
    if len(found) > MOST:
        wrong.append(f"{source}: {len(found)} measurements, at most {MOST} are read")
    return found[:MOST], wrong


def rates(one):
    """'12.3 us  3.91 TB/s  410 TFLOP/s', for people."""
    for kind in ("skipped", "error"):
        if kind in one:
            return f"{kind}: {one[kind]}"
    if "value" in one:
        return f"{one['value']:g}"
    if "seconds" not in one:
        return " ".join(str(other) for key, other in one.items() if key not in ("name", "shape"))
    text = f"{one['seconds'] * 1e6:.1f} us"
    if one.get("bytes"):
        text += f"  {one['bytes'] / one['seconds'] / 1e12:.2f} TB/s"
    if one.get("flop"):
        text += f"  {one['flop'] / one['seconds'] / 1e12:.0f} TFLOP/s"
    return text
