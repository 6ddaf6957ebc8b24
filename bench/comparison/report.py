"""What a comparison leaves: a table, a JSON file that grows row by row, a picture."""

import json
import math
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
from xml.sax.saxutils import escape


def progress(line):
    print(line, file=sys.stderr, flush=True)


def write_atomically(path, content):
    """Beside, synchronised, then renamed: an interrupted run leaves the old file or the new one."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    binary = isinstance(content, bytes)
    with tempfile.NamedTemporaryFile(
        "wb" if binary else "w", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def gpu_name():
    """The GPU by its driver's account."""
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown GPU"


def processor(machine_facts):
    """What the works ran on."""
    return machine_facts.get("gpu", machine_facts["cpu"])


def machine(device="cpu"):
    """What the numbers hold for."""
    cpu, flags = platform.processor() or platform.machine(), set()
    memory = 0
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    cpu = value.strip()
                if key.strip() == "flags":
                    flags = set(value.split())
        with open("/proc/meminfo") as file:
            memory = 1024 * int(file.readline().split()[1])
    except OSError:
        pass
    gpu = {"gpu": gpu_name()} if device == "cuda" else {}
    kinds = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")
    return {
        **gpu,
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory": memory,
        "instructions": [k for k in kinds if k in flags],
        "system": f"{platform.system()} {platform.release()}",
    }


def ways(options):
    """How this run measures."""
    return {
        "threads": options.threads,
        "time": "processor" if options.busy else "wall clock",
        "load_before": round(os.getloadavg()[0], 2),
        "note_of_run": options.note,
    }


def file_name(cpu):
    return re.sub(r"[^A-Za-z0-9]+", "-", cpu).strip("-").lower()


class Results:
    """{machine, versions, rows}, written anew with every row. Rows of an earlier run on such a machine are kept until
    the same work is measured again, against the same library and in the same way."""

    KEY = ("work", "peer", "threads", "time")

    def __init__(self, path, machine_facts, ways):
        self.path, self.machine, self.ways = pathlib.Path(path), machine_facts, ways
        self.versions, self.rows, self.earlier = {}, [], []
        try:
            before = json.loads(self.path.read_text())
            if processor(before["machine"]) == processor(machine_facts):
                self.versions, self.earlier = before["versions"], before["rows"]
        except (OSError, ValueError, KeyError):
            pass  # none yet, or not one of ours: this run's rows take its place

    def add(self, row):
        row = {**row, **self.ways}
        self.rows.append(row)
        key = [row[k] for k in self.KEY]
        self.earlier = [old for old in self.earlier if [old.get(k) for k in self.KEY] != key]
        content = {"machine": self.machine, "versions": self.versions, "rows": self.earlier + self.rows}
        write_atomically(self.path, json.dumps(content, indent=1) + "\n")


def amount(value, unit):
    if value is None:
        return ""
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    return f"{value:.4g} {unit}"


def table(rows):
    lines = [f"{'work':<62} {'ours':>20} {'peer':<14} {'its value':>20} {'ratio':>6} {'quartiles':>15} {'of roof':>8}"]
    for row in rows:
        share = f"{100 * row['roofline_share']:.1f} %" if row.get("roofline_share") else ""
        start = f"{row['work']:<62} {amount(row.get('ours'), row.get('unit', '')):>20} {row['peer']:<14}"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        spread = "" if row["spread"] is None else "{:.2f} .. {:.2f}".format(*row["spread"])
        line = f"{start} {amount(row['peer_value'], row['unit']):>20} {ratio:>6} {spread:>15} {share:>8}"
        if row.get("note"):
            line += f"  {row['note']}"
        if row.get("not_run"):
            line += f"  not run: {row['not_run']}"
        if not row.get("agrees", True):
            line += f"  WRONG: outputs differ by {row['difference']:.2g}, bound {row['bound']:.2g}"
        lines.append(line)
    return "\n".join(lines)


def figure(rows, cpu):
    """Bars from a line at 1 to each ratio, on a logarithmic scale: to the right ours is better. Memory is paler."""
    bars = [row for row in rows if row.get("ratio") is not None]
    left, right, top, step, width = 470, 60, 72, 20, 1000
    reached = [x for row in bars for x in (row["ratio"], *(row["spread"] or []))]
    lowest, highest = math.floor(math.log2(min([0.5, *reached]))), math.ceil(math.log2(max([2, *reached])))
    height = top + step * len(bars) + 12

    def place(ratio):
        return left + (width - left - right) * (math.log2(ratio) - lowest) / (highest - lowest)

    threads = ", ".join(sorted({str(row["threads"]) for row in bars}))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="20" font-size="14">How many times better radapt is</text>',
        f'<text x="{left}" y="38" fill="#555">{escape(cpu)}, threads: {threads}; thin lines: quartiles</text>',
    ]
    for power in range(lowest, highest + 1):
        x, name = place(2.0**power), str(2**power) if power >= 0 else f"1/{2**-power}"
        colour = "#222" if power == 0 else "#ddd"
        lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6}" y2="{height - 8}" stroke="{colour}"/>')
        lines.append(f'<text x="{x:.1f}" y="{top - 12}" text-anchor="middle" fill="#555">{name}</text>')
    for i, row in enumerate(bars):
        y, ratio = top + i * step, row["ratio"]
        low, high = row["spread"] or (ratio, ratio)
        colour = "#2a7f62" if ratio >= 1 else "#b5483a"
        x, length = min(place(1), place(ratio)), abs(place(ratio) - place(1))
        opacity = 0.45 if row["unit"] == "bytes" else 1
        title = f'{escape(row["work"])} | {escape(row["peer"])}'
        lines.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{title}</text>')
        lines.append(
            f'<rect x="{x:.1f}" y="{y + 2}" width="{length:.1f}" height="{step - 6}" fill="{colour}" '
            f'fill-opacity="{opacity}"/>'
        )
        if row["spread"]:
            lines.append(
                f'<line x1="{place(low):.1f}" x2="{place(high):.1f}" y1="{y + 9}" y2="{y + 9}" stroke="#222"/>'
            )
        lines.append(f'<text x="{max(place(1), place(high)) + 5:.1f}" y="{y + 13}">{ratio:.2f}</text>')
    return "\n".join([*lines, "</svg>", ""])
