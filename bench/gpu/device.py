"""What the GPU and the machine are. No name of a host, user or path is taken."""
import os
import pathlib
import platform

import programs

SMI_FOLDERS = ("/usr/bin", "/usr/local/nvidia/bin", "/usr/lib/wsl/lib")
FIELDS = ("name", "driver_version", "memory.total", "memory.used", "compute_cap", "clocks.sm", "clocks.max.sm", "clocks.mem",
          "clocks.max.mem", "power.limit", "temperature.gpu", "ecc.mode.current")


class NoGpu(Exception):
    """One line: what was looked for and not found."""


def query(log, limit=10):
    """[{field: text}] for each GPU. Raises NoGpu."""
    tool = programs.find("nvidia-smi", SMI_FOLDERS)
    if tool is None:
        raise NoGpu("nvidia-smi was not found in the PATH: there is no NVIDIA driver here")
    done = programs.run([tool, "--query-gpu=" + ",".join(FIELDS), "--format=csv,noheader,nounits"], limit, log, "device", show=lambda line: False)
    wrong = programs.what_went_wrong(done)
    if wrong:
        raise NoGpu(f"nvidia-smi: {wrong}")
    gpus = []
    for line in done.lines:
        values = [value.strip()[:120] for value in line.split(",")]
        if len(values) != len(FIELDS):
            raise NoGpu(f"nvidia-smi: {len(values)} values in a line, wanted {len(FIELDS)}: {line[:200]}")
        gpus.append({field: value for field, value in zip(FIELDS, values) if value and not value.startswith("[")})
    if not gpus or "name" not in gpus[0]:
        raise NoGpu("nvidia-smi lists no GPU")
    return gpus


def machine():
    facts = {"cpu": "unknown", "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(), "arch": platform.machine(),
             "python": platform.python_version()}
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                facts["cpu"] = line.split(":", 1)[1].strip()
                break
        kib = int(pathlib.Path("/proc/meminfo").read_text(encoding="utf-8").split()[1])
        facts["memory_gib"] = round(kib / 2**20, 1)
    except (OSError, ValueError, IndexError):
        pass
    return facts


def slug(name):
    """'NVIDIA H100 80GB HBM3' -> 'nvidia-h100-80gb-hbm3'"""
    words = "".join(c.lower() if c.isascii() and c.isalnum() else " " for c in name).split()
    return "-".join(words)[:60] or "device"


def folders_of_libraries():
    """Where cuBLAS may lie, which our programs open at run time."""
    folders = [os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", ""), "/usr/local/cuda"]
    found = [pathlib.Path(folder) / below for folder in folders if folder for below in ("lib64", "targets/x86_64-linux/lib")]
    python = programs.find("python3")
    if python is not None:  # torch's wheels bring it too
        base = python.parent.parent / "lib"
        found += [*base.glob("python3*/site-packages/nvidia/*/lib")]
    return [str(folder) for folder in dict.fromkeys(found) if folder.is_dir() and any(folder.glob("libcublasLt.so*"))]
