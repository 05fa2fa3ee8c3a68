# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of Adafactor, for tensors of several shapes: matrices of more than one panel, a vector, a tensor of
three axes.

Double (x64, m64; states 0 at the start, t = 1, 2, ...), any evaluation order; means over the last two axes, and where a
tensor has one axis v is kept as it is:
    b = decay (1 - decay^(t-1)) / (1 - decay^t);  s = g^2 + eps
    R <- b R + (1-b) mean(s over the last axis);  C <- b C + (1-b) mean(s over the one before)
    v = R C / mean(R);  (one axis: v <- b v + (1-b) s)
    u = g/sqrt(v);  m <- beta1 m + (1-beta1) lr u / max(1, rms(u)/clip);  x <- x - lr weight_decay x - m
Relative steps (Shazeer and Stern, Algorithm 4): rho = min(lr, 1/sqrt(t)) in place of lr, and where it multiplies u,
rho max(min_rms, rms(x)), of the x before the step.
Where a case has a gradient_scale or a clip_norm: g <- gradient_scale g, then g <- g min(1, clip_norm / (|g| + 1e-6)), the
norm over all tensors.

Inputs are drawn by a formula, exact in float, of the step t (0: parameters) and the place j in all tensors:
    draw(t, j) = ((((2654435761 j + 40503 t + 12345 j t) mod 2^32) >> 22) - 511.5) / 256,  g = draw 2^(7t mod 11 - 5)
x64 holds every 97th parameter, and the last.
"""
import numpy as np

from common import Writer

SHAPES = {"matrix": (70, 9), "vector": (37,), "batch": (3, 5, 4), "wide": (2, 4100)}


class Adafactor:
    def __init__(self, beta1, decay, clip, weight_decay, min_rms=None):
        self.beta1, self.decay, self.clip, self.weight_decay = beta1, decay, clip, weight_decay
        self.min_rms = min_rms
        self.t, self.m, self.state = 0, 0, None

    def step(self, lr, x, g):
        self.t += 1
        b = self.decay * (1 - self.decay ** (self.t - 1)) / (1 - self.decay**self.t)
        s = g**2 + 1e-30
        if g.ndim < 2:
            self.state = s if self.state is None else b * self.state + (1 - b) * s
            v = self.state
        else:
            means = s.mean(-1, keepdims=True), s.mean(-2, keepdims=True)
            self.state = means if self.state is None else tuple(b * a + (1 - b) * c for a, c in zip(self.state, means))
            row, column = self.state
            v = row * column / row.mean(-2, keepdims=True)
        u = g / np.sqrt(v)
        scale = 1
        if self.min_rms is not None:
            lr = min(lr, 1 / np.sqrt(self.t))
            scale = max(self.min_rms, np.sqrt(np.mean(x**2)))
        u = lr * scale * u / max(1, np.sqrt(np.mean(u**2)) / self.clip)
        self.m = self.beta1 * self.m + (1 - self.beta1) * u
        return x - lr * self.weight_decay * x - self.m


def draw(t, n):
    j = np.arange(n, dtype=np.uint64)
    word = (np.uint64(2654435761) * j + np.uint64(40503 * t) + np.uint64(12345 * t) * j) % np.uint64(2**32)
    return ((word >> np.uint64(22)).astype(np.float64) - 511.5) / 256


def check():
    """Worked numbers: x = ones, g = [1 2; 3 4], lr 0.1, beta1 0.9, t = 1; squares of rank one are reproduced."""
    x = Adafactor(0.9, 0.99, 1, 0).step(0.1, np.ones((2, 2)), np.array([[1.0, 2], [3, 4]]))
    assert np.allclose(x, [[0.9922540333, 0.9890455488], [0.9896076952, 0.9902020410]], atol=5e-11)
    g = np.outer([1.0, 2, 3], [4.0, -5])
    x = Adafactor(0, 0.99, 1, 0).step(0.1, np.zeros((3, 2)), g)
    assert np.allclose(x, -0.1 * np.sign(g))
    rule, x = Adafactor(0, 0.99, 1, 0, 100), np.zeros(4)
    for t in range(4):
        x = rule.step(0.9, x, (-1.0) ** t * np.array([1.0, -1, 1, -1]))
    assert np.allclose(x, -100 * (0.9 - 2**-0.5 + 3**-0.5 - 0.5) * np.array([1, -1, 1, -1]))


def main():
    check()
    out = Writer()
    no = float("inf")
    for name, lr, beta1, decay, clip, weight_decay, scheduled, min_rms, gradient_scale, clip_norm in [
            ("default", 0.01, 0.9, 0.99, 1.0, 0.0, False, None, 1.0, no),
            ("no_momentum", 0.01, 0.0, 0.9, 1.0, 0.1, True, None, 1.0, no),
            ("clipped", 0.01, 0.9, 0.99, 0.3, 0.1, False, None, 1.0, no),
            ("relative", 0.3, 0.5, 0.99, 0.5, 0.1, False, 0.6, 0.25, 20.0)]:
        out.line("case", name)
        out.config({"lr": lr, "beta1": beta1, "decay": decay, "clip": clip, "weight_decay": weight_decay,
                    "min_rms": -1.0 if min_rms is None else min_rms, "gradient_scale": gradient_scale,
                    "clip_norm": clip_norm})
        steps = 20
        size = sum(int(np.prod(s)) for s in SHAPES.values())
        rules = [Adafactor(beta1, decay, clip, weight_decay, min_rms) for _ in SHAPES]
        x = draw(0, size)
        out.line("steps", steps)
        for t in range(1, steps + 1):
            rate = lr / t if scheduled else lr
            g = gradient_scale * draw(t, size) * 2.0 ** (t * 7 % 11 - 5)
            g *= min(1, clip_norm / (np.linalg.norm(g) + 1e-6))
            out.line("step", t)
            out.line("lr", float(rate))
            at, parts = 0, []
            for rule, shape in zip(rules, SHAPES.values()):
                n = int(np.prod(shape))
                parts.append(rule.step(rate, x[at:at + n].reshape(shape), g[at:at + n].reshape(shape)).ravel())
                at += n
            x = np.concatenate(parts)
            out.line("x64", *x[::97], x[-1])
    out.save("adafactor.txt")


if __name__ == "__main__":
    main()
