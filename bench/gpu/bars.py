"""The bars of bench/bars.json held against measurements. A bar without its measurement is NOT MEASURED, never passed.

A bar: {"id", "names": [measurement...], "shape": members that the measurement's shape must have, "metric", "at_least" or
"at_most", "source", "note"?, "bytes"?: counted here instead of by the program}. Where several measurements fit, the worst counts,
and each of `names` must be there. Metrics:

    seconds, value
    share_of_bandwidth, share_of_bf16_peak, share_of_fp8_peak     of the datasheet of the device, by its name
    time_ratio                                                    seconds over those of the measurement in "over": {"name", "shape"}
"""
import json
import math
import pathlib

SHARES = {"share_of_bandwidth": ("bytes", "bandwidth"), "share_of_bf16_peak": ("flop", "bf16"), "share_of_fp8_peak": ("flop", "fp8")}
PASS, FAIL, NOT_MEASURED = "PASS", "FAIL", "NOT MEASURED"


def load(path):
    """Raises ValueError with one line where the file does not say what it should."""
    try:
        data = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        _check(data)
    except (OSError, ValueError) as error:
        raise ValueError(f"bars '{path}': {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"bars '{path}': a member is missing or of another kind ({type(error).__name__}: {error})") from None
    return data


def _check(data):
    for key in ("bandwidth", "bf16", "fp8"):
        if not isinstance(data["ceilings"][key], str):
            raise ValueError(f"ceilings: {key} is no name of a measurement")
    for device in data["devices"]:
        if not device["names"] or not device["source"] or not all(device[key] > 0 for key in ("bandwidth", "bf16")):
            raise ValueError(f"device {device.get('names')} lacks a figure or a source")
    seen = set()
    for bar in data["bars"]:
        name = bar["id"]
        if not name or name in seen:
            raise ValueError(f"id {name!r} is missing or there twice")
        seen.add(name)
        if set(bar) - {"id", "names", "shape", "metric", "at_least", "at_most", "source", "note", "bytes", "over"}:
            raise ValueError(f"{name} has an unknown member")
        if ("at_least" in bar) == ("at_most" in bar) or not bar["names"] or not bar["source"]:
            raise ValueError(f"{name} needs names, a source, and one of at_least and at_most")
        if not bar.get("at_least", bar.get("at_most")) > 0:
            raise ValueError(f"{name} wants nothing")
        if bar["metric"] not in (*SHARES, "seconds", "value", "time_ratio") or (bar["metric"] == "time_ratio") != ("over" in bar):
            raise ValueError(f"{name} has metric {bar['metric']!r}")


def datasheet(data, device_name):
    """The device's entry, or None."""
    return next((device for device in data["devices"] if device_name in device["names"]), None)


def fits(one, name, shape):
    return one["name"] == name and all(key in one["shape"] and one["shape"][key] == value for key, value in shape.items())


def _pick(measurements, name, shape, kind="seconds"):
    """(those with a time or value, why there is none)"""
    mine = [one for one in measurements if fits(one, name, shape)]
    without = [one for one in mine if kind not in one]
    wanted = " ".join([name, *(f"{key}={value}" for key, value in shape.items())])
    if without:
        one = without[0]
        return [], f"{one['name']}: " + next((f"{why}: {one[why]}" for why in ("error", "skipped") if why in one), f"printed without {kind}")
    return mine, "" if mine else f"there is no measurement {wanted}"


def _figures(bar, measurements, sheet):
    """([figure...], why not)"""
    figures = []
    for name in bar["names"]:
        found, why = _pick(measurements, name, bar.get("shape", {}), "value" if bar["metric"] == "value" else "seconds")
        if why:
            return [], why
        for one in found:
            if bar["metric"] in ("seconds", "value"):
                figures.append(one[bar["metric"]])
            elif bar["metric"] == "time_ratio":
                over, why = _pick(measurements, bar["over"].get("name", name), bar["over"].get("shape", {}))
                if why:
                    return [], why
                figures += [one["seconds"] / other["seconds"] for other in over]
            else:
                count, peak = SHARES[bar["metric"]]
                amount = bar.get(count, one.get(count, 0))
                if not sheet:
                    return [], "bars.json has no datasheet of this device"
                if not sheet.get(peak):
                    return [], f"the device's datasheet has no {peak}"
                if not amount:
                    return [], f"{name} was printed without {count}"
                figures.append(amount / one["seconds"] / sheet[peak])
    return figures, ""


def judge(data, measurements, device_name):
    """One row a bar: {"id", "verdict", "figure" or None, "wanted", "metric", "why"}"""
    sheet, rows = datasheet(data, device_name), []
    for bar in data["bars"]:
        figures, why = _figures(bar, measurements, sheet)
        least = "at_least" in bar
        limit = bar["at_least"] if least else bar["at_most"]
        figure = (min(figures) if least else max(figures)) if figures else None
        good = figure is not None and math.isfinite(figure) and (figure >= limit if least else figure <= limit)
        rows.append({
            "id": bar["id"], "metric": bar["metric"], "wanted": f"{'>=' if least else '<='} {limit:g}", "figure": figure,
            "verdict": NOT_MEASURED if figure is None else PASS if good else FAIL, "why": why, "measurements": len(figures)})
    return rows


def ceilings(data, measurements):
    """{"bandwidth": bytes a second, "bf16": ..., "fp8": ...}: the best that was measured, those that were."""
    found = {}
    for key, (name, count) in {"bandwidth": (data["ceilings"]["bandwidth"], "bytes"), "bf16": (data["ceilings"]["bf16"], "flop"),
                               "fp8": (data["ceilings"]["fp8"], "flop")}.items():
        rates = [one[count] / one["seconds"] for one in measurements if one["name"] == name and one.get(count) and "seconds" in one]
        if rates:
            found[key] = max(rates)
    return found


def table(rows):
    """Lines."""
    width = max([len(row["id"]) for row in rows], default=2)
    lines = [f"{'bar':<{width}}  {'metric':<20} {'wanted':>12} {'figure':>12}  verdict"]
    for row in rows:
        figure = "-" if row["figure"] is None else f"{row['figure']:.3g}"
        lines.append(f"{row['id']:<{width}}  {row['metric']:<20} {row['wanted']:>12} {figure:>12}  {row['verdict']}{': ' + row['why'] if row['why'] else ''}")
    return lines
