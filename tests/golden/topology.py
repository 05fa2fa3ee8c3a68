# SPDX-License-Identifier: Apache-2.0
"""Golden graphs, weights and spectra.

Random graphs, try t = 0, 1, ... until connected, words w(j) of direction t of the seed (philox.py):
    Erdos-Renyi: the k-th pair (0,1), (0,2), ..., (n-2,n-1) is an edge if the double u01 of w(2k), w(2k+1) is below p
    geometric: node i at (u01 of w(4i), w(4i+1); u01 of w(4i+2), w(4i+3)); an edge where (dx dx) + (dy dy) <= (r r)
    regular: the list of every node, degree times, ascending, is shuffled (k = length-1 ... 1: swap k with below(next
        word, k+1)); of the pairs (0,1), (2,3), ... those are edges that join different nodes for the first time; the
        rest, in order, is the next list, as long as two different nodes in it are not neighbours yet (else the try
        fails). Degrees above (n-1)/2: the complement of a graph of degree n-1-d.
Rates: one each edge, sum 1; Lambda their Laplacian; chi1 = 1 / its smallest positive eigenvalue,
chi2 = 1/2 max b_e' Lambda^+ b_e, Lambda^+ = (Lambda + J)^-1 - J. Metropolis: W_ij = 1/(1 + max(d_i, d_j)).
slem = the largest singular value of W - J.
"""
import itertools

import numpy as np

import philox
from common import Writer


def u01(low, high):
    return (((high << 32 | low) >> 11) | 1) * 2.0**-53


def pairs(n):
    return list(itertools.combinations(range(n), 2))


def connected(n, edges):
    reach = {0}
    while True:
        more = {b for e in edges for a, b in (e, e[::-1]) if a in reach} - reach
        if not more:
            return len(reach) == n
        reach |= more


def tries(draw, n):
    for t in range(1000):
        edges = draw(t)
        if edges is not None and connected(n, edges):
            return sorted(edges)
    raise AssertionError("never connected")


def erdos_renyi(n, p, seed):
    return tries(lambda t: [e for k, e in enumerate(pairs(n))
                            if u01(philox.word(seed, t, 2 * k), philox.word(seed, t, 2 * k + 1)) < p], n)


def geometric(n, r, seed):
    def draw(t):
        w = [philox.word(seed, t, j) for j in range(4 * n)]
        x = [(u01(w[4 * i], w[4 * i + 1]), u01(w[4 * i + 2], w[4 * i + 3])) for i in range(n)]
        return [(i, j) for i, j in pairs(n)
                if (x[i][0] - x[j][0])**2 + (x[i][1] - x[j][1])**2 <= r * r]
    return tries(draw, n)


def regular(n, degree, seed):
    if 2 * degree > n - 1:
        def draw(t):
            missing = matched(n, n - 1 - degree, seed, t)
            return None if missing is None else [e for e in pairs(n) if e not in missing]
    else:
        def draw(t):
            return matched(n, degree, seed, t)
    return tries(draw, n)


def matched(n, degree, seed, t):
    pool = [i for i in range(n) for _ in range(degree)]
    edges, used = set(), 0
    while pool:
        for k in range(len(pool) - 1, 0, -1):
            j = philox.word(seed, t, used) * (k + 1) >> 32
            used += 1
            pool[k], pool[j] = pool[j], pool[k]
        rest = []
        for a, b in zip(pool[::2], pool[1::2]):
            e = (min(a, b), max(a, b))
            if a == b or e in edges:
                rest += [a, b]
            else:
                edges.add(e)
        pool = rest
        if pool and not any(a < b and (a, b) not in edges for a in pool for b in pool):
            return None
    return edges


def ring(n):
    return sorted((min(i, (i + 1) % n), max(i, (i + 1) % n)) for i in range(n))


def grid(rows, columns, wrap):
    edges = set()
    for r in range(rows):
        for c in range(columns):
            for dr, dc in ((0, 1), (1, 0)):
                q, d = r + dr, c + dc
                if wrap:
                    q, d = q % rows, d % columns
                if q < rows and d < columns and (q, d) != (r, c):
                    edges.add(tuple(sorted((r * columns + c, q * columns + d))))
    return sorted(edges)


def exponential(n):
    edges, k = set(), 1
    while k <= n - 1:
        edges |= {tuple(sorted((i, (i + k) % n))) for i in range(n)}
        k *= 2
    return sorted(edges)


def describe(out, name, n, edges):
    out.line("case", name)
    out.line("n", n)
    out.line("edges", *[v for e in edges for v in e])
    b = np.zeros((len(edges), n))
    for k, (i, j) in enumerate(edges):
        b[k, i], b[k, j] = 1, -1
    laplacian = b.T @ b
    degree = np.diag(laplacian)
    j_matrix = np.full((n, n), 1 / n)
    rates = laplacian / len(edges)
    resistance = np.einsum("ei,ij,ej->e", b, np.linalg.inv(rates + j_matrix) - j_matrix, b)
    assert abs(resistance.sum() / len(edges) - (n - 1)) < 1e-9  # Foster
    eigenvalues = np.linalg.eigvalsh(rates)
    out.line("laplacian", *np.linalg.eigvalsh(laplacian))
    out.line("chi1", 1 / eigenvalues[1])
    out.line("chi2", resistance.max() / 2)
    w = np.zeros((n, n))
    for i, j in edges:
        w[i, j] = w[j, i] = 1 / (1 + max(degree[i], degree[j]))
    w += np.diag(1 - w.sum(1))
    out.line("metropolis", *w.flatten())
    out.line("slem", np.linalg.svd(w - j_matrix)[1][0])
    return 1 / eigenvalues[1], resistance.max() / 2


def main():
    out = Writer()
    table = {  # n = 16: edges, chi1, chi2
        "star": ([(0, i) for i in range(1, 16)], 15, 15, 7.5),
        "complete": (pairs(16), 120, 7.5, 7.5),
        "ring": (ring(16), 16, 105.10, 7.5),
        "path": ([(i, i + 1) for i in range(15)], 15, 390.33, 7.5),
        "grid": (grid(4, 4, False), 24, 40.97, 8.411),
        "barbell": (sorted(pairs(8) + [(a + 8, b + 8) for a, b in pairs(8)] + [(7, 8)]), 57, 279.18, 28.5),
        "hypercube": (sorted((i, i ^ 1 << k) for i in range(16) for k in range(4) if i < i ^ 1 << k), 32, 16, 7.5),
        "torus": (grid(4, 4, True), 32, 16, 7.5),
        "exponential": (exponential(16), 56, 14, 7.657),
    }
    for name, (edges, count, chi1, chi2) in table.items():
        assert len(edges) == count
        found = describe(out, name, 16, edges)
        assert abs(found[0] - chi1) < 6e-3 and abs(found[1] - chi2) < 6e-4, (name, found)
    describe(out, "exponential_11", 11, exponential(11))
    describe(out, "torus_2x5", 10, grid(2, 5, True))
    describe(out, "grid_3x5", 15, grid(3, 5, False))
    describe(out, "torus_1x5", 5, grid(1, 5, True))
    describe(out, "erdos_renyi_12", 12, erdos_renyi(12, 0.25, 7))
    describe(out, "erdos_renyi_20", 20, erdos_renyi(20, 0.15, 12345678901234567))
    describe(out, "geometric_15", 15, geometric(15, 0.3, 3))
    describe(out, "regular_16_3", 16, regular(16, 3, 5))
    describe(out, "regular_11_4", 11, regular(11, 4, 6))
    describe(out, "regular_9_6", 9, regular(9, 6, 1))
    describe(out, "regular_30_7", 30, regular(30, 7, 2))
    describe(out, "regular_2_1", 2, regular(2, 1, 2))
    out.save("topology.txt")


if __name__ == "__main__":
    main()
