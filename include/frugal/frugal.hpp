// SPDX-License-Identifier: Apache-2.0
/// @file Every algorithm, and the serial backend. Needs the standard library only; other backends have headers of their
/// own.
#pragma once
#include "backend/serial.hpp"
#include "compress/ef14.hpp"
#include "compress/ef21.hpp"
#include "compress/ef21_sgdm.hpp"
#include "compress/identity.hpp"
#include "compress/rand_k.hpp"
#include "compress/scaled_sign.hpp"
#include "compress/top_k.hpp"
#include "core/random.hpp"
#include "decentralized/choco.hpp"
#include "decentralized/d_psgd.hpp"
#include "decentralized/gossip.hpp"
#include "optim/adam.hpp"
#include "optim/adamw.hpp"
#include "optim/lion.hpp"
#include "optim/momentum.hpp"
#include "projection/very_sparse.hpp"
#include "version.hpp"
#include "zeroth_order/mezo.hpp"
#include "zeroth_order/replicas.hpp"
