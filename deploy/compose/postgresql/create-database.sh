#!/bin/sh
# PostgreSQL's image runs this once, when it has created an empty cluster.
set -eu
psql --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
    --set owner_password="$(cat /run/secrets/owner_password)" \
    --set runtime_password="$(cat /run/secrets/runtime_password)" <<'SQL'
CREATE ROLE orderly_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE orderly_runtime LOGIN PASSWORD :'runtime_password';
CREATE DATABASE orderly OWNER orderly_owner ENCODING 'UTF8' TEMPLATE template0;
SQL
