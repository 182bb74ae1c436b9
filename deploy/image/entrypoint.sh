#!/bin/sh
# Runs `orderly` with the arguments of the container: `serve`, `migrate`, `create-admin` ...
set -eu

# A container can run as a user id that /etc/passwd does not have (`docker run --user`, OpenShift). The
# embedded PostgreSQL needs a name for it, which libnss-wrapper provides from another file.
if ! getent passwd "$(id -u)" > /dev/null; then
    NSS_WRAPPER_PASSWD=$(mktemp)
    NSS_WRAPPER_GROUP=/etc/group
    echo "orderly:x:$(id -u):$(id -g):Orderly:/var/lib/orderly:/usr/sbin/nologin" > "$NSS_WRAPPER_PASSWD"
    LD_PRELOAD=libnss_wrapper.so
    export NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP LD_PRELOAD
fi

exec orderly "$@"
