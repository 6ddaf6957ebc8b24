"""Whether the passes over memory of the CPU backend are loops in vector registers, read from their machine code.

usage: vector_code.py OBJECT                    (passes.cpp, compiled by g++ at -O2 for x86-64)
       vector_code.py --without-vectors OBJECT  (the same at -O0: every loop of the compiler's must be missed)

What a compiler does with a loop is its own affair: a call that cannot be inlined or a condition too many, and it computes
one number at a time, with the same results and at a fraction of the speed. An innermost loop counts here if it computes on
packed numbers in registers of the width that is asked for, and each function below must have so many of them.
"""
import re
import subprocess
import sys

# Part of a demangled name; width of the registers; loops of that kind. Those of avx512 are written in intrinsics; the
# others are what every x86-64 processor runs and what the compiler makes of them.
EXPECTED = [
    ("RowStatistics radapt::detail::avx512::normalise_row<float>", "zmm", 3),  # mean, variance, y
    ("RowStatistics radapt::detail::avx512::normalise_row<radapt::bf16>", "zmm", 3),
    ("void radapt::detail::avx512::normalise_row_backward<float>", "zmm", 2),  # two sums, dx
    ("void radapt::detail::avx512::normalise_row_backward<radapt::bf16>", "zmm", 2),
    ("void radapt::detail::avx512::activate<float>", "zmm", 1),
    ("void radapt::detail::avx512::activate<radapt::bf16>", "zmm", 1),
    ("void radapt::detail::avx512::activate_backward<float>", "zmm", 1),
    ("void radapt::detail::avx512::activate_backward<radapt::bf16>", "zmm", 1),
    ("void radapt::detail::avx512::add<float>", "zmm", 1),
    ("void radapt::detail::avx512::add<radapt::bf16>", "zmm", 1),
    ("radapt::detail::avx512::attend(", "zmm", 2),  # softmax: the largest score, exponentials
    ("void radapt::detail::avx512::multiply_in_registers<6ul, 4ul>", "zmm", 1),  # scores, values
    ("op::layer_norm_forward<float> const&)::{lambda(unsigned long)#1}::operator()", "xmm", 2),
    ("op::layer_norm_backward_input<float> const&)::{lambda(unsigned long)#1}::operator()", "xmm", 2),
    ("op::adamw<float> const&)::{lambda(unsigned long)#2}::operator()", "xmm", 5),  # m, v, its root, p, average
    ("op::contrastive_loss<float> const&)::{lambda(unsigned long)#1}", "xmm", 2),  # logits, exponentials
    ("op::contrastive_loss<float> const&)::{lambda(unsigned long)#2}::operator()", "xmm", 5),  # exponentials twice, columns, gradient, sums
    ("radapt::detail::cpu::column_log_sums", "xmm", 4),  # largest, differences, exponentials, sums
    ("float radapt::detail::cpu::sum<float>", "xmm", 1),
    ("op::sum_of_squares<float> const&)::{lambda(unsigned long)#1}", "xmm", 1),
]

HEAD = re.compile(r"^[0-9a-f]+ <(.*)>:$")
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")
JUMP = re.compile(r"^j[a-z]+$")
# Arithmetic on packed floats or doubles, AT&T order.
PACKED = re.compile(r"^v?(add|sub|mul|div|max|min|sqrt|rcp14|fn?m(add|sub)[0-9]*)p[sd]$")


def functions(disassembly):
    """Name and instructions (address, operation, operands) of each function."""
    name, body = None, []
    for line in disassembly.splitlines():
        head = HEAD.match(line)
        if head:
            if name:
                yield name, body
            name, body = head.group(1), []
            continue
        match = LINE.match(line)
        if match:
            body.append((int(match.group(1), 16), match.group(2), match.group(3)))
    if name:
        yield name, body


def innermost_loops(body):
    """Runs of instructions from the target of a jump backwards to the jump, that have no such run inside."""
    loops = []
    for address, operation, operands in body:
        target = re.match(r"^([0-9a-f]+)\b", operands)
        if JUMP.match(operation) and target and int(target.group(1), 16) <= address:
            loops.append((int(target.group(1), 16), address))
    for begin, end in loops:
        if not any(begin <= b and e <= end and (b, e) != (begin, end) for b, e in loops):
            yield [entry for entry in body if begin <= entry[0] <= end]


def vector_loops(body, width):
    return sum(any(PACKED.match(o) and "%" + width in operands for _, o, operands in loop) for loop in innermost_loops(body))


def main():
    without = sys.argv[1] == "--without-vectors"
    listing = subprocess.run(["objdump", "-dC", "--no-show-raw-insn", "-w", sys.argv[-1]], check=True, text=True,
                             capture_output=True).stdout
    parts = list(functions(listing))
    failed = 0
    for pattern, width, wanted in EXPECTED:
        if without and width == "zmm":
            continue  # intrinsics stay what they are
        found = [vector_loops(body, width) for name, body in parts if pattern in name]
        most = max(found, default=0)
        right = most == 0 if without else most >= wanted
        failed += not right
        if not found:
            note = "no such function"
        else:
            note = f"{most} vector loops in {width}" + ("" if right else f", expected {'none' if without else wanted}")
        print(f"{'ok  ' if right else 'FAIL'} {pattern}: {note}")
    return 1 if failed else 0


sys.exit(main())
