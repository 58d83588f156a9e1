#!/bin/sh
# setup.sh [python|raw|chaos|init|js|go]...: install what the named suites need (all of
# them by default) into build/deps.  A second run finds its stamps and is done.
set -eu
# shellcheck source=tests/deps/lib.sh
. "$(dirname -- "$0")/lib.sh"

[ $# -gt 0 ] || set -- python raw js go
here=$(dirname -- "$0")
(
    flock 9
    for suite; do
        case $suite in
        python | raw | chaos | init) "$here/python.sh" ;;
        js) "$here/node.sh" ;;
        go) "$here/go.sh" ;;
        *) echo "setup.sh: unknown suite $suite" >&2; exit 2 ;;
        esac
    done
) 9>"$deps/lock"
