#!/bin/sh
# Runs a script with the first Python of this machine that is new enough; PYTHON names another.
set -eu
for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        exec "$candidate" "$@"
    fi
done
cat >&2 <<'MESSAGE'
Rowferry needs Python 3.11 or newer, and none was found as python3.11, python3.12, python3.13 or python3.
Install one (Debian 12: apt-get install python3), or say where it is: make setup PYTHON=/path/to/python3
MESSAGE
exit 1
