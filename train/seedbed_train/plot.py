"""metrics.jsonl as one SVG: loss of the agent's tokens, shares that are right, the indexer's KL; no library needed."""

import json
import math
from pathlib import Path

from .errors import TrainError

WIDTH, HEIGHT, LEFT, TOP = 760, 200, 56, 28
COLOURS = {"dense": "#2b6cb0", "warmup": "#b7791f", "sparse": "#2f855a"}


def read_metrics(file):
    try:
        lines = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise TrainError("metrics", file, str(error), "give the metrics.jsonl of a run") from None
    if not lines:
        raise TrainError("metrics", file, "holds no step", "train first")
    return lines


def smooth(values, keep=0.95):
    out, mean, weight = [], 0.0, 0.0
    for v in values:
        mean, weight = keep * mean + (1 - keep) * v, keep * weight + 1 - keep
        out.append(mean / weight)
    return out


def _panel(y, title, series, top):
    """series: [(name, colour, [(tokens, value)], dots)]; values on a linear scale from 0 to `top`."""
    points = [p for _, _, s, _ in series for p in s]
    most = max(p[0] for p in points) or 1
    x_of = lambda t: LEFT + (WIDTH - LEFT - 10) * t / most
    y_of = lambda v: y + TOP + (HEIGHT - TOP - 24) * (1 - min(v, top) / top)
    out = [f'<text x="{LEFT}" y="{y + 18}" font-weight="bold">{title}</text>']
    for i in range(5):
        v = top * i / 4
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y_of(v):.1f}" y2="{y_of(v):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y_of(v) + 4:.1f}" text-anchor="end">{v:.3g}</text>')
    out.append(f'<text x="{WIDTH - 10}" y="{y + HEIGHT - 4}" text-anchor="end">{most / 1e6:.1f} M tokens</text>')
    legend = LEFT + 300
    for name, colour, s, dots in series:
        if dots:
            out += [f'<circle cx="{x_of(t):.1f}" cy="{y_of(v):.1f}" r="3" fill="{colour}"/>' for t, v in s]
        step = max(1, len(s) // 700)
        path = " ".join(f"{x_of(t):.1f},{y_of(v):.1f}" for t, v in s[::step])
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        out.append(f'<rect x="{legend}" y="{y + 9}" width="10" height="10" fill="{colour}"/><text x="{legend + 14}" y="{y + 18}">{name}</text>')
        legend += 24 + 7 * len(name)
    return out


def svg(lines):
    """The page of read_metrics()'s lines."""

    def by_stage(key):
        out = []
        for stage, colour in COLOURS.items():
            of_stage = [line for line in lines if line["stage"] == stage and key in line]
            if of_stage:
                values = smooth([line[key] for line in of_stage])
                out.append((stage, colour, list(zip([line["tokens"] for line in of_stage], values)), False))
        return out

    held = [(l["tokens"], l["held_out"]) for l in lines if "held_out" in l]
    losses = by_stage("agent_loss")
    if held:
        losses.append(("held out", "#c53030", [(t, h["agent_loss"]) for t, h in held], True))
    panels = [("loss of the agent's tokens", losses, None)]
    if held:
        shares = (("tokens", "agent_right", "#2b6cb0"), ("turns", "turns_right", "#2f855a"), ("episodes", "episodes_right", "#c53030"))
        panels.append(("held out: share right at the first try", [(name, colour, [(t, h[key]) for t, h in held], True) for name, key, colour in shares], 1.0))
    if any("index" in l for l in lines):
        panels.append(("indexer: KL a row", by_stage("index"), None))
    parts = []
    for i, (title, series, top) in enumerate(panels):
        values = sorted(v for _, _, s, _ in series for _, v in s if math.isfinite(v))
        parts += _panel(i * HEIGHT, title, series, top or 1.1 * values[int(0.98 * (len(values) - 1))] or 1.0)
    size = f'width="{WIDTH}" height="{HEIGHT * len(panels)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12"><rect {size} fill="white"/>' + "\n".join(parts) + "</svg>\n"
