#!/bin/sh
# Where the volume has no databases, fetches the last copies.
set -eu
# shellcheck source=/dev/null
. /etc/litestream/secret/credentials
export LITESTREAM_ACCESS_KEY_ID LITESTREAM_SECRET_ACCESS_KEY
url=$(cat /etc/litestream/secret/url)
for name in contree.db sync.db auth.db; do
  litestream restore -if-db-not-exists -if-replica-exists -o "/var/lib/contree/$name" "$url/$SERVICE/$name"
done
