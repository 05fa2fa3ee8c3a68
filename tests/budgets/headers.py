# SPDX-License-Identifier: Apache-2.0
"""What it costs to include a header, against the budgets in headers.txt: seconds of processor to read it, over those of a
handful of headers of the standard library, by the same compiler in the same minutes.   usage: headers.py PROJECT COMPILER

Whatever else the machine does can only add to a time, so the smallest of some is taken. A header is read once, and up to
five times more as long as it is above its budget; the unit is measured in between. Exit status 77: no g++."""
import pathlib
import resource
import subprocess
import sys
import tempfile

UNIT = "algorithm concepts functional map memory string vector".split()


def seconds(compiler, project, text):
    with tempfile.NamedTemporaryFile("w", suffix=".cpp") as source:
        source.write(text)
        source.flush()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([compiler, "-std=c++20", "-fsyntax-only", f"-I{project}/include", *OPTIONS, source.name], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    project, compiler = pathlib.Path(sys.argv[1]), sys.argv[2]
    if "clang" in subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout:
        print("skipped: budgets are those of g++")
        return 77
    budgets = {}
    for line in (project / "tests/budgets/headers.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, budget = line.split()
            budgets[name] = float(budget)
    all_of_it = (project / "include/frugal/frugal.hpp").read_text()
    missing = [name for name in all_of_it.split('"')[1::2] if name not in budgets]
    faults = [f"{name} has no row in headers.txt" for name in missing]

    def unit():
        return seconds(compiler, project, "".join(f"#include <{name}>\n" for name in UNIT))

    seconds(compiler, project, "")  # the compiler itself is in memory now
    one, costs = min(unit() for _ in range(3)), {}
    for name in budgets:
        costs[name] = seconds(compiler, project, f"#include <frugal/{name}>\n")
    for _ in range(6):  # the unit may have become smaller meanwhile, so all are looked at again
        one = min(one, unit())
        for name, budget in budgets.items():
            if costs[name] > budget * one:
                costs[name] = min(costs[name], seconds(compiler, project, f"#include <frugal/{name}>\n"))
    for name, cost in costs.items():
        print(f"{cost / one:6.2f} of {budgets[name]:4.1f}  {name}")
        if cost > budgets[name] * one:
            faults.append(f"{name} costs {cost / one:.2f} times the unit, its budget is {budgets[name]}")
    print(*faults, f"headers: {len(costs)} measured, the unit is {one:.3f} s, {len(faults)} faults", sep="\n")
    return 1 if faults else 0


OPTIONS = sys.argv[3:]
if __name__ == "__main__":
    sys.exit(main())
