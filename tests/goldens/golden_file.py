"""Writes and reads golden files; README.md describes the format."""

import numpy as np

MAGIC = "seedbed-golden 1"
DTYPES = {"f32": "<f4", "u8": "<u1", "u16": "<u2"}


def write(path, fields, arrays):
    """fields: {key: value}, one line each; arrays: [(name, dtype name, numpy array)]."""
    with open(path, "wb") as out:
        lines = [MAGIC]
        for key, value in fields.items():
            text = str(value)
            if "\n" in text or " " in key:
                raise ValueError(f"field {key}: a line cannot hold it")
            lines.append(f"{key} {text}")
        for name, dtype, array in arrays:
            lines.append("array " + " ".join([name, dtype, *map(str, array.shape)]))
        lines.append("end")
        out.write(("\n".join(lines) + "\n").encode())
        for _, dtype, array in arrays:
            out.write(np.ascontiguousarray(array, dtype=DTYPES[dtype]).tobytes())


def read(path):
    """(fields, {name: array})"""
    with open(path, "rb") as source:
        data = source.read()
    fields, shapes, at = {}, [], 0
    while True:
        end = data.index(b"\n", at)
        words = data[at:end].decode().split(" ")
        first, at = at == 0, end + 1
        if first:
            if " ".join(words) != MAGIC:
                raise ValueError(f"{path}: no golden file")
        elif words[0] == "end":
            break
        elif words[0] == "array":
            shapes.append((words[1], DTYPES[words[2]], tuple(map(int, words[3:]))))
        else:
            fields[words[0]] = " ".join(words[1:])
    arrays = {}
    for name, dtype, shape in shapes:
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(data, dtype, count, at).reshape(shape)
        at += arrays[name].nbytes
    if at != len(data):
        raise ValueError(f"{path}: {len(data) - at} bytes left over")
    return fields, arrays
