#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Where no device can be seen, a backend's construction throws a device_error that says so: which vendor, which call, its
# code, and the vendor's words.   usage: no_device.sh cuda|hip DEVICE_TEST
set -u
vendor=$1
said=$(CUDA_VISIBLE_DEVICES=-1 HIP_VISIBLE_DEVICES=-1 ROCR_VISIBLE_DEVICES=-1 "$2" 2>&1)
rc=$?
echo "$said"
[ "$rc" = 77 ] || { echo "expected exit status 77, got $rc" && exit 1; }
echo "$said" | grep -qE "^skipped: frugal: $vendor: ${vendor}GetDeviceCount failed with code [0-9]+: .*([Dd]evice|driver)" ||
  { echo "expected a text that says what is missing" && exit 1; }
