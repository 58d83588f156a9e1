#!/bin/sh
# Python for the suites: a virtual environment in build/deps/python with the
# official SDK and pytest, pinned by tests/sdk/python/requirements.txt.
# Needs python3 >= 3.11 with its venv module (Debian: python3-venv).
set -eu
# shellcheck source=tests/deps/lib.sh
. "$(dirname -- "$0")/lib.sh"

requirements=$top/tests/sdk/python/requirements.txt
have_version python3 --version 3 11 ||
    { echo "python.sh: python3 >= 3.11 is needed" >&2; exit 1; }

ln -sfn "$(command -v python3)" "$deps/bin/python3"
key=$(key python3 "$requirements")
if fresh python "$key" && [ -x "$deps/python/bin/pytest" ]; then
    exit 0
fi

rm -rf "$deps/python"
python3 -m venv "$deps/python" ||
    { echo "python.sh: the package python3-venv is needed" >&2; exit 1; }
"$deps/python/bin/pip" install --quiet --disable-pip-version-check \
    --no-input --no-deps --requirement "$requirements"
stamp python "$key"
