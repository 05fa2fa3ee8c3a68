# SPDX-License-Identifier: Apache-2.0
"""Golden rounds of CHOCO-Gossip and CHOCO-SGD (compress, then mix), Metropolis weights. C is the identity, top-k or the
scaled sign (compressors.py). One step of rank i, xhat = s = 0 at the start:
    h_i = x_i - eta g_i  (CHOCO-SGD; h_i = x_i without gradients);  D_i = C(h_i - xhat_i)  goes to the neighbours
    xhat_i <- xhat_i + D_i;  s_i <- s_i + sum_j W_ij D_j, own D included;  x_i = h_i + gamma (s_i - xhat_i)
Float keeps u_i = s_i - xhat_i: u_i <- u_i + sum_j (W_ij - [i = j]) D_j, x_i = h_i + gamma u_i. Every operation rounds
once. The D_j are added in the order of the ranks, u + (w D_j), with the float weights of gossip.py, less 1 for the own
one (subtracted in double, rounded once); top-k touches the coordinates it sends and no others; gamma and eta are double
values rounded once. Double keeps s. Checked here: the mean stays, s_i = sum_j W_ij xhat_j, and both agree.

case NAME: compressor, k, gamma, eta (0: no gradients); ranks, n; x0 i ...; step t, then for each rank g i ... (where
there are gradients), x32 i ...; after the last h32 i ... (xhat), u32 i ....
"""
import numpy as np

from common import Writer
from compressors import scaled_sign, top_k
from gossip import float_rows, metropolis

f32 = np.float32


def compress(how, k, p):
    """The decoded message and the coordinates that it touches."""
    if how == "top_k":
        at = top_k(p, k)
        out = np.zeros_like(p)
        out[at] = p[at]
        return out, at
    return (p if how == "identity" else scaled_sign(p)), np.arange(len(p))


def run(out, name, how, k, gamma, eta, ranks, edges, n, steps, seed):
    random = np.random.RandomState(seed)
    w = metropolis(ranks, edges)
    states = {}
    rows = {f32: float_rows(w), np.float64: [[(j, v) for j, v in enumerate(row) if v != 0] for row in w]}
    x0 = random.standard_normal((ranks, n)).astype(f32)
    for kind in (f32, np.float64):
        states[kind] = [x0.astype(kind), np.zeros((ranks, n), kind), np.zeros((ranks, n), kind)]
    out.line("case", name)
    out.line("compressor", how)
    out.line("k", k)
    out.line("gamma", gamma)
    out.line("eta", eta)
    out.line("ranks", ranks)
    out.line("n", n)
    for i, x in enumerate(x0):
        out.line("x0", i, *x)
    for t in range(steps):
        gradients = random.standard_normal((ranks, n)).astype(f32) if eta else None
        for kind, (x, xhat, s) in states.items():
            if eta:
                x[:] = x - kind(eta) * gradients.astype(kind)
            before = x.mean(0)
            sent = [compress(how, k, x[i] - xhat[i]) for i in range(ranks)]
            for i in range(ranks):
                d, at = sent[i]
                xhat[i][at] = xhat[i][at] + d[at]
                for j, weight in rows[kind][i]:
                    d, at = sent[j]
                    if kind == f32 and i == j:
                        weight = f32(float(weight) - 1)
                    s[i][at] = s[i][at] + weight * d[at]
                x[i] = x[i] + kind(gamma) * (s[i] if kind == f32 else s[i] - xhat[i])
            assert x.dtype == xhat.dtype == s.dtype == kind
        assert np.allclose(before, x.mean(0), rtol=0, atol=1e-13) and np.allclose(s, w @ xhat, rtol=0, atol=1e-12)
        assert np.allclose(x, states[f32][0], rtol=0, atol=2e-5) and np.allclose(s - xhat, states[f32][2], rtol=0, atol=2e-5)
        out.line("step", t + 1)
        for i in range(ranks):
            if eta:
                out.line("g", i, *gradients[i])
            out.line("x32", i, *states[f32][0][i])
    for i in range(ranks):
        out.line("h32", i, *states[f32][1][i])
        out.line("u32", i, *states[f32][2][i])


def main():
    out = Writer()
    ring = [(i, (i + 1) % 5) for i in range(5)]
    star = [(0, i) for i in range(1, 4)]
    run(out, "identity_ring", "identity", 0, 1.0, 0.0, 5, ring, 6, 14, 21)
    run(out, "top_3_ring", "top_k", 3, 0.4, 0.0, 5, ring, 12, 14, 22)
    run(out, "sign_ring", "scaled_sign", 0, 0.3, 0.0, 5, ring, 9, 14, 23)
    run(out, "sgd_top_2_star", "top_k", 2, 0.25, 0.05, 4, star, 7, 14, 24)
    run(out, "sgd_sign_star", "scaled_sign", 0, 0.45, 0.05, 4, star, 7, 14, 25)
    out.save("choco.txt")


if __name__ == "__main__":
    main()
