#!/bin/sh
# Sees to it that the programs which tests and benchmarks start are there: MariaDB, PostgreSQL, curl; and Chromium,
# without which the test of the pages in a browser is skipped, where it may be installed.
# Only the programs are wanted. Tests start private servers of their own; the system's services stay as they are.
# Usage: servers.sh [POLICY], where POLICY is the file that Debian asks before it starts a service.
set -eu

missing=""
[ -n "$(command -v mariadbd || ls /usr/sbin/mariadbd 2>/dev/null)" ] || missing="$missing mariadb-server"
[ -n "$(ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null)" ] || missing="$missing postgresql"
command -v psql >/dev/null || missing="$missing postgresql-client"
command -v mariadb >/dev/null || missing="$missing mariadb-client"
command -v curl >/dev/null || missing="$missing curl"
wished=""
command -v chromium >/dev/null || wished=" chromium"
[ -n "$missing$wished" ] || exit 0

if ! command -v apt-get >/dev/null || ! { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
    [ -n "$missing" ] || exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "The tests need$missing (Debian's names), and this machine has no apt-get: install them and try again." >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo"
else
    echo "The tests need$missing, and you may not install packages. Ask for: apt-get install$missing" >&2
    exit 1
fi

missing="$missing$wished"

# A policy that was there before is left alone. Only a trap makes Ctrl-C an exit that cleans up.
policy=${1:-/usr/sbin/policy-rc.d}
log=""
trap 'rm -f "$log"; exit 129' HUP
trap 'rm -f "$log"; exit 130' INT
trap 'rm -f "$log"; exit 143' TERM
if [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod +x "$policy"
fi
echo "servers: installing$missing"
log=$(mktemp)
install() {
    $as_root apt-get update -q &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}
if ! install >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "apt-get could not install$missing; the whole of what it said is in $log" >&2
    exit 1
fi
rm -f "$log"
