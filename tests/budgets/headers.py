# SPDX-License-Identifier: Apache-2.0
"""What it costs to include a header, against the budgets in headers.txt: seconds of processor to read it, over those of a
handful of headers of the standard library, by the same compiler in the same minutes.   usage: headers.py PROJECT COMPILER

A machine changes its pace from minute to minute, so a header is read next to the unit and their ratio is taken; of one
that is above its budget, the median of seven such pairs. Exit status 77: no g++."""
import pathlib
import resource
import statistics
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

    unit = "".join(f"#include <{name}>\n" for name in UNIT)

    def ratio(name):
        return seconds(compiler, project, f"#include <frugal/{name}>\n") / seconds(compiler, project, unit)

    seconds(compiler, project, unit)  # the compiler itself is in memory now
    for name, budget in budgets.items():
        cost = ratio(name)
        if cost > budget:
            cost = statistics.median([cost, *(ratio(name) for _ in range(6))])
        print(f"{cost:6.2f} of {budget:4.1f}  {name}")
        if cost > budget:
            faults.append(f"{name} costs {cost:.2f} times the unit, its budget is {budget}")
    print(*faults, f"headers: {len(budgets)} measured, {len(faults)} faults", sep="\n")
    return 1 if faults else 0


OPTIONS = sys.argv[3:]
if __name__ == "__main__":
    sys.exit(main())
