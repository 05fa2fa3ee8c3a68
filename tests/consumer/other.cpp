// SPDX-License-Identifier: Apache-2.0
// The library in a second source: what is not a template is in both, and the linker takes one.
#include <frugal/frugal.hpp>

long ranks_of_a_ring(long ranks);
long ranks_of_a_ring(long ranks) { return long(frugal::topology::ring(ranks).size()); }
