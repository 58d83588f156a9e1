// The official SDK and what the suites share: a sandbox, scratch folders,
// output collectors, and the end of every command a test started.
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterEach } from 'node:test'
import { pathToFileURL } from 'node:url'
import * as disk from './disk.mjs'

const packageDir = join(process.env.SDK_MODULES, 'e2b')
const { module: entry } = JSON.parse(readFileSync(join(packageDir, 'package.json')))

export const {
  AuthenticationError,
  CommandExitError,
  FileNotFoundError,
  InvalidArgumentError,
  NotFoundError,
  Sandbox,
  SandboxError,
  TimeoutError,
} = await import(pathToFileURL(join(packageDir, entry)))

export const sandbox = await Sandbox.create({ debug: true })

// How long to wait for what has to come; another machine may be an emulated one.
export const PATIENCE = process.env.SDK_AGENT ? 180_000 : 30_000

let leftovers = []

afterEach(async () => {
  for (const path of leftovers) disk.remove(path)
  leftovers = []
  for (const { pid } of await sandbox.commands.list()) {
    await sandbox.commands.kill(pid)
    await untilGone(pid)
  }
})

// A folder that everyone may enter, gone after the test.
export function scratch() {
  const path = disk.makeScratch(process.env.SDK_SCRATCH)
  leftovers.push(path)
  return path
}

// The name of a fresh folder in the home of root, relative to that home.
export function homeFolder() {
  const path = disk.makeScratch('/root')
  leftovers.push(path)
  return basename(path)
}

// Collects the bytes of a terminal or the text of a command.
export class Transcript {
  value = ''
  #decoder = new TextDecoder()
  #waiting = []

  add = (chunk) => {
    this.value += typeof chunk === 'string' ? chunk : this.#decoder.decode(chunk, { stream: true })
    this.#waiting.forEach((check) => check())
  }

  // Resolves once the text has occurred.
  has(wanted, patience = PATIENCE) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no ${JSON.stringify(wanted)} in ${JSON.stringify(this.value)}`)),
        patience
      )
      const check = () => {
        if (!this.value.includes(wanted)) return
        clearTimeout(timer)
        this.#waiting = this.#waiting.filter((other) => other !== check)
        resolve()
      }
      this.#waiting.push(check)
      check()
    })
  }
}

// Resolves once the agent no longer lists the process.
export async function untilGone(pid, patience = PATIENCE) {
  const deadline = Date.now() + patience
  while ((await sandbox.commands.list()).some((process) => process.pid === pid)) {
    if (Date.now() > deadline) throw new Error(`process ${pid} is still listed`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
