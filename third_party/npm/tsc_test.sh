#!/bin/sh
# tsc_test.sh TSC CONFIG: checks the types of what stands beside the configuration. tsc looks for packages beside the sources.
set -eu
tsc=$PWD/$1
cp -rL "$(dirname "$2")" "$TEST_TMPDIR/sources"
ln -s "$(dirname "$tsc")/node_modules" "$TEST_TMPDIR/sources/node_modules"
"$tsc" --project "$TEST_TMPDIR/sources/$(basename "$2")"
