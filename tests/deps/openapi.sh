#!/bin/sh
# Python for the suite that reads docs/openapi.yaml: a virtual environment in
# build/deps/openapi, pinned by tests/sdk/openapi/requirements.txt.
set -eu
# shellcheck source=tests/deps/lib.sh
. "$(dirname -- "$0")/lib.sh"

requirements=$top/tests/sdk/openapi/requirements.txt
have_version python3 --version 3 11 ||
    { echo "openapi.sh: python3 >= 3.11 is needed" >&2; exit 1; }

key=$(key python3 "$requirements")
if fresh openapi "$key" && [ -x "$deps/openapi/bin/pytest" ]; then
    exit 0
fi

rm -rf "$deps/openapi"
python3 -m venv "$deps/openapi" ||
    { echo "openapi.sh: the package python3-venv is needed" >&2; exit 1; }
"$deps/openapi/bin/pip" install --quiet --disable-pip-version-check \
    --no-input --no-deps --requirement "$requirements"
stamp openapi "$key"
