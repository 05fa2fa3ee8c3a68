// SPDX-License-Identifier: Apache-2.0
// The component torch: its headers are found, and what they use is linked.
#include <frugal/interop/torch.hpp>

int main() { return at::ones({2}).numel() == 2 ? 0 : 1; }
