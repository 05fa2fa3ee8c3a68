// SPDX-License-Identifier: Apache-2.0
// What linalg/library.hpp makes of a vendor's BLAS and solver, which are column-major: here of functions with the
// signatures and meanings of cuBLAS and cuSOLVER (hipBLAS, hipSOLVER) that run on this machine. What a vendor's own
// functions do is not tested.
#include <frugal/linalg/eigen.hpp>
#include <frugal/linalg/library.hpp>

#include "linalg/factorization_suite.hpp"

namespace frugal_test {

enum class status { success, fault };
enum class operation { none, transpose };
enum class triangle { lower, upper };
enum class side { left, right };
enum class diagonal_of { ones, any };
enum class job { values, vectors };
struct handle_of_blas {
  int stream = 0;
};
struct handle_of_solver {
  int stream = 0;
};

// The functions of one type; columns follow each other `ld` apart. Triangles are upper ones, as the text asks.
template <class T>
struct columns {
  using matrix_type = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  using map = Eigen::Map<matrix_type, 0, Eigen::OuterStride<>>;
  using const_map = Eigen::Map<matrix_type const, 0, Eigen::OuterStride<>>;
  static const_map as(T const* p, int m, int n, int ld) { return {p, m, n, Eigen::OuterStride<>(ld)}; }
  static map as(T* p, int m, int n, int ld) { return {p, m, n, Eigen::OuterStride<>(ld)}; }
  static matrix_type taken(operation op, T const* p, int m, int n, int ld) {  // m x n after the operation
    if (op == operation::none) return as(p, m, n, ld);
    return as(p, n, m, ld).transpose();
  }

  static status gemm(handle_of_blas* h, operation a_op, operation b_op, int m, int n, int k, T const* alpha, T const* a,
                     int lda, long long stride_a, T const* b, int ldb, long long stride_b, T const* beta, T* c, int ldc,
                     long long stride_c, int batch) {
    if (!h) return status::fault;
    for (int i = 0; i < batch; ++i) {
      const matrix_type x =
          *alpha * (taken(a_op, a + i * stride_a, m, k, lda) * taken(b_op, b + i * stride_b, k, n, ldb));
      auto to = as(c + i * stride_c, m, n, ldc);
      if (*beta == 0) to = x;
      else to = x + *beta * to;
    }
    return status::success;
  }
  static status syrk(handle_of_blas* h, triangle, operation op, int n, int k, T const* alpha, T const* a, int lda,
                     T const* beta, T* c, int ldc) {
    if (!h) return status::fault;
    const matrix_type x = taken(op, a, n, k, lda), all = *alpha * (x * x.transpose());
    for (int j = 0; j < n; ++j)
      for (int i = 0; i <= j; ++i) c[j * ldc + i] = all(i, j) + (*beta == 0 ? T(0) : *beta * c[j * ldc + i]);
    return status::success;
  }
  static status gemv(handle_of_blas* h, operation op, int m, int n, T const* alpha, T const* a, int lda, T const* x,
                     int, T const* beta, T* y, int) {
    const int rows = op == operation::none ? m : n, cols = op == operation::none ? n : m;
    return gemm(h, op, operation::none, rows, 1, cols, alpha, a, lda, 0, x, cols, 0, beta, y, rows, 0, 1);
  }
  static status trsm(handle_of_blas* h, side, triangle, operation op, diagonal_of, int m, int n, T const*, T const* a,
                     int lda, T* b, int ldb) {
    if (!h) return status::fault;
    auto x = as(b, m, n, ldb);
    auto const u = as(a, n, n, lda);
    if (op == operation::none) u.template triangularView<Eigen::Upper>().template solveInPlace<Eigen::OnTheRight>(x);
    else u.transpose().template triangularView<Eigen::Lower>().template solveInPlace<Eigen::OnTheRight>(x);
    return status::success;
  }

  static status room_geqrf(handle_of_solver*, int, int, T*, int, int* size) { return *size = 3, status::success; }
  static status room_orgqr(handle_of_solver*, int, int, int, T const*, int, T const*, int* size) {
    return *size = 2, status::success;
  }
  static status room_syevd(handle_of_solver*, job, triangle, int, T const*, int, T const*, int* size) {
    return *size = 1, status::success;
  }
  static status room_potrf(handle_of_solver*, triangle, int, T*, int, int* size) { return *size = 0, status::success; }
  static status geqrf(handle_of_solver* h, int m, int n, T* a, int lda, T* tau, T*, int room, int* info) {
    if (!h || room < 3) return status::fault;
    const Eigen::HouseholderQR<matrix_type> qr(as(a, m, n, lda));
    as(a, m, n, lda) = qr.matrixQR();
    as(tau, n, 1, n) = qr.hCoeffs();
    *info = 0;
    return status::success;
  }
  static status orgqr(handle_of_solver* h, int m, int n, int k, T* a, int lda, T const* tau, T*, int room, int* info) {
    if (!h || room < 2 || k != n) return status::fault;
    const matrix_type v = as(a, m, n, lda);
    const Eigen::Matrix<T, Eigen::Dynamic, 1> t = as(tau, n, 1, n);
    as(a, m, n, lda) = Eigen::householderSequence(v, t) * matrix_type::Identity(m, n);
    *info = 0;
    return status::success;
  }
  static status syevd(handle_of_solver* h, job, triangle, int n, T* a, int lda, T* w, T*, int room, int* info) {
    if (!h || room < 1) return status::fault;
    const matrix_type all = as(a, n, n, lda).template selfadjointView<Eigen::Upper>();
    const Eigen::SelfAdjointEigenSolver<matrix_type> eigen(all);
    as(w, n, 1, n) = eigen.eigenvalues();
    as(a, n, n, lda) = eigen.eigenvectors();
    *info = int(eigen.info());
    return status::success;
  }
  static status potrf(handle_of_solver* h, triangle, int n, T* a, int lda, T*, int, int* info) {
    if (!h) return status::fault;
    auto u = as(a, n, n, lda);
    *info = 0;
    for (int j = 0; j < n; ++j) {  // column j of u, where a = u^T u
      for (int i = 0; i < j; ++i) u(i, j) = (u(i, j) - u.col(i).head(i).dot(u.col(j).head(i))) / u(i, i);
      const T square = u(j, j) - u.col(j).head(j).squaredNorm();
      if (!(square > 0)) return *info = j + 1, status::success;
      u(j, j) = std::sqrt(square);
    }
    return status::success;
  }
};

// The backend that a library has: one with streams.
struct streamed : frugal::serial_backend {
  streamed() = default;
  streamed(frugal::serial_backend const& b) : frugal::serial_backend(b) {}
  int stream() const { return 7; }
};

struct reference_names {
  static constexpr char const* name = "reference";
  using backend = streamed;
  using blas_handle = handle_of_blas*;
  using solver_handle = handle_of_solver*;
  static constexpr auto as_is = operation::none, turned = operation::transpose;
  static constexpr auto upper = triangle::upper;
  static constexpr auto right = side::right;
  static constexpr auto any_diagonal = diagonal_of::any;
  static constexpr auto vectors = job::vectors;
  static status blas_stream(blas_handle h, int s) { return h ? h->stream = s, status::success : status::fault; }
  static status solver_stream(solver_handle h, int s) { return h ? h->stream = s, status::success : status::fault; }
  template <class T>
  using of = columns<T>;
  static void check(status s, char const* call) {
    if (s != status::success) throw frugal::device_error("reference", call, int(s), "a fault");
  }
};
inline handle_of_blas some_blas;
inline handle_of_solver some_solver;
struct reference_linalg : frugal::library_linalg<reference_names> {
  reference_linalg() : library_linalg{&some_blas, &some_solver} {}
};

using library_combinations = testing::Types<combination<double, reference_linalg>>;
INSTANTIATE_TYPED_TEST_SUITE_P(library, factorization, library_combinations);

TEST(library, products_are_those_of_the_builtin_provider) {
  some_blas.stream = 0;
  const auto expected = products<double>(linalg(cpu{}), 70, 33, 100),
             got = products<double>(linalg(cpu{}, reference_linalg{}), 70, 33, 100);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-12) << i;
  EXPECT_EQ(some_blas.stream, 7);  // the backend's
}

TEST(library, faults_say_which_call) {
  frugal::library_linalg<reference_names> const nothing{};
  const linalg la(cpu{}, nothing);
  std::vector<double> a(4);
  const frugal::mat_view<double> m(a.data(), 2, 2);
  try {
    la.gemm(1, m, m, 0, frugal::mat_view<double>(std::vector<double>(4).data(), 2, 2));
    ADD_FAILURE() << "accepted";
  } catch (frugal::device_error const& e) {
    EXPECT_NE(std::string(e.what()).find("the stream of a BLAS handle"), std::string::npos) << e.what();
  }
}

}  // namespace frugal_test
