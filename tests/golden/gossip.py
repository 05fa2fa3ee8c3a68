# SPDX-License-Identifier: Apache-2.0
"""Golden rounds of gossip, x_i <- sum_j W_ij x_j, and of its Chebyshev filter.

W: Metropolis, 1/(1 + max(d_i, d_j)) on edges; best: I - 2/(l_2 + l_n) L; lazy: (I + W)/2 of Metropolis; one_peer: step t
has 1/2 for the rank itself and 1/2 for the rank 2^(t mod log2 n) before it. The diagonal is 1 - the rest of the row.

Float contract: neighbours' weights are double values rounded to float, then to the nearest multiple (halves up) of the
last place of the own weight as a float (2^(e-24) where its magnitude, at least 2^-24, is in [2^(e-1), 2^e)); the own one
is 1 - those floats, subtracted in double in the order of the ranks, then rounded once. A round adds the products in the
order of the ranks, the own at its place, every operation rounded once: ((w_a x_a) + (w_b x_b)) + ...

Chebyshev with K rounds (y_0 = x, result y_K, sigma = second largest absolute eigenvalue of W, a symmetric one):
    y_1 = W y_0;  y_{k+1} = w_{k+1} (W y_k - y_{k-1}) + y_{k-1};  w_1 = 2, w_{k+1} = 1 / (1 - sigma^2 w_k / 4)
float: w is a double value rounded once; difference, product, sum are rounded. Checked here against the filter of degree K
with the Laplacian G = L: gamma = l_2/l_n, c2 = (1+gamma)/(1-gamma), c3 = 2/((1+gamma) l_n), a_0 = 1, a_1 = c2,
z_1 = c2 (z_0 - c3 G z_0), z_{k+1} = 2 c2 (z_k - c3 G z_k) - z_{k-1}, likewise a; z_K / a_K (W = best).

case NAME: ranks, n, rounds (of a step); x0 i ...: the start of rank i; step t, x32 i ...: rank i after step t (exact);
sigma: given with Chebyshev.
"""
import numpy as np

from common import Writer

f32 = np.float32


def laplacian(n, edges):
    out = np.zeros((n, n))
    for i, j in edges:
        out[[i, j], [i, j]] += 1
        out[[i, j], [j, i]] -= 1
    return out


def metropolis(n, edges):
    degree = np.diag(laplacian(n, edges))
    w = np.zeros((n, n))
    for i, j in edges:
        w[i, j] = w[j, i] = 1 / (1 + max(degree[i], degree[j]))
    return with_diagonal(w)


def best(n, edges):
    values = np.linalg.eigvalsh(laplacian(n, edges))
    return with_diagonal(-laplacian(n, edges) * 2 / (values[1] + values[-1]))


def with_diagonal(w):
    np.fill_diagonal(w, 0)
    return w + np.diag(1 - w.sum(1))


def one_peer(n, t):
    return 0.5 * np.eye(n) + 0.5 * np.roll(np.eye(n), 2**t, axis=0)


def float_rows(w):
    """For each rank the (rank, float weight) in order."""
    rows = []
    for i, row in enumerate(w):
        unit = 2.0**(int(np.frexp(max(abs(f32(row[i])), f32(2**-24)))[1]) - 24)
        row = np.floor(row.astype(f32).astype(np.float64) / unit + 0.5) * unit
        rest = 1.0
        for j, value in enumerate(row):
            if j != i:
                rest -= value
        row[i] = rest
        assert np.sum(row) == 1
        rows.append([(j, f32(value)) for j, value in enumerate(row) if j == i or value != 0])
        assert all(float(value) == row[j] for j, value in rows[-1])
    return rows


def mix(rows, xs):
    out = []
    for row in rows:
        (j, w), *others = row
        acc = w * xs[j]
        for j, w in others:
            acc = acc + w * xs[j]
        out.append(acc)
    return out


def chebyshev(w, rounds):
    sigma = np.sort(np.abs(np.linalg.eigvalsh(w - 1 / len(w))))[-1]
    omega, factors = 2.0, []
    for _ in range(rounds - 1):
        omega = 1 / (1 - sigma * sigma * omega / 4)
        factors.append(omega)
    return sigma, factors


def filtered(rows, xs, factors):
    before, now = xs, mix(rows, xs)
    for omega in factors:
        mixed = mix(rows, now)
        before, now = now, [f32(omega) * (m - b) + b for m, b in zip(mixed, before)]
    return now


def check_filter(n, edges, rounds):
    x = np.random.RandomState(3).standard_normal(n)
    l = laplacian(n, edges)
    values = np.linalg.eigvalsh(l)
    gamma = values[1] / values[-1]
    c2, c3 = (1 + gamma) / (1 - gamma), 2 / ((1 + gamma) * values[-1])
    a, b = 1, c2
    z, y = x, c2 * (x - c3 * l @ x)
    for _ in range(rounds - 1):
        a, b = b, 2 * c2 * b - a
        z, y = y, 2 * c2 * (y - c3 * l @ y) - z
    w = best(n, edges)
    _, factors = chebyshev(w, rounds)
    before, now = x, w @ x
    for omega in factors:
        before, now = now, omega * (w @ now - before) + before
    assert np.allclose(now, y / b, rtol=0, atol=1e-13)


def start(seed, ranks, n):
    random = np.random.RandomState(seed)
    return [x for x in (random.standard_normal((ranks, n)) * 10**random.uniform(-2, 2, n)).astype(f32)]


def run(out, name, turns, n, steps, seed, rounds=1, accelerated=False):
    ranks = len(turns[0])
    rows = [float_rows(w) for w in turns]
    xs = start(seed, ranks, n)
    exact = np.array(xs, np.float64)
    mean, size = exact.mean(0), np.abs(exact).max(0)
    out.line("case", name)
    out.line("ranks", ranks)
    out.line("n", n)
    out.line("rounds", rounds)
    for i, x in enumerate(xs):
        out.line("x0", i, *x)
    if accelerated:
        sigma, factors = chebyshev(turns[0], rounds)
        out.line("sigma", float(sigma))
    for t in range(steps):
        if accelerated:
            xs = filtered(rows[0], xs, factors)
        else:
            for k in range(rounds):
                xs = mix(rows[(t * rounds + k) % len(rows)], xs)
        out.line("step", t + 1)
        for i, x in enumerate(xs):
            assert x.dtype == f32
            out.line("x32", i, *x)
        assert np.all(np.abs(np.mean(np.array(xs, np.float64), 0) - mean) <= 1e-6 * (t + 1) * size)


def main():
    ring = [(i, (i + 1) % 5) for i in range(5)]
    star = [(0, i) for i in range(1, 6)]
    grid = [(3 * r + c, 3 * r + c + 1) for r in range(2) for c in range(2)] + [(c, c + 3) for c in range(3)]
    for rounds in (1, 2, 3, 7):
        check_filter(5, ring, rounds)
        check_filter(6, star, rounds)
    out = Writer()
    run(out, "ring", [metropolis(5, ring)], 9, 20, 1)
    run(out, "star", [metropolis(6, star)], 5, 20, 2)
    run(out, "lazy_grid", [(metropolis(6, grid) + np.eye(6)) / 2], 5, 20, 3)
    run(out, "best_grid", [best(6, grid)], 5, 20, 4)
    run(out, "one_peer", [one_peer(8, t) for t in range(3)], 4, 6, 5)
    run(out, "two_rounds", [metropolis(5, ring)], 3, 10, 6, rounds=2)
    run(out, "chebyshev_grid", [best(6, grid)], 5, 8, 7, rounds=4, accelerated=True)
    run(out, "chebyshev_ring", [metropolis(5, ring)], 5, 8, 8, rounds=3, accelerated=True)
    out.save("gossip.txt")


if __name__ == "__main__":
    main()
