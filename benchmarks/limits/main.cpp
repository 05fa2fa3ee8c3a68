// SPDX-License-Identifier: Apache-2.0
#include "support/command_line.hpp"

int main(int argc, char** argv) { return bench::command_line(argc, argv); }
