#!/bin/sh
# run.sh GO REPORT [ARGUMENT]...: run the suite with that go program; the
# report gets `go test -json`, the terminal only what failed.
set -eu
go=$1
report=$2
shift 2
cd "$(dirname -- "$0")"
cache=$(cd ../../../build/deps && pwd)
export GOPATH="$cache/gopath" GOCACHE="$cache/gocache" GOPROXY=off GOFLAGS=-mod=readonly \
    GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0

status=0
"$go" test -count=1 -timeout 600s -json "$@" . >"$report" || status=$?
if [ "$status" -ne 0 ]; then
    sed -n 's/.*"Output":"\(.*\)"}$/\1/p' "$report" | grep -v '^=== ' |
        sed 's/\\n$//; s/\\t/    /g; s/\\"/"/g; s/\\u003[ce]/|/g' | grep -v -e '^ *--- PASS' -e '^ *ok '
fi
exit "$status"
