#!/usr/bin/env bash
# Runs both commands of the README in a minimal Debian, as a normal user and as root.
#
# Usage: sudo tools/bare_root.sh DIRECTORY [user|root]... [-- COMMAND]
#
# DIRECTORY is created by debootstrap (apt-get install debootstrap) unless it exists. COMMAND
# replaces the README's test command, for example by `.venv/bin/tox -e tests-py311`.
# To try a machine that has its own Chromium and curl, run in between:
# `chroot DIRECTORY apt-get install -y chromium curl`.
set -euo pipefail

directory=$(realpath -m "${1:?usage: $0 DIRECTORY [user|root]... [-- COMMAND]}")
shift
accounts=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    accounts+=("$1")
    shift
done
[ ${#accounts[@]} -gt 0 ] || accounts=(user root)
[ "${1:-}" = -- ] && shift
checkout=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
install="python3 -m venv .venv && .venv/bin/pip install --quiet"
test_command=${*:-"$install tox && .venv/bin/tox"}

if [ ! -d "$directory/usr" ]; then
    debootstrap --variant=minbase --include=ca-certificates,python3-venv,git bookworm "$directory"
fi
id_of_user=4321
grep -q "^user:" "$directory/etc/passwd" \
    || chroot "$directory" useradd --create-home --uid "$id_of_user" --shell /bin/bash user

# The host's package indexes and certificates, if it has its own.
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf "$HOME/.npmrc" \
    /etc/ssl/certs/ca-certificates.crt; do
    if [ -f "$file" ]; then
        target="$directory${file/#$HOME\/.npmrc//etc/npmrc}"
        mkdir -p "$(dirname "$target")"
        cp --dereference "$file" "$target"
    fi
done

mounts=()
cleanup() {
    for ((number = ${#mounts[@]} - 1; number >= 0; number--)); do
        umount "${mounts[number]}"
    done
}
trap cleanup EXIT
bind() { # SOURCE
    mkdir -p "$directory$1"
    mount --rbind --make-rslave "$1" "$directory$1"
    mounts+=("$directory$1")
}
mount -t proc proc "$directory/proc" && mounts+=("$directory/proc")
mkdir -p "$directory/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$directory/dev/pts" \
    && mounts+=("$directory/dev/pts")
rm -f "$directory/dev/ptmx" && ln -s pts/ptmx "$directory/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$directory/dev/shm" && mounts+=("$directory/dev/shm")
for local_index in $(grep --only-matching 'file://[^ ]*' /etc/pip.conf 2> /dev/null \
    | sed 's#^file://##; s#/simple$##'); do
    bind "$local_index"
done

variables=(
    HOME=/home/user PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
    NPM_CONFIG_GLOBALCONFIG=/etc/npmrc
)
while IFS= read -r -d '' variable; do
    case "$variable" in
        PIP_CERT=* | PIP_DEFAULT_TIMEOUT=* | NODE_EXTRA_CA_CERTS=* | SSL_CERT_FILE=* \
            | REQUESTS_CA_BUNDLE=* | UV_*=* | *_proxy=* | *_PROXY=*)
            variables+=("$variable")
            ;;
    esac
done < /proc/self/environ

run_as() { # ACCOUNT COMMAND
    local home=/home/user
    [ "$1" = root ] && home=/root
    chroot --userspec="$1" "$directory" env --ignore-environment "${variables[@]}" HOME="$home" \
        bash -c "cd $home/orderly && $2"
}

for account in "${accounts[@]}"; do
    home=/home/user
    [ "$account" = root ] && home=/root
    rm -rf "$directory$home/orderly"
    git clone --quiet "$checkout" "$directory$home/orderly"
    chroot "$directory" chown -R "$account" "$home/orderly"

    echo "== $account: run"
    run_as "$account" "$install . && (.venv/bin/orderly serve --demo --port 8123 & echo \$! > pid; \
        for attempt in \$(seq 120); do python3 -c \"import urllib.request as u; \
        print(u.urlopen('http://127.0.0.1:8123/api/v1/products?limit=1').status)\" 2> /dev/null \
        && break; sleep 1; done; kill -INT \$(cat pid); wait \$(cat pid)) && rm -rf .venv"

    echo "== $account: test"
    run_as "$account" "$test_command"
done
