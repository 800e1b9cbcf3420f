#!/bin/sh
# Copies every database that the service has, and those that it makes later: it looks again every minute.
set -eu
# shellcheck source=/dev/null
. /etc/litestream/secret/credentials
export LITESTREAM_ACCESS_KEY_ID LITESTREAM_SECRET_ACCESS_KEY
url=$(cat /etc/litestream/secret/url)
list() { find /var/lib/contree -maxdepth 1 -name '*.db' ! -name sync-cache.db | sort; }
while true; do
  databases=$(list)
  {
    echo 'dbs:'
    for database in $databases; do
      printf '  - path: %s\n    replicas:\n      - url: %s/%s/%s\n' "$database" "$url" "$SERVICE" "$(basename "$database")"
    done
  } >/tmp/litestream.yml
  litestream replicate -config /tmp/litestream.yml &
  running=$!
  trap 'kill -TERM "$running"; wait "$running"; exit 0' TERM
  while [ "$(list)" = "$databases" ]; do
    sleep 60 &
    wait $! || true
    kill -0 "$running" || exit 1
  done
  kill -TERM "$running"
  wait "$running" || true
done
