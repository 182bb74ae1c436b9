#!/bin/sh
# Creates the secrets of compose.yaml in ./secrets, once. Existing files are not changed.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
# Compose mounts the files as they are, and the containers run as other users: the directory protects them.
chmod 700 secrets

create() { # name, value
    [ -e "secrets/$1" ] || printf '%s\n' "$2" > "secrets/$1"
    chmod 644 "secrets/$1"
}

random() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

for name in postgresql_password owner_password runtime_password signing_key grafana_password; do
    create "$name" "$(random)"
done
create database_url "postgresql://orderly_runtime:$(cat secrets/runtime_password)@postgresql:5432/orderly"
create database_owner_url "postgresql://orderly_owner:$(cat secrets/owner_password)@postgresql:5432/orderly"
