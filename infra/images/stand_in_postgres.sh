#!/usr/bin/env bash
# What the image `postgres` does at its first start: a database of POSTGRES_DB's name, for POSTGRES_USER.
set -euo pipefail
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username="$POSTGRES_USER" --pwfile=<(echo "$POSTGRES_PASSWORD") --auth-host=scram-sha-256
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  # As there: for now by a socket only.
  pg_ctl start -w -o "-c listen_addresses=''"
  createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl stop -w
fi
exec postgres -c listen_addresses='*'
