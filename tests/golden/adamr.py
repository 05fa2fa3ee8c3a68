# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of AdamR; the parameters are the whole model, the anchor a is where they start.

Double (x64, m64, v64; m and v 0 at the start, t = 1, 2, ...), any evaluation order:
    m <- beta1 m + (1-beta1) g;  v <- beta2 v + (1-beta2) g^2;  c1 = 1 - beta1^t,  c2 = 1 - beta2^t
    s = sqrt(sum(v)/c2/n), 1 if 0
    x <- x - (weight_decay lr/s) (x - a),  or sign(x - a) with l1
    x <- x - (lr/c1) m / (sqrt(v/c2) + eps)
AMSGrad: max_v (0 at the start) <- max(max_v, v) after v; s and the last line have max_v in place of v.

Float contract (x32, m32, v32), every operation rounds once, coefficients are double values rounded once to float:
    b1 = beta1, o1 = 1-beta1, b2 = beta2, o2 = 1-beta2; p1 *= beta1 and p2 *= beta2 in double each step (from 1)
    rate = lr/(1-p1), unbias = 1/sqrt(1-p2)
    m = (b1*m) + (o1*g);  v = (b2*v) + (o2*(g*g));  s = sqrt((V/(1-p2))/n) in double, V = canonical sum (reduction.py) of v
    pull = (lr*wd)/s in double, lr*wd if s is 0, at most 1 with clamp
    x = x - (pull*(x-a)), or x - (pull*sign(x-a)) with l1;  x = x - (rate*(m / ((unbias*sqrt(v)) + eps)))
    AMSGrad: max_v = max(max_v, v), and it is in place of v in V and in the last line.
"""
import math

import numpy as np

from common import Writer, trajectory
from reduction import canonical_sum

f32 = np.float32


def states_of(amsgrad):
    return ("m", "v", "max_v") if amsgrad else ("m", "v")


class AdamR64:
    def __init__(self, weight_decay, l1, clamp, beta2=0.999, amsgrad=False):
        self.beta1, self.beta2, self.eps = 0.9, beta2, 1e-8
        self.weight_decay, self.l1, self.clamp = weight_decay, l1, clamp
        self.amsgrad, self.states = amsgrad, states_of(amsgrad)

    def start(self, n):
        self.m, self.v, self.max_v, self.t, self.anchor = np.zeros(n), np.zeros(n), np.zeros(n), 0, None

    def step(self, lr, x, g):
        if self.anchor is None:
            self.anchor = x
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        self.max_v = np.where(self.v > self.max_v, self.v, self.max_v)
        divisor = self.max_v if self.amsgrad else self.v
        c1, c2 = 1 - self.beta1**self.t, 1 - self.beta2**self.t
        s = math.sqrt(np.mean(divisor) / c2)
        pull = self.weight_decay * lr / (s if s > 0 else 1)
        if self.clamp:
            pull = min(pull, 1)
        x = x - pull * (np.sign(x - self.anchor) if self.l1 else x - self.anchor)
        return x - (lr / c1) * self.m / (np.sqrt(divisor / c2) + self.eps)


class AdamR32:
    def __init__(self, weight_decay, l1, clamp, beta2=0.999, amsgrad=False):
        self.b1, self.o1, self.b2, self.o2 = f32(0.9), f32(1 - 0.9), f32(beta2), f32(1 - beta2)
        self.beta2, self.eps, self.weight_decay, self.l1, self.clamp = beta2, f32(1e-8), weight_decay, l1, clamp
        self.amsgrad, self.states = amsgrad, states_of(amsgrad)

    def start(self, n):
        self.m, self.v, self.max_v, self.anchor = np.zeros(n, f32), np.zeros(n, f32), np.zeros(n, f32), None
        self.p1 = self.p2 = 1.0

    def step(self, lr, x, g):
        if self.anchor is None:
            self.anchor = x
        self.p1, self.p2 = self.p1 * 0.9, self.p2 * self.beta2
        rate, unbias = f32(lr / (1 - self.p1)), f32(1 / math.sqrt(1 - self.p2))
        self.m = (self.b1 * self.m) + (self.o1 * g)
        self.v = (self.b2 * self.v) + (self.o2 * (g * g))
        self.max_v = np.where(self.v > self.max_v, self.v, self.max_v)
        divisor = self.max_v if self.amsgrad else self.v
        s = math.sqrt((canonical_sum(divisor) / (1 - self.p2)) / len(x))
        pull = (lr * self.weight_decay) / s if s > 0 else lr * self.weight_decay
        pull = f32(min(pull, 1) if self.clamp else pull)
        delta = x - self.anchor
        x = x - (pull * (np.sign(delta) if self.l1 else delta))
        return x - (rate * (self.m / ((unbias * np.sqrt(divisor)) + self.eps)))


def check():
    """Worked numbers: tensors (1, 2) and (3), anchors (0.5, 2.5) and (2), gradients (0.3, -0.4) and (1.2), lr 0.1."""
    rule = AdamR64(0.2, False, False)
    rule.start(3)
    rule.anchor = np.array([0.5, 2.5, 2])
    x = rule.step(0.1, np.array([1.0, 2, 3]), np.array([0.3, -0.4, 1.2]))
    assert np.allclose(x, (0.8866765356, 2.1133234653, 2.8733530653), rtol=0, atol=5e-11)
    # AMSGrad, one number, anchor 0, beta1 = 0, beta2 = 1/2, lr 0.1, gradients 1, 1/2:  v = 1/2, 3/8;  max_v = 1/2 twice;
    # s = 1, sqrt(2/3);  x = 1 - 0.02 - 0.1 = 0.88, then 0.88 - 0.88 (0.02/s) - 0.05/s.
    rule = AdamR64(0.2, False, False, 0.5, True)
    rule.beta1, rule.eps = 0, 0
    rule.start(1)
    rule.anchor = np.zeros(1)
    x = rule.step(0.1, np.ones(1), np.ones(1))
    assert np.allclose(x, 0.88, rtol=0, atol=1e-15)
    assert np.allclose(rule.step(0.1, x, np.full(1, 0.5)), 0.7972072467, rtol=0, atol=5e-11)


def write(file, amsgrad, start, cases):
    out = Writer()
    for seed, (name, lr, beta2, weight_decay, l1, clamp, scheduled) in enumerate(cases, start):
        rates = lr / np.sqrt(np.arange(1, 26)) if scheduled else np.full(25, lr)
        config = {"lr": lr, "beta1": 0.9, "beta2": beta2, "eps": 1e-8, "weight_decay": weight_decay, "l1": l1,
                  "clamp": clamp}
        arguments = (weight_decay, l1, clamp, beta2, amsgrad)
        trajectory(out, name, config, rates, AdamR64(*arguments), AdamR32(*arguments), seed)
    out.save(file)


def main():
    check()
    write("adamr.txt", False, 780, [
        ("default", 0.001, 0.999, 1e-4, False, False, False),
        ("strong", 0.01, 0.999, 2000.0, False, False, False),
        ("clamped", 0.01, 0.999, 50000.0, False, True, False),
        ("l1_schedule", 0.02, 0.999, 3.0, True, False, True)])
    write("adamr_amsgrad.txt", True, 784, [
        ("strong", 0.01, 0.999, 2000.0, False, False, False),
        ("short_memory", 0.02, 0.8, 30.0, False, False, True)])


if __name__ == "__main__":
    main()
