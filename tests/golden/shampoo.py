# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of Shampoo in double.

For a tensor of axes d_1 .. d_K (G_(k): the unfolding along axis k), t = 1, 2, ..., c1 = 1 - beta1^t, c2 = 1 - beta2^t:
    P_k <- beta2 P_k + (1-beta2) g_(k) g_(k)^T
    t = 1, or t mod f == 0:  S_k = V diag((max(w, 0) + eps)^-e) V^T  of  P_k / c2 = V diag(w) V^T
    m <- beta1 m + (1-beta1) g;  v <- beta2 v + (1-beta2) g^2
    D = S_1 .. S_K (m / c1), each along its axis
    grafted: A = (m/c1) / (sqrt(v/c2) + eps_g);  D <- D |A| / (|D| + 1e-30)
    x <- (1 - lr wd) x - lr D
accumulate: P_k <- P_k + g_(k) g_(k)^T, v <- v + g^2, c2 = 1. e = 1/(2K) if 0. A tensor with an axis above `most` is cut into
blocks of at most that many along each, which have matrices of their own; norms are the tensor's. `p64` are the
statistics at the end (of the only block).
"""
import itertools

import numpy as np

from common import Writer


def unfold(t, k):
    return np.moveaxis(t, k, 0).reshape(t.shape[k], -1)


def along(t, u, k):
    return np.moveaxis(np.tensordot(u, t, axes=(1, k)), 0, k)


def power(a, eps, e):
    w, v = np.linalg.eigh(a)
    return (v * (np.maximum(w, 0) + eps)**-e) @ v.T


def shampoo(x, gradients, c):
    m, v = np.zeros_like(x), np.zeros_like(x)
    cuts = [[slice(i, min(i + c["most"], d)) for i in range(0, d, c["most"])] for d in x.shape]
    blocks = list(itertools.product(*cuts))
    axes = range(x.ndim)
    p = [[np.zeros((x[b].shape[k],) * 2) for k in axes] for b in blocks]
    s = [[None for _ in axes] for _ in blocks]
    e = c["exponent"] or 1 / (2 * x.ndim)
    keep, add = (1, 1) if c["accumulate"] else (c["beta2"], 1 - c["beta2"])
    for t, g in enumerate(gradients, start=1):
        c1, c2 = 1 - c["beta1"]**t, 1 if c["accumulate"] else 1 - c["beta2"]**t
        m = c["beta1"] * m + (1 - c["beta1"]) * g
        v = keep * v + add * g**2
        direction = np.empty_like(x)
        for i, b in enumerate(blocks):
            d = m[b] / c1
            for k in axes:
                p[i][k] = keep * p[i][k] + add * unfold(g[b], k) @ unfold(g[b], k).T
                if t == 1 or t % c["f"] == 0:
                    s[i][k] = power(p[i][k] / c2, c["eps"], e)
                d = along(d, s[i][k], k)
            direction[b] = d
        if c["graft"]:
            a = (m / c1) / (np.sqrt(v / c2) + c["eps_g"])
            direction *= np.linalg.norm(a) / (np.linalg.norm(direction) + 1e-30)
        x = (1 - c["lr"] * c["wd"]) * x - c["lr"] * direction
        yield x, p[0]


def check():
    """A 1 x 1 tensor, x = 2, g = 3, eps 0.01, lr 0.1, sums, no graft."""
    c = {"lr": 0.1, "beta1": 0, "beta2": 0, "eps": 0.01, "eps_g": 0, "wd": 0, "f": 1, "exponent": 0, "accumulate": 1,
         "graft": 0, "most": 9}
    (x, _), = shampoo(np.array([[2.0]]), [np.array([[3.0]])], c)
    assert abs(x[0, 0] - 1.9000555093) < 5e-11


def main():
    check()
    out = Writer()
    usual = {"lr": 0.02, "beta1": 0.9, "beta2": 0.99, "eps": 1e-6, "eps_g": 1e-8, "wd": 0.1, "f": 3, "exponent": 0.0,
             "accumulate": 0, "graft": 1, "most": 1024}
    for seed, (name, given, shape, change) in enumerate([
            ("matrix", (5, 4), (5, 4), {}),
            ("half", (4, 6), (4, 6), {"exponent": 0.5, "f": 1}),
            ("tensor", (3, 2, 4), (3, 2, 4), {"f": 4}),
            ("merged", (2, 2, 4), (4, 4), {}),
            ("blocks", (5, 3), (5, 3), {"most": 2}),
            ("blocks_of_a_tensor", (3, 2, 5), (3, 2, 5), {"most": 2, "graft": 0, "eps": 1e-2}),
            ("vector", (5,), (5,), {}),
            ("original", (4, 3), (4, 3), {"beta1": 0.0, "eps": 1e-4, "f": 1, "accumulate": 1, "graft": 0, "wd": 0.0,
                                          "lr": 0.3}),
            ("ungrafted", (4, 4), (4, 4), {"graft": 0, "eps": 1e-3}),
    ], start=950):
        random = np.random.RandomState(seed)
        c = dict(usual, **change)
        x0 = random.standard_normal(shape).astype(np.float32)
        scales = [10.0**random.uniform(-1, 1, (d,) + (1,) * (len(shape) - 1 - k)) for k, d in enumerate(shape)]
        gradients = []
        for _ in range(22):
            g = random.standard_normal(shape)
            for s in scales:
                g = g * s
            gradients.append(g.astype(np.float32))
        out.line("case", name)
        out.config(c)
        out.line("given", *given)
        whole = all(d <= c["most"] for d in shape)
        out.line("axes", *(range(len(shape)) if whole else ()))
        out.line("x0", *x0.ravel())
        for g, (x, p) in zip(gradients, shampoo(x0.astype(np.float64), [g.astype(np.float64) for g in gradients], c)):
            out.line("g", *g.ravel())
            out.line("x64", *x.ravel())
        for k in range(len(shape)) if whole else ():
            out.line("p64", *p[k].ravel())
    out.save("shampoo.txt")


if __name__ == "__main__":
    main()
