#!/usr/bin/env bash
# node_test.sh NPM_CLIENTS TEST MODULE...: runs TEST, an ES module, with the packages in NPM_CLIENTS and MODULEs beside it.
set -euo pipefail
clients=$1 test=$2
shift
# By its package: some versions of npm lose node_modules/.bin/node, which both architectures' packages claim.
node=$(echo "$clients"/node_modules/node-linux-*/bin/node)
if [ ! -x "$node" ]; then
  echo "The npm packages that this test needs are not installed ($clients is missing)." >&2
  echo "Run script/npm_clients (script/test does); it needs to reach the npm registry." >&2
  exit 1
fi
# Modules look for packages beside themselves, and not from where a link to them lies.
cp -L "$@" "$TEST_TMPDIR"
ln -s "$clients/node_modules" "$TEST_TMPDIR/node_modules"
exec "$node" --test --test-timeout=240000 \
  --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=junit --test-reporter-destination="${XML_OUTPUT_FILE:-/dev/null}" \
  "$TEST_TMPDIR/$(basename "$test")"
