// SPDX-License-Identifier: Apache-2.0
/// @file Every algorithm, and the serial backend. Needs the standard library only; other backends have headers of their
/// own.
#pragma once
#include "backend/serial.hpp"
#include "core/random.hpp"
#include "optim/adam.hpp"
#include "optim/adamw.hpp"
#include "optim/lion.hpp"
#include "optim/momentum.hpp"
#include "version.hpp"
