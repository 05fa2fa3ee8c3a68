# SPDX-License-Identifier: Apache-2.0
"""Golden values of the schedules (factor of the peak rate at t = 0, 1, ..., before update t + 1) and of Step Law, in 50
digits, rounded to double once.

    warm-up: t / w for t < w;  u = (t - w) / (steps - w), at most 1
    cosine: f + (1-f) (1 + cos(pi u)) / 2;  linear: f + (1-f) (1-u);  inverse square root: sqrt(w / t)
    WSD, u = (t - (steps - d)) / d behind the constant part: f + (1-f) (1-u), or f + (1-f) (1 - sqrt(u))
    Step Law: 1.79 N^-0.713 D^0.307 and 0.58 D^0.571
"""
from decimal import Decimal as D, getcontext

from common import Writer

getcontext().prec = 50
PI = D("3.14159265358979323846264338327950288419716939937510582097")


def cos(x):
    term = total = D(1)
    for k in range(2, 120, 2):
        term *= -x * x / (k * (k - 1))
        total += term
    return total


def curve(t, steps, warmup, decay, floor, kind):
    t, floor = D(t), D(floor)
    if t < warmup:
        return t / warmup
    if kind == "inverse_sqrt":
        return (D(warmup) / t).sqrt()
    start = warmup if kind in ("cosine", "linear_decay") else steps - decay
    if t < start:
        return D(1)
    u = D(1) if t >= steps else (t - start) / (steps - start)
    left = {"cosine": (1 + cos(PI * u)) / 2, "wsd_sqrt": 1 - u.sqrt()}.get(kind, 1 - u)
    return floor + (1 - floor) * left


def main():
    assert abs(cos(PI / 3) - D("0.5")) < D("1e-45")
    out = Writer()
    for kind, steps, warmup, decay, floor in [
            ("cosine", 40, 0, 0, 0.0), ("cosine", 41, 7, 0, 0.125), ("cosine", 10, 10, 0, 0.25),
            ("linear_decay", 30, 4, 0, 0.0), ("linear_decay", 30, 0, 0, 0.5), ("wsd_linear", 50, 5, 10, 0.0),
            ("wsd_linear", 20, 0, 20, 0.0), ("wsd_sqrt", 50, 6, 9, 0.0), ("wsd_sqrt", 30, 3, 6, 0.25),
            ("inverse_sqrt", 0, 8, 0, 0.0), ("inverse_sqrt", 0, 1, 0, 0.0)]:
        out.line("case", kind)
        out.config({"steps": float(steps), "warmup": float(warmup), "decay": float(decay), "floor": floor})
        out.line("factor", *(float(curve(t, steps, warmup, decay, floor, kind)) for t in range(60)))
    out.line("case", "step_law")
    for n, d in [(60e6, 2e9), (214663680.0, 11.4e9), (1e9, 1e11), (7e9, 2e12), (429260800.0, 50e9)]:
        N, T = D(n), D(d)
        out.line("optimum", n, d, float(D("1.79") * N**D("-0.713") * T**D("0.307")), float(D("0.58") * T**D("0.571")))
    out.save("schedules.txt")


if __name__ == "__main__":
    main()
