# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of SAM and ASAM around gradient descent with momentum (coupled decay), on f(x) = sum of
h_i x_i^2 / 2 + x_i b_i, whose gradient is h x + b.

Double (x64, s64 = the point on the edge of the ball), any evaluation order:
    g = h x + b;  N = sqrt(sum (T g)^2), T = 1, or |x| adaptive;  s = x + rho T^2 g / (N + 1e-12);  g = h s + b
    g <- g + weight_decay x;  m <- mu m + g;  x <- x - lr m

Float contract (x32, s32), every operation rounds once, coefficients are double values rounded once to float:
    g = (h*x) + b;  q = sum of (g*g), adaptive of (g*x)(g*x): element j is added to slot j mod 256, then by halving
    by = rho / (sqrt(q) + 1e-12) in double;  along = by*g;  s = x + along, or x + ((x*x)*along)
    g = (h*s) + b;  g = g + (wd*x);  m = (mu*m) + g;  x = x - (lr*((0*g) + (1*m)))
"""
import math

import numpy as np

from common import Writer

f32 = np.float32
N = 24


def squares(v):
    slots = np.zeros(256, f32)
    for j, value in enumerate(v):
        slots[j % 256] += value * value
    half = 128
    while half:
        slots[:half] += slots[half:2 * half]
        half //= 2
    return slots[0]


def step64(x, m, h, b, c):
    g = h * x + b
    T = np.abs(x) if c["adaptive"] else 1.0
    s = x + c["rho"] * T**2 * g / (np.linalg.norm(T * g) + 1e-12)
    g = h * s + b + c["weight_decay"] * x
    m = c["mu"] * m + g
    return x - c["lr"] * m, m, s


def step32(x, m, h, b, c):
    g = (h * x) + b
    q = squares(g * x) if c["adaptive"] else squares(g)
    along = f32(c["rho"] / (math.sqrt(float(q)) + 1e-12)) * g
    s = x + ((x * x) * along) if c["adaptive"] else x + along
    g = (h * s) + b
    g = g + (f32(c["weight_decay"]) * x)
    m = (f32(c["mu"]) * m) + g
    return x - (f32(c["lr"]) * ((f32(0) * g) + (f32(1) * m))), m, s


def check():
    """One dimension, h = 2, lr 0.3, rho 0.1: a cycle of two points of amplitude lr h rho / (2 - lr h)."""
    c = {"rho": 0.1, "adaptive": False, "mu": 0.0, "weight_decay": 0.0, "lr": 0.3}
    x, m = np.array([1.0]), np.zeros(1)
    for _ in range(200):
        x, m, _ = step64(x, m, 2.0, 0.0, c)
    assert abs(abs(x[0]) - 0.6 * 0.1 / 1.4) < 1e-12  # the 1e-12 beside N = 0.086


def main():
    check()
    out = Writer()
    for seed, (name, rho, adaptive, mu, decay) in enumerate(
            [("sam", 0.05, False, 0.9, 0.0), ("asam", 0.5, True, 0.9, 0.1), ("large", 2.0, False, 0.0, 0.1)], start=900):
        random = np.random.RandomState(seed)
        x0, b = random.standard_normal(N).astype(f32), random.standard_normal(N).astype(f32)
        h = np.exp(random.uniform(-3, 1, N)).astype(f32)
        x0[3] = b[4] = 0
        c = {"rho": rho, "adaptive": adaptive, "mu": mu, "weight_decay": decay, "lr": 0.05}
        out.line("case", name)
        out.config({key: float(value) for key, value in c.items()})
        out.line("x0", *x0)
        out.line("h", *h)
        out.line("b", *b)
        x64, x32, m64, m32 = x0.astype(np.float64), x0, np.zeros(N), np.zeros(N, f32)
        for t in range(1, 26):
            x64, m64, s64 = step64(x64, m64, h.astype(np.float64), b.astype(np.float64), c)
            x32, m32, s32 = step32(x32, m32, h, b, c)
            out.line("step", t)
            for key, value in (("x64", x64), ("s64", s64), ("x32", x32), ("s32", s32)):
                out.line(key, *value)
                assert value.dtype == (np.float64 if key.endswith("64") else f32) and np.all(np.isfinite(value))
            assert np.all(np.abs(x32 - x64) < 1e-5)
    out.save("sam.txt")


if __name__ == "__main__":
    main()
