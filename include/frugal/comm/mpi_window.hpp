// SPDX-License-Identifier: Apache-2.0
/// @file Memory that the ranks of one node share: what a large all-reduce goes through, where messages would be copied
/// twice. Included by comm/mpi.hpp.
#pragma once

// The C++ bindings that MPI has long dropped would have to be linked.
#ifndef OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX 1
#endif
#ifndef MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>

#include <atomic>
#include <vector>

#include "error.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// `bytes` for each rank of a communicator; making and freeing one is collective.
class mpi_window {
 public:
  /// Empty (bytes() == 0) on all ranks, if the ranks are not all on one node or the node has no such memory to give.
  mpi_window(MPI_Comm comm, std::size_t bytes) {
    int ranks = 0, beside = 0;
    MPI_Comm_rank(comm, &rank_);
    MPI_Comm_size(comm, &ranks);
    MPI_Comm node = MPI_COMM_NULL;
    if (MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node) != MPI_SUCCESS) return;
    MPI_Comm_size(node, &beside);
    void* mine = nullptr;
    int there = beside == ranks;
    if (there) {
      MPI_Comm_set_errhandler(node, MPI_ERRORS_RETURN);
      there = MPI_Win_allocate_shared(MPI_Aint(line + bytes), 1, MPI_INFO_NULL, node, &mine, &window_) == MPI_SUCCESS;
      if (!there) window_ = MPI_WIN_NULL;
    }
    MPI_Comm_free(&node);
    int everywhere = 0;
    if (MPI_Allreduce(&there, &everywhere, 1, MPI_INT, MPI_MIN, comm) != MPI_SUCCESS || !everywhere) return;
    MPI_Win_lock_all(MPI_MODE_NOCHECK, window_);  // loads and stores; their order is that of the counters
    for (int r = 0; r < ranks; ++r) {
      MPI_Aint size = 0;
      int unit = 0;
      void* p = nullptr;
      MPI_Win_shared_query(window_, r, &size, &unit, &p);
      at_.push_back(static_cast<std::byte*>(p));
    }
    counter(rank_).store(0, std::memory_order_relaxed);
    MPI_Barrier(comm);
    bytes_ = bytes;
  }
  mpi_window(mpi_window const&) = delete;
  mpi_window& operator=(mpi_window const&) = delete;
  ~mpi_window() {
    if (window_ == MPI_WIN_NULL) return;
    MPI_Win_unlock_all(window_);
    MPI_Win_free(&window_);
  }
  /// Leaves the memory to the end of the program: the other ranks may not come to free it.
  void abandon() { window_ = MPI_WIN_NULL; }

  std::size_t bytes() const { return bytes_; }
  std::byte* of(int rank) const { return at_[std::size_t(rank)] + line; }
  /// No rank leaves before all have come; what they wrote before is then seen by all. `idle(r)` is called again and
  /// again while rank r is waited for, and may throw.
  template <class Idle>
  void meet(Idle const& idle) {
    ++met_;
    counter(rank_).store(met_, std::memory_order_release);
    for (int r = 0; r < int(at_.size()); ++r)
      while (counter(r).load(std::memory_order_acquire) < met_) idle(r);
  }

 private:
  static constexpr std::size_t line = 128;  // of its own for each rank's counter
  std::atomic_ref<std::uint64_t> counter(int r) const {
    return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(at_[std::size_t(r)]));
  }
  MPI_Win window_ = MPI_WIN_NULL;
  int rank_ = 0;
  std::size_t bytes_ = 0;
  std::vector<std::byte*> at_;
  std::uint64_t met_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
