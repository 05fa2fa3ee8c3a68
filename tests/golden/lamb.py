# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of LAMB; the parameters are one tensor.

Double (x64, m64, v64; m and v 0 at the start, t = 1, 2, ...), any evaluation order:
    m <- beta1 m + (1-beta1) g;  v <- beta2 v + (1-beta2) g^2;  c1 = 1 - beta1^t,  c2 = 1 - beta2^t
    r = (m / (sqrt(v)/sqrt(c2) + eps)) / c1 + weight_decay x
    x <- x - lr q r,  q = |x|/|r| (norms over all elements), or min(1, cap |x|/|r|) with a cap; 1 if either norm is 0

Float contract (x32, m32, v32), every operation rounds once, coefficients are double values rounded once to float:
    b1 = beta1, o1 = 1-beta1, b2 = beta2, o2 = 1-beta2; p1 *= beta1 and p2 *= beta2 in double each step (from 1)
    u1 = 1/(1-p1), u2 = 1/sqrt(1-p2)
    m = (b1*m) + (o1*g);  v = (b2*v) + (o2*(g*g));  r = (u1*(m / ((u2*sqrt(v)) + eps))) + (wd*x)
    X, R = canonical sums (reduction.py) of x*x and r*r;  rate = lr*q in double, q = sqrt(X)/sqrt(R), or
    min(1, cap*(sqrt(X)/sqrt(R))); lr if X or R is 0
    x = x - (rate*r)
"""
import math

import numpy as np

from common import Writer, trajectory
from reduction import canonical_sum

f32 = np.float32


class Lamb64:
    states = ("m", "v")

    def __init__(self, beta1, beta2, eps, weight_decay, cap=0.0):
        self.beta1, self.beta2, self.eps, self.weight_decay, self.cap = beta1, beta2, eps, weight_decay, cap

    def start(self, n):
        self.m, self.v, self.t = np.zeros(n), np.zeros(n), 0

    def step(self, lr, x, g):
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        c1, c2 = 1 - self.beta1**self.t, 1 - self.beta2**self.t
        r = self.m / (np.sqrt(self.v) / math.sqrt(c2) + self.eps) / c1 + self.weight_decay * x
        nx, nr = np.linalg.norm(x), np.linalg.norm(r)
        if nx == 0 or nr == 0:
            return x - lr * r
        return x - lr * (min(1, self.cap * nx / nr) if self.cap > 0 else nx / nr) * r


class Lamb32:
    states = ("m", "v")

    def __init__(self, beta1, beta2, eps, weight_decay, cap=0.0):
        self.beta1, self.beta2, self.cap, self.capped = beta1, beta2, cap, []
        self.b1, self.o1, self.b2, self.o2 = f32(beta1), f32(1 - beta1), f32(beta2), f32(1 - beta2)
        self.eps, self.weight_decay = f32(eps), f32(weight_decay)

    def start(self, n):
        self.m, self.v = np.zeros(n, f32), np.zeros(n, f32)
        self.p1 = self.p2 = 1.0

    def step(self, lr, x, g):
        self.p1, self.p2 = self.p1 * self.beta1, self.p2 * self.beta2
        u1, u2 = f32(1 / (1 - self.p1)), f32(1 / math.sqrt(1 - self.p2))
        self.m = (self.b1 * self.m) + (self.o1 * g)
        self.v = (self.b2 * self.v) + (self.o2 * (g * g))
        r = (u1 * (self.m / ((u2 * np.sqrt(self.v)) + self.eps))) + (self.weight_decay * x)
        sx, sr = canonical_sum(x * x), canonical_sum(r * r)
        q = 1.0 if sx == 0 or sr == 0 else math.sqrt(sx) / math.sqrt(sr)
        if self.cap > 0 and sx > 0 and sr > 0:
            q = self.cap * q
            self.capped.append(q < 1)
            q = min(1.0, q)
        return x - (f32(lr * q) * r)


def check():
    """Worked number: x = (3, 4), g = (1, -2), t = 1, lr 0.1, betas (0.9, 0.999), eps 1e-8, weight decay 0.01."""
    rule = Lamb64(0.9, 0.999, 1e-8, 0.01)
    rule.start(2)
    assert np.allclose(rule.step(0.1, np.array([3.0, 4]), np.array([1.0, -2])), (2.6342362763, 4.3409059965), atol=5e-11)


def main():
    check()
    out = Writer()
    for seed, (name, lr, eps, weight_decay, cap, scheduled) in enumerate([
            ("default", 0.001, 1e-6, 0.01, 0.0, False),
            ("no_decay", 0.01, 1e-8, 0.0, 0.0, False),
            ("schedule", 0.05, 0.1, 0.2, 0.0, True),
            ("capped", 0.02, 1e-6, 0.1, 0.4, False)], start=740):
        rates = lr / np.sqrt(np.arange(1, 26)) if scheduled else np.full(25, lr)
        config = {"lr": lr, "beta1": 0.9, "beta2": 0.999, "eps": eps, "weight_decay": weight_decay, "max_unorm": cap}
        arguments = (0.9, 0.999, eps, weight_decay, cap)
        rule = Lamb32(*arguments)
        trajectory(out, name, config, rates, Lamb64(*arguments), rule, seed)
        assert not cap or 5 < sum(rule.capped) < 20
    out.save("lamb.txt")


if __name__ == "__main__":
    main()
