#!/bin/sh
# Readers of bills of materials for the suite of packages: a virtual environment
# in build/deps/packaging, pinned by tests/packaging/requirements.txt.
set -eu
# shellcheck source=tests/deps/lib.sh
. "$(dirname -- "$0")/lib.sh"

requirements=$top/tests/packaging/requirements.txt
key=$(key python3 "$requirements")
if fresh packaging "$key" && [ -x "$deps/packaging/bin/python" ]; then
    exit 0
fi

rm -rf "$deps/packaging"
python3 -m venv "$deps/packaging"
"$deps/packaging/bin/pip" install --quiet --disable-pip-version-check \
    --no-input --no-deps --requirement "$requirements"
stamp packaging "$key"
