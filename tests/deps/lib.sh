# shellcheck shell=sh
# Shared by the set-up scripts: where things live, and stamps that make a
# second run do nothing.

top=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
deps=$top/build/deps
mkdir -p "$deps/bin"

# have_version TOOL FLAG MAJOR MINOR: the machine's TOOL is at least MAJOR.MINOR
have_version() {
    command -v "$1" >/dev/null 2>&1 || return 1
    "$1" "$2" 2>/dev/null | sed -n 's/[^0-9]*\([0-9]*\)\.\([0-9]*\).*/\1 \2/p' |
        { read -r major minor &&
              { [ "$major" -gt "$3" ] ||
                    { [ "$major" -eq "$3" ] && [ "$minor" -ge "$4" ]; }; }; }
}

# key TOOL FILE...: one hash over the tool's version, the script and the files
key() {
    tool=$1
    shift
    { "$tool" version 2>/dev/null || "$tool" --version; cat "$@" "$0"; } |
        sha256sum | cut -d' ' -f1
}

# fresh NAME KEY: the stamp NAME was left by a run with the same key
fresh() {
    [ "$(cat "$deps/stamp.$1" 2>/dev/null)" = "$2" ]
}

stamp() {
    printf '%s\n' "$2" >"$deps/stamp.$1"
}
