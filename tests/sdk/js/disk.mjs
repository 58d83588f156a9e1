// The files of the machine that the agent runs on, seen past the SDK: this
// machine, or, with SDK_AGENT, another one (lib/disk.py runs the scripts there).
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const program = process.env.SDK_AGENT
  ? ['python3', join(import.meta.dirname, '../lib/disk.py')]
  : ['/bin/sh', '-euc']

// Runs a script there, the words being its `$@`; gives what it wrote.
export function sh(script, ...words) {
  const [command, ...first] = program
  const rest = process.env.SDK_AGENT ? words : ['sh', ...words]
  return execFileSync(command, [...first, script, ...rest], { maxBuffer: 1 << 26 })
}

export const content = (path) => sh('cat "$1"', path)
export const text = (path) => content(path).toString()
export const write = (path, data) => sh('printf %s "$2" >"$1"', path, data)
export const makeDir = (path) => sh('mkdir -p "$1"', path)
export const symlink = (target, path) => sh('ln -s "$1" "$2"', target, path)
export const chmod = (path, mode) => sh('chmod "$1" "$2"', mode.toString(8), path)
export const owner = (path) => sh('stat -c %U "$1"', path).toString().trim()
export const mode = (path) => parseInt(sh('stat -c %a "$1"', path).toString(), 8)
export const exists = (path) => sh('test ! -e "$1" || echo yes', path).length > 0
export const names = (path) => sh('ls -A "$1"', path).toString().split('\n').slice(0, -1)
export const remove = (path) => sh('rm -rf "$1"', path)

// Makes files holding their own name, and directories where a name ends in a slash.
export function plant(root, ...names) {
  sh(`cd "$1"; shift; for name; do
    case $name in */*) mkdir -p "\${name%/*}" ;; esac
    case $name in */) ;; *) printf %s "$name" >"$name" ;; esac
  done`, root, ...names)
}

// A new folder that everyone may enter.
export function makeScratch(parent) {
  return sh('path=$(mktemp -d "$1/envd-sdk-XXXXXX"); chmod 755 "$path"; echo "$path"', parent)
    .toString().trim()
}
