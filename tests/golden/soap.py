# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of SOAP in double: Adam in an eigenbasis that moves every f-th step.

For a tensor of axes d_1 .. d_k, those with a basis Q_k (proj: contraction with Q_k^T along each; back: with Q_k):
    first gradient:  P_k = (1-b) G_(k) G_(k)^T;  Q_k = eigenvectors of P_k, eigenvalues falling;  t = 0, x, m, v stay
    later, t = 1, 2, ...:
        g' = proj(g);  m <- beta1 m + (1-beta1) g';  v <- beta2 v + (1-beta2) g'^2
        a = lr, with bias correction times sqrt(1-beta2^t)/(1-beta1^t)
        n = back(m / (sqrt(v) + eps));  normalised: n <- n / (1e-30 + rms(n))
        x <- x - a n;  x <- x - lr wd x
        M = back(m);  P_k <- b P_k + (1-b) g_(k) g_(k)^T
        t mod f == 0:  o = order of falling diag(Q_k^T P_k Q_k);  v permuted along k by o;  Q_k <- qr(P_k Q_k[:, o])
        m <- proj(M)

`axes` names the axes that have a basis, `shape` the tensor as it is worked on (axes merged), `given` as the caller has
it. First gradients have full rank along every such axis: where not, the basis of the null space is anybody's.
"""
import numpy as np

from common import Writer


def unfold(t, k):
    return np.moveaxis(t, k, 0).reshape(t.shape[k], -1)


def along(t, u, k):
    """u times the unfolding."""
    return np.moveaxis(np.tensordot(u, t, axes=(1, k)), 0, k)


def soap(x, gradients, axes, c):
    m, v = np.zeros_like(x), np.zeros_like(x)
    p, q = {}, {}

    def proj(t):
        for k in axes:
            t = along(t, q[k].T, k)
        return t

    def back(t):
        for k in axes:
            t = along(t, q[k], k)
        return t

    for t, g in enumerate(gradients):
        if t == 0:
            for k in axes:
                p[k] = (1 - c["b"]) * unfold(g, k) @ unfold(g, k).T
                values, vectors = np.linalg.eigh(p[k])
                q[k] = vectors[:, ::-1]
            yield x, p
            continue
        turned = proj(g)
        m = c["beta1"] * m + (1 - c["beta1"]) * turned
        v = c["beta2"] * v + (1 - c["beta2"]) * turned**2
        a = c["lr"]
        if c["bias"]:
            a *= np.sqrt(1 - c["beta2"]**t) / (1 - c["beta1"]**t)
        n = back(m / (np.sqrt(v) + c["eps"]))
        if c["normalise"]:
            n = n / (1e-30 + np.sqrt(np.mean(n**2)))
        x = x - a * n
        x = x - c["lr"] * c["wd"] * x
        before = back(m)
        for k in axes:
            p[k] = c["b"] * p[k] + (1 - c["b"]) * unfold(g, k) @ unfold(g, k).T
        if t % c["f"] == 0:
            for k in axes:
                order = np.argsort(-np.diag(q[k].T @ p[k] @ q[k]), kind="stable")
                v = np.take(v, order, axis=k)
                q[k], _ = np.linalg.qr(p[k] @ q[k][:, order])
        m = proj(before)
        yield x, p


def check():
    """Four gradients of a 2 x 2 matrix; lr 0.1, betas (0.9, 0.95), f = 2."""
    g = [[1, .5, .2, -1], [.4, -.3, .1, .7], [-.2, .6, .5, .1], [.3, .2, -.4, .9]]
    c = {"lr": 0.1, "beta1": 0.9, "beta2": 0.95, "b": 0.95, "eps": 1e-8, "wd": 0, "f": 2, "bias": 1, "normalise": 0}
    *_, (x, _) = soap(np.array([[1., 2], [3, 4]]), [np.array(r).reshape(2, 2) for r in g], (0, 1), c)
    assert np.allclose(x.ravel(), [0.8760379230, 2.0798441543, 2.8051334856, 3.7018784303], rtol=0, atol=1e-10)


def main():
    check()
    out = Writer()
    usual = {"lr": 0.02, "beta1": 0.95, "beta2": 0.95, "b": 0.95, "eps": 1e-8, "wd": 0.1, "f": 3, "bias": 1,
             "normalise": 0}
    for seed, (name, given, shape, axes, change) in enumerate([
            ("square", (5, 5), (5, 5), (0, 1), {}),
            ("every_step", (4, 4), (4, 4), (0, 1), {"f": 1, "wd": 0.0}),
            ("long_side_left_out", (7, 4), (7, 4), (1,), {}),
            ("tensor", (3, 2, 3), (3, 2, 3), (0, 1, 2), {}),
            ("four_axes", (2, 3, 2, 2), (2, 3, 2, 2), (0, 1, 2, 3), {"f": 4}),
            ("merged", (2, 2, 4), (4, 4), (0, 1), {}),
            ("vector", (2,), (2,), (0,), {}),
            ("plain", (9,), (9,), (), {}),
            ("normalised", (4, 4), (4, 4), (0, 1), {"normalise": 1, "f": 5}),
            ("plain_normalised", (6,), (6,), (), {"normalise": 1}),
            ("other", (4, 4), (4, 4), (0, 1), {"bias": 0, "b": 0.8, "beta1": 0.8, "beta2": 0.99, "eps": 1e-3}),
    ], start=900):
        random = np.random.RandomState(seed)
        c = dict(usual, **change)
        x0 = random.standard_normal(shape).astype(np.float32)
        scales = [10.0**random.uniform(-1, 1, (d,) + (1,) * (len(shape) - 1 - k)) for k, d in enumerate(shape)]
        gradients = []
        for _ in range(24):
            g = random.standard_normal(shape)
            for s in scales:
                g = g * s
            gradients.append(g.astype(np.float32))
        out.line("case", name)
        out.config(dict(c))
        out.line("given", *given)
        out.line("shape", *shape)
        out.line("axes", *axes)
        out.line("x0", *x0.ravel())
        steps = soap(x0.astype(np.float64), [g.astype(np.float64) for g in gradients], axes, c)
        for g, (x, p) in zip(gradients, steps):
            out.line("g", *g.ravel())
            out.line("x64", *x.ravel())
        for k in axes:
            out.line("p64", *p[k].ravel())
    out.save("soap.txt")


if __name__ == "__main__":
    main()
