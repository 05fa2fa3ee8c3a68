// SPDX-License-Identifier: Apache-2.0
/// @file `mpi_comm`: the communicator over MPI, and what begins and ends a program of MPI ranks. No other header of the
/// library needs MPI.
#pragma once
#include "../core/macros.hpp"

#if !FRUGAL_EXCEPTIONS
#error \
    "frugal: a failing rank is an exception, and frugal/comm/mpi.hpp needs exceptions: compile this file without -fno-exceptions"
#endif

#include "mpi_transport.hpp"

namespace frugal {
inline namespace v0 {

using mpi_comm = communicator<mpi_transport>;

/// MPI from here to the end of the scope, with MPI_THREAD_MULTIPLE where it is to be had, and with errors returned
/// (they become comm_error). Left by an exception, it ends the job: the other ranks would wait for this one for ever.
class mpi_session {
 public:
  mpi_session(int& argc, char**& argv) {
    detail::mpi_check(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided_), "MPI_Init_thread");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  }
  mpi_session(mpi_session const&) = delete;
  mpi_session& operator=(mpi_session const&) = delete;
  ~mpi_session() {
    if (std::uncaught_exceptions() > 0) MPI_Abort(MPI_COMM_WORLD, 1);
    else MPI_Finalize();
  }
  /// What MPI granted: MPI_THREAD_SINGLE to MPI_THREAD_MULTIPLE.
  int thread_level() const { return provided_; }

 private:
  int provided_ = MPI_THREAD_SINGLE;
};

/// A program of MPI ranks: `int main(int argc, char** argv) { return frugal::run_mpi(argc, argv, body); }`. A rank
/// whose body(comm) throws prints the text with its rank and ends the job, on all ranks, with a status that is not
/// zero.
template <class Body>
int run_mpi(int argc, char** argv, Body&& body, mpi_options options = {}) {
  mpi_session session(argc, argv);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  try {
    mpi_comm world(MPI_COMM_WORLD, options);
    body(world);
  } catch (std::exception const& e) {
    detail::mpi_abort(rank, e.what());
  } catch (...) {
    detail::mpi_abort(rank, "an exception that is not a std::exception");
  }
  return 0;
}

}  // namespace v0
}  // namespace frugal
