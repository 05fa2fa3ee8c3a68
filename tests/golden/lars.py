# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of LARS; the parameters are one tensor.

Double (x64, m64; m 0 at the start), any evaluation order:
    q = trust |x| / (|g| + weight_decay |x| + eps)  (norms over all elements), 1 if |x| = 0
    m <- mu m + lr q (g + weight_decay x);  x <- x - m
    max_unorm > 0:  m <- mu m + lr (g + weight_decay x);  x <- x - min(1, lr max_unorm |x| / |m|) m;  1 if a norm is 0

Float contract (x32, m32), every operation rounds once, coefficients are double values rounded once to float:
    X, G = canonical sums (reduction.py) of x*x and g*g, a = sqrt(X), b = sqrt(G) in double
    rate = lr*((trust*a)/((b + (wd*a)) + eps)) in double, lr if X or the divisor is 0
    m = (mu*m) + (rate*(g + (wd*x)));  x = x - m
    max_unorm > 0: rate = lr;  M = canonical sum of m*m, of the new m;  s = min(1, (lr*max_unorm)*(a/sqrt(M))) in double,
    1 if X or M is 0;  x = x - (s*m)
"""
import math

import numpy as np

from common import Writer, trajectory
from reduction import canonical_sum

f32 = np.float32


class Lars64:
    states = ("m",)

    def __init__(self, mu, weight_decay, trust, eps, max_unorm=0.0):
        self.mu, self.weight_decay, self.trust, self.eps, self.max_unorm = mu, weight_decay, trust, eps, max_unorm

    def start(self, n):
        self.m = np.zeros(n)

    def step(self, lr, x, g):
        nx, ng = np.linalg.norm(x), np.linalg.norm(g)
        if self.max_unorm > 0:
            self.m = self.mu * self.m + lr * (g + self.weight_decay * x)
            nm = np.linalg.norm(self.m)
            return x - (1 if nx == 0 or nm == 0 else min(1, lr * self.max_unorm * nx / nm)) * self.m
        q = self.trust * nx / (ng + self.weight_decay * nx + self.eps) if nx > 0 else 1
        self.m = self.mu * self.m + lr * q * (g + self.weight_decay * x)
        return x - self.m


class Lars32:
    states = ("m",)

    def __init__(self, mu, weight_decay, trust, eps, max_unorm=0.0):
        self.mu, self.decay = f32(mu), f32(weight_decay)
        self.weight_decay, self.trust, self.eps, self.max_unorm = weight_decay, trust, eps, max_unorm

    def start(self, n):
        self.m = np.zeros(n, f32)

    def step(self, lr, x, g):
        if self.max_unorm > 0:
            self.m = (self.mu * self.m) + (f32(lr) * (g + (self.decay * x)))
            sx, sm = canonical_sum(x * x), canonical_sum(self.m * self.m)
            s = 1 if sx == 0 or sm == 0 else min(1, (lr * self.max_unorm) * (math.sqrt(sx) / math.sqrt(sm)))
            return x - (f32(s) * self.m)
        sx, sg = canonical_sum(x * x), canonical_sum(g * g)
        a, b = math.sqrt(sx), math.sqrt(sg)
        size = (b + (self.weight_decay * a)) + self.eps
        rate = f32(lr if sx == 0 or size == 0 else lr * ((self.trust * a) / size))
        self.m = (self.mu * self.m) + (rate * (g + (self.decay * x)))
        return x - self.m


def check():
    """x = (3, 4), g = (0, 10), lr 1, trust 0.1, no decay: q = 0.1 * 5 / 10."""
    rule = Lars64(0.9, 0.0, 0.1, 0.0, 0.0)
    rule.start(2)
    assert np.allclose(rule.step(1.0, np.array([3.0, 4]), np.array([0.0, 10])), (3, 3.5), atol=1e-15)
    for cap, moved in (0.1, 0.25), (1.0, 2.5), (3.0, 5.0):  # lr 0.5: m = (0, 5), which may be 0.5 cap 5 long
        rule = Lars64(0.9, 0.0, 0.0, 0.0, cap)
        rule.start(2)
        assert np.allclose(rule.step(0.5, np.array([3.0, 4]), np.array([0.0, 10])), (3, 4 - moved), atol=1e-15)


def main():
    check()
    out = Writer()
    for seed, (name, lr, weight_decay, trust, eps, max_unorm, scheduled) in enumerate([
            ("default", 1.0, 0.0, 1e-3, 1e-8, 0.0, False),
            ("decay", 0.5, 0.05, 1e-2, 1e-8, 0.0, False),
            ("schedule", 2.0, 1e-4, 1e-2, 0.1, 0.0, True),
            ("cap", 0.05, 0.05, 1e-2, 1e-8, 2.0, True)], start=760):
        rates = lr / np.sqrt(np.arange(1, 26)) if scheduled else np.full(25, lr)
        config = {"lr": lr, "mu": 0.9, "weight_decay": weight_decay, "trust": trust, "eps": eps,
                  "max_unorm": max_unorm}
        arguments = (0.9, weight_decay, trust, eps, max_unorm)
        trajectory(out, name, config, rates, Lars64(*arguments), Lars32(*arguments), seed)
    out.save("lars.txt")


if __name__ == "__main__":
    main()
