"""Compares our JSON Schema validator with PyPI's `jsonschema` on generated cases.

    ./dev acceptance                         # makes build/venv, installs the two packages, builds the probe, runs this
    build/venv/bin/python tests/acceptance/json_schema_diff.py --probe build/release/tests/json_schema_probe

Needs `jsonschema` and `rfc3339-validator` (without it `jsonschema` does not check date-time) in the
interpreter that runs it, and the target `json_schema_probe`. Exit code: 0 all agree, 1 some do not,
2 the comparison could not be made.

Where the two differ on purpose, the reference is adjusted or the case is not generated:
  multipleOf   `jsonschema` divides doubles, so 19.99 is no multiple of 0.01; ours works in decimal,
               and so does the reference here, through fractions.Fraction
  integers     beyond 64 bits are doubles here
  patterns     ECMA-262: \\d and \\w are ASCII and $ is the very end; in Python \\d and \\w take other scripts
               and $ a final newline, so no generated case has them together
  date-time    the leap second 23:59:60Z is right here and wrong there
  loops        a $ref that leads back to itself without entering the value is refused when compiled
"""

import argparse
import collections
import fractions
import importlib.metadata
import json
import os
import random
import subprocess
import sys

try:
    import jsonschema
    from jsonschema import Draft202012Validator, FormatChecker, validators
except ImportError as error:
    sys.exit(f"json_schema_diff: {error}; run it through ./dev acceptance, or: {sys.executable} -m pip install jsonschema rfc3339-validator")

TEXTS = ["", "a", "b", "ab", "abc", "abcd", "ABC", "a1", "x-17", "42", "é", "e\u0301", "日本語", "😀", "a😀b", "\u0000", "a\nb", " ", "'\"\\", "ﬀ", "\U0010ffff"]
DATES = ["2031-03-05", "2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "2031-13-01", "2031-00-10", "2031-04-31", "2031-4-01", "0000-01-01",
         "0001-01-01", "9999-12-31", "2031-03-05 ", "20310305", "2031-W10-3", "2031-03-0５", "-031-03-05", "2031/03/05"]
TIMES = ["2031-03-05T14:30:00Z", "2031-03-05t14:30:00z", "2031-03-05T14:30:00.5Z", "2031-03-05T14:30:00.Z", "2031-03-05T24:00:00Z", "2031-03-05T23:59:59+23:59",
         "2031-03-05T23:59:59+24:00", "2031-03-05T14:30:00", "2031-03-05 14:30:00Z", "2031-02-30T14:30:00Z", "2031-03-05T14:60:00Z", "2031-03-05T14:30Z",
         "2031-03-05T14:30:00-0800", "2031-03-05T14:30:00.123456789-08:00", "2031-03-05T14:30:61Z", "2031-03-05T14:30:00Zz", "0000-03-05T14:30:00Z", "2031-03-05T14:30:00+1:00"]
PATTERNS = ["^a", "b$", "^[a-z]+$", "^[A-Z]{3}$", "[0-9]", "^x-[0-9]{1,3}$", "é", "^.$", "^..$", "(ab)+", "^(a|b)*$", "a?b", "^$", "[^a-c]", "\\s", "^\\S+$", "日|😀", "\\u00e9", "^(?!a)", "(a)\\1|b", "^\\d+$", "\\-", "^[A-Za-z_-]+$"]
KEYS = ["a", "b", "c", "d", "ab", "x-1", "é", "a/b", "m~n", "", "long_name", "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"]
NUMBERS = [0, 1, -1, 2, 3, 4, 5, 6, 7, 10, 12, 100, 1.0, 2.0, -0.0, 0.5, 1.5, 2.5, -2.5, 0.1, 0.3, 0.25, 19.99, 0.07, 1e-7, 1e22, 1e300, -1e300, 5e-324, 2**31, -2**31 - 1, 2**53, 2**53 + 1,
           float(2**53), 2**63 - 1, -2**63, float(2**63), -float(2**63), 3.0000000000000004]
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]


def decimal_multiple_of(validator, divisor, instance, schema):
    if not validator.is_type(instance, "number"):
        return
    if fractions.Fraction(repr(instance)) % fractions.Fraction(repr(divisor)) != 0:
        yield jsonschema.ValidationError(f"{instance!r} is not a multiple of {divisor}")


Reference = validators.extend(Draft202012Validator, {"multipleOf": decimal_multiple_of})


class Cases:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def value(self, depth=2):
        r = self.r
        k = r.randrange(10 if depth > 0 else 7)
        if k == 0:
            return None
        if k == 1:
            return r.random() < 0.5
        if k in (2, 3):
            return r.choice(NUMBERS)
        if k in (4, 5, 6):
            return r.choice(r.choice([TEXTS, TEXTS, TEXTS, DATES, TIMES]))
        if k == 7:
            return [self.value(depth - 1) for _ in range(r.randrange(5))]
        return {r.choice(KEYS): self.value(depth - 1) for _ in range(r.randrange(5))}

    def near(self, value):
        """A value that is nearly, or just, the given one."""
        r = self.r
        if isinstance(value, bool):
            return r.choice([value, not value, int(value)])
        if isinstance(value, (int, float)):
            if abs(value) < 2**53:
                return r.choice([value, value, value + 1, value - 1, float(value), int(value), value + 0.5, -value])
            return value
        if isinstance(value, str):
            return r.choice([value, value, value + "a", value[1:], value.upper(), value[::-1] if value.isascii() else value]).rstrip("\n")
        if isinstance(value, list):
            out = [self.near(v) if r.random() < 0.3 else v for v in value]
            k = r.randrange(5)
            if k == 0 and out:
                out.pop()
            if k == 1:
                out.append(r.choice(out) if out else 1)
            if k == 2:
                r.shuffle(out)
            return out
        if isinstance(value, dict):
            items = [(k, self.near(v) if r.random() < 0.3 else v) for k, v in value.items() if r.random() < 0.9]
            r.shuffle(items)
            if r.random() < 0.2:
                items.append((r.choice(KEYS), self.value(1)))
            return dict(items)
        return value

    # ---- schemas ----
    def schema(self, depth, level):
        """`level`: definitions that may be referred to in place have a higher number (no loops)."""
        r = self.r
        if r.random() < 0.06:
            return r.random() < 0.7
        out = {}
        kinds = r.sample(TYPES, r.choice([1, 1, 1, 2, 3]))
        if r.random() < 0.6:
            out["type"] = kinds[0] if len(kinds) == 1 and r.random() < 0.9 else kinds
        for kind in kinds:
            getattr(self, "for_" + {"integer": "number", "null": "any", "boolean": "any"}.get(kind, kind))(out, depth)
        if r.random() < 0.12:
            self.for_any(out, depth)
        if depth > 0 and r.random() < 0.35:
            self.combine(out, depth, level)
        if r.random() < 0.1:
            out[r.choice(["title", "description", "default", "x-note"])] = "text"
        return out

    def inner(self, depth):
        """A schema for a part of the value: it may refer to anything."""
        if self.r.random() < 0.12:
            return {"$ref": self.r.choice(["#", "#/$defs/d0", "#/$defs/d1", "#/$defs/d~12", "#/%24defs/d0"])}
        return self.schema(depth - 1, 0)

    def for_any(self, out, depth):
        r = self.r
        if r.random() < 0.5:
            out["enum"] = [self.value(1) for _ in range(r.choice([0, 1, 2, 3, 5, 20]))]
        elif r.random() < 0.5:
            out["const"] = self.value(2)

    def for_number(self, out, depth):
        r = self.r
        for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            if r.random() < 0.25:
                out[key] = r.choice(NUMBERS)
        if r.random() < 0.2:
            out["multipleOf"] = r.choice([1, 2, 3, 7, 1.0, 0.5, 0.25, 0.1, 0.01, 1e-7, 10, 2.5])

    def for_string(self, out, depth):
        r = self.r
        if r.random() < 0.25:
            out["minLength"] = r.choice([0, 1, 2, 3, 4, 2.0])
        if r.random() < 0.25:
            out["maxLength"] = r.choice([0, 1, 2, 3, 4, 20])
        if r.random() < 0.25:
            out["pattern"] = r.choice(PATTERNS)
        if r.random() < 0.25:
            out["format"] = r.choice(["date", "date-time", "unheard-of"])

    def for_array(self, out, depth):
        r = self.r
        if r.random() < 0.2:
            out["minItems"] = r.randrange(4)
        if r.random() < 0.2:
            out["maxItems"] = r.randrange(5)
        if r.random() < 0.25:
            out["uniqueItems"] = r.random() < 0.8
        if depth <= 0:
            return
        if r.random() < 0.5:
            out["items"] = self.inner(depth)
        if r.random() < 0.25:
            out["prefixItems"] = [self.inner(depth) for _ in range(r.randrange(1, 4))]
        if r.random() < 0.15:
            out["contains"] = self.inner(depth)
            if r.random() < 0.5:
                out["minContains"] = r.randrange(3)
            if r.random() < 0.5:
                out["maxContains"] = r.randrange(4)

    def for_object(self, out, depth):
        r = self.r
        if r.random() < 0.15:
            out["minProperties"] = r.randrange(4)
        if r.random() < 0.15:
            out["maxProperties"] = r.randrange(6)
        if r.random() < 0.35:
            out["required"] = r.sample(KEYS[:11], r.randrange(4))
        if r.random() < 0.08:
            out["dependentRequired"] = {r.choice(KEYS): r.sample(KEYS, r.randrange(3)) for _ in range(2)}
        if depth <= 0:
            return
        if r.random() < 0.8:
            out["properties"] = {k: self.inner(depth) for k in r.sample(KEYS, r.choice([0, 1, 2, 3, 4, 12]))}
        if r.random() < 0.3:
            out["additionalProperties"] = r.choice([False, False, True, None])
            if out["additionalProperties"] is None:
                out["additionalProperties"] = self.inner(depth)
        if r.random() < 0.08:
            out["patternProperties"] = {r.choice(PATTERNS): self.inner(depth) for _ in range(2)}
        if r.random() < 0.06:
            out["propertyNames"] = self.schema(0, 9)
        if r.random() < 0.06:
            out["dependentSchemas"] = {r.choice(KEYS): self.schema(depth - 1, 9)}

    def combine(self, out, depth, level):
        r = self.r
        k = r.randrange(7)
        if k <= 2:
            out[["allOf", "anyOf", "oneOf"][k]] = [self.schema(depth - 1, level) for _ in range(r.randrange(1, 4))]
        elif k == 3:
            out["not"] = self.schema(depth - 1, level)
        elif k == 4:
            out["if"] = self.schema(depth - 1, level)
            for key in ("then", "else"):
                if r.random() < 0.7:
                    out[key] = self.schema(depth - 1, level)
        elif level < 3:
            out["$ref"] = "#/$defs/" + ["d0", "d1", "d~12"][r.randrange(level, 3)]

    def root(self):
        r = self.r
        out = self.schema(r.choice([1, 2, 3, 3]), 0)
        if isinstance(out, dict):
            # Definition i refers in place to later ones only, so that no reference loops.
            out["$defs"] = {name: self.schema(2, i + 1) for i, name in enumerate(["d0", "d1", "d/2"])}
        return out

    def broken(self, schema):
        """One keyword of a wrong kind, somewhere."""
        r = self.r
        key, value = r.choice([
            ("type", "text"), ("type", 3), ("type", []), ("type", ["null", "null"]), ("enum", 1), ("minimum", "1"), ("maximum", None), ("exclusiveMinimum", True), ("multipleOf", 0),
            ("multipleOf", -1), ("minLength", -1), ("minLength", 1.5), ("maxLength", "3"), ("pattern", 1), ("pattern", "("), ("pattern", "[a"), ("format", 1), ("required", "a"),
            ("required", [1]), ("required", ["a", "a"]), ("properties", []), ("properties", {"a": 1}), ("additionalProperties", 1), ("items", [True]), ("items", "a"), ("prefixItems", []),
            ("prefixItems", True), ("uniqueItems", 1), ("anyOf", []), ("anyOf", {}), ("oneOf", [1]), ("allOf", "a"), ("not", []), ("if", 1), ("contains", None), ("minContains", -1),
            ("dependentRequired", {"a": "b"}), ("dependentSchemas", {"a": 1}), ("patternProperties", {"(": True}), ("propertyNames", 1), ("$defs", []), ("$defs", {"a": 1}), ("$ref", 1), ("title", 1)])
        holder = schema
        while r.random() < 0.5:
            subs = [v for k, v in holder.items() if k in ("not", "items", "contains", "additionalProperties", "if", "then", "else") and isinstance(v, dict)]
            for k in ("properties", "$defs"):
                if isinstance(holder.get(k), dict):
                    subs += [v for v in holder[k].values() if isinstance(v, dict)]
            if not subs:
                break
            holder = r.choice(subs)
        holder[key] = value
        return schema

    # ---- instances that have a chance ----
    def fitting(self, schema, depth=3):
        r = self.r
        if not isinstance(schema, dict) or depth < 0:
            return self.value(1)
        if "const" in schema:
            return self.near(schema["const"]) if r.random() < 0.3 else schema["const"]
        if schema.get("enum"):
            v = r.choice(schema["enum"])
            return self.near(v) if r.random() < 0.3 else v
        for key in ("allOf", "anyOf", "oneOf"):
            if key in schema and r.random() < 0.4:
                return self.fitting(r.choice(schema[key]), depth - 1)
        kinds = schema.get("type", None)
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not kinds:
            kinds = [k for k, keys in (("object", ("properties", "required", "patternProperties")), ("array", ("items", "prefixItems", "contains")), ("string", ("pattern", "format", "minLength")),
                                       ("number", ("minimum", "maximum", "multipleOf"))) if any(k2 in schema for k2 in keys)] or TYPES
        kind = r.choice(kinds)
        if kind in ("integer", "number"):
            bounds = [schema[k] for k in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf") if isinstance(schema.get(k), (int, float))]
            v = r.choice(bounds) if bounds and r.random() < 0.7 else r.choice(NUMBERS)
            return self.near(v) if r.random() < 0.6 else v
        if kind == "string":
            return r.choice(DATES if schema.get("format") == "date" and r.random() < 0.8 else TIMES if schema.get("format") == "date-time" and r.random() < 0.8 else TEXTS)
        if kind == "array":
            prefix = schema.get("prefixItems", [])
            n = r.choice([0, 1, 2, 3, 4, 20 if schema.get("uniqueItems") else 3])
            return [self.fitting(prefix[i] if i < len(prefix) else schema.get("items", True), depth - 1) for i in range(n)]
        if kind == "object":
            props = schema.get("properties", {})
            keys = [k for k in props if r.random() < 0.7] + [k for k in schema.get("required", []) if r.random() < 0.9]
            if r.random() < 0.3:
                keys.append(r.choice(KEYS))
            return {k: self.fitting(props.get(k, True), depth - 1) for k in keys}
        return None if kind == "null" else r.random() < 0.5

    def case(self):
        schema = self.root()
        instance = self.fitting(schema) if self.r.random() < 0.85 else self.value(3)
        if isinstance(schema, dict) and self.r.random() < 0.05:
            schema = self.broken(schema)
        return schema, instance


def expected(schema, instance, checker):
    try:
        Reference.check_schema(schema)
    except jsonschema.SchemaError:
        return "refused"
    return "true" if Reference(schema, format_checker=checker).is_valid(instance) else "false"


def keywords(schema, into):
    if isinstance(schema, dict):
        for key, value in schema.items():
            into[key] += 1
            keywords(value, into)
    elif isinstance(schema, list):
        for item in schema:
            keywords(item, into)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--probe", default=os.environ.get("SEEDBED_BUILD", "build/release") + "/tests/json_schema_probe")
    parser.add_argument("--cases", type=int, default=24_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=10, help="disagreements printed")
    args = parser.parse_args()

    checker = FormatChecker(formats=["date", "date-time"])
    if "date-time" not in checker.checkers:
        print("json_schema_diff: jsonschema does not check date-time here; pip install rfc3339-validator", file=sys.stderr)
        return 2
    cases = Cases(args.seed)
    rows = [cases.case() for _ in range(args.cases)]
    lines = "".join(json.dumps({"schema": s, "instance": i}, ensure_ascii=n % 2 == 0) + "\n" for n, (s, i) in enumerate(rows))
    try:
        ran = subprocess.run([args.probe], input=lines.encode(), stdout=subprocess.PIPE, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"json_schema_diff: {args.probe}: {error}; build it with: ninja json_schema_probe", file=sys.stderr)
        return 2
    ours = ran.stdout.decode().splitlines()
    if ran.returncode != 0 or len(ours) != len(rows):
        print(f"json_schema_diff: {args.probe} ended with {ran.returncode} after {len(ours)} of {len(rows)} answers", file=sys.stderr)
        return 1

    counts, used, differing = collections.Counter(), collections.Counter(), []
    for (schema, instance), answer in zip(rows, ours):
        want = expected(schema, instance, checker)
        counts[want] += 1
        keywords(schema, used)
        if answer != want:
            differing.append((want, answer, schema, instance))
    for want, answer, schema, instance in differing[: args.show]:
        print(f"jsonschema {want}, ours {answer}\n  schema   {json.dumps(schema)}\n  instance {json.dumps(instance)}")
    print(f"json_schema_diff cases={len(rows)} valid={counts['true']} invalid={counts['false']} refused={counts['refused']} "
          f"disagreements={len(differing)} seed={args.seed} jsonschema={importlib.metadata.version('jsonschema')}")
    asserted = ["type", "enum", "const", "properties", "required", "additionalProperties", "items", "prefixItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
                "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "pattern", "format", "anyOf", "oneOf", "allOf", "not", "$ref", "$defs"]
    rare = [k for k in asserted if used[k] < args.cases // 100]
    if rare or min(counts["true"], counts["false"]) < args.cases // 5:
        print(f"json_schema_diff: the cases are one-sided (rare keywords: {rare}); they show too little", file=sys.stderr)
        return 1
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
