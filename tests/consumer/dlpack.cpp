// SPDX-License-Identifier: Apache-2.0
// The component dlpack: its header is found.
#include <frugal/interop/dlpack.hpp>

int main() { return frugal::dlpack_owner<>() == nullptr ? 0 : 1; }
