#!/bin/bash
# Runs a command of Orderly with the user, settings and secrets of the service, also while it runs.
# As root, with absolute paths of files:
#   orderly-command backup --verify /var/backups/orderly/shop.backup
# With another version:
#   ORDERLY=/opt/orderly-0.4.0/bin/orderly orderly-command check-config
set -euo pipefail

unit=orderly-command-$$
properties=()
while IFS= read -r property; do
    # In a unit, %d is the directory of its credentials.
    properties+=("--property=${property//%d//run/credentials/$unit.service}")
done < <(systemctl cat orderly.service \
    | grep --extended-regexp '^(User|StateDirectory(Mode)?|UMask|Environment(File)?|LoadCredential)=')

exec systemd-run --quiet --wait --collect --pipe --pty --unit="$unit" "${properties[@]}" \
    "${ORDERLY:-/opt/orderly/bin/orderly}" "$@"
