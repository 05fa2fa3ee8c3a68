// SPDX-License-Identifier: Apache-2.0
// An optimizer of any backend, storage and support behind one interface that speaks of host vectors: tests are then
// compiled once, and not once a combination. driver_of.hpp implements it.
#pragma once
#include <frugal/core/element_optimizer.hpp>
#include <limits>
#include <memory>
#include <optional>

#include "allocations.hpp"
#include "bits.hpp"

namespace frugal_test {

// Where an optimizer runs.
struct machine {
  std::string name;
  int threads = 0;         // > 0: tbb
  unsigned lanes = 0;      // > 0: emulated
  std::uint64_t seed = 0;  // of its order
};
inline std::vector<machine> const& machines() {
  static const std::vector<machine> all{{"serial"},
                                        {"tbb with 1 thread", 1},
                                        {"tbb with 2 threads", 2},
                                        {"tbb with 7 threads", 7},
                                        {"emulated with 5 lanes", 0, 5, 1},
                                        {"emulated with 3 lanes", 0, 3, 2},
                                        {"emulated with 64 lanes", 0, 64, 3}};
  return all;
}
inline machine const& serial() { return machines()[0]; }
inline machine const& emulated() { return machines()[4]; }

// How states are stored: a value here, so that a test is compiled once.
enum class stored { full, bf16, in_8_bits, large_in_8_bits };  // the last: from 4096 elements on

// Calls f(machine, storage) for the storages with kernels of their own, on a CPU and on a device.
template <class F>
void on_cpu_and_device(F const& f) {
  for (machine const& m : {serial(), emulated()})
    for (stored s : {stored::full, stored::in_8_bits}) {
      SCOPED_TRACE(m.name + (s == stored::full ? ", full states" : ", 8-bit states"));
      f(m, s);
    }
}

// How parameters and gradients lie in memory.
struct arrangement {
  bool separate = false;  // a piece of memory for each tensor
  frugal::index_t x_offset = 0, g_offset = 0;
};

// step_options, with numbers in place of views.
struct switches {
  double gradient_scale = 1;
  double clip_norm = std::numeric_limits<double>::infinity();
  bool skip_nonfinite = false;
  std::optional<double> lr = {};
  std::optional<float> more_scale = {}, found_inf = {};
};

template <class T>
class driver {
 public:
  virtual ~driver() = default;
  virtual void step(std::vector<T> const& gradient) = 0;
  virtual std::vector<T> x() const = 0;
  virtual void set_x(std::vector<T> const&) = 0;
  virtual frugal::snapshot save() = 0;
  virtual void restore(frugal::snapshot const&) = 0;
  virtual double& lr() = 0;
  virtual double& weight_decay() = 0;
  virtual void set(switches const&) = 0;
  virtual void set_group(frugal::group const&) = 0;
  virtual frugal::step_report report() const = 0;
  virtual std::size_t state_bytes() const = 0;
  virtual long allocated() const = 0;       // by the last step
  virtual void rearrange(arrangement) = 0;  // parameters and gradients go to other memory
  virtual void move_object() = 0;           // to other places and back
};

}  // namespace frugal_test
