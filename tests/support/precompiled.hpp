// SPDX-License-Identifier: Apache-2.0
// What most tests include: compiled once for all with the same options. Each includes it by itself, too.
#pragma once
#include "backends.hpp"
#include "golden.hpp"
#include "refusal.hpp"
