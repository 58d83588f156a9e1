// files: watchDir.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as disk from './disk.mjs'
import {
  FileNotFoundError, InvalidArgumentError, PATIENCE, TimeoutError, homeFolder, sandbox, scratch,
} from './sdk.mjs'

const { files } = sandbox

// The events of one watch; `has` waits until all of these were announced.
class Seen {
  events = []
  ended = new Promise((resolve) => { this.onExit = resolve })
  #check = () => {}

  add = (event) => {
    this.events.push(event)
    this.#check()
  }

  texts() {
    return this.events.map(({ type, name }) => `${type} ${name}`)
  }

  has(...wanted) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${wanted} in ${this.texts()}`)), PATIENCE)
      this.#check = () => {
        const texts = new Set(this.texts())
        if (!wanted.every((text) => texts.has(text))) return
        clearTimeout(timer)
        resolve()
      }
      this.#check()
    })
  }
}

async function watch(path, options = {}) {
  const seen = new Seen()
  seen.handle = await files.watchDir(path, seen.add, { onExit: seen.onExit, ...options })
  return seen
}

test('watch a file being written', async () => {
  const root = scratch()
  disk.write(`${root}/file`, 'old')
  const seen = await watch(root)
  await files.write(`${root}/file`, 'new')
  await seen.has('write file')
  assert.deepEqual([...new Set(seen.events.map(({ name }) => name))], ['file'])
  await seen.handle.stop()
})

test('watch every type of event', async () => {
  const root = scratch()
  const seen = await watch(root)
  await files.write(`${root}/file`, 'new')
  await seen.has('create file', 'write file')
  disk.chmod(`${root}/file`, 0o600)
  await files.rename(`${root}/file`, `${root}/other`)
  await files.remove(`${root}/other`)
  await seen.has('chmod file', 'rename file', 'create other', 'remove other')
  await seen.handle.stop()
})

test('watch recursively', async () => {
  const root = scratch()
  disk.makeDir(`${root}/nested`)
  const seen = await watch(root, { recursive: true })
  await files.write(`${root}/nested/file`, 'new')
  await seen.has('create nested/file', 'write nested/file')
  await files.makeDir(`${root}/more/and/more`)
  await files.write(`${root}/more/and/more/file`, 'new')
  await seen.has('create more', 'create more/and', 'create more/and/more', 'write more/and/more/file')
  await seen.handle.stop()
})

test('watch a tree that appears at once', async () => {
  const root = scratch()
  disk.plant(root, 'in/', ...Array.from({ length: 50 }, (_, n) => `out/${n}/deep/er/file`))
  const seen = await watch(`${root}/in`, { recursive: true })
  disk.sh('cp -r "$1/out" "$1/in/copy"', root)
  await seen.has(...Array.from({ length: 50 }, (_, n) => `write copy/${n}/deep/er/file`))
  disk.sh('mv "$1/in/copy" "$1/in/moved"', root)
  disk.write(`${root}/in/moved/1/deep/er/file`, 'y')
  await seen.has('rename copy', 'create moved', 'write moved/1/deep/er/file')
  await seen.handle.stop()
})

test('watch one level only', async () => {
  const root = scratch()
  disk.makeDir(`${root}/nested`)
  const seen = await watch(root)
  await files.write(`${root}/nested/file`, 'new')
  await files.write(`${root}/last`, 'new')
  await seen.has('write last')
  assert.deepEqual([...new Set(seen.events.map(({ name }) => name))], ['last'])
  await seen.handle.stop()
})

test('watch with entries', async () => {
  const root = scratch()
  disk.write(`${root}/file`, 'old')
  const seen = await watch(root, { includeEntry: true })
  await files.write(`${root}/file`, '12345')
  await seen.has('write file')
  const { entry } = seen.events.at(-1)
  assert.deepEqual([entry.name, entry.path, entry.type, entry.size], ['file', `${root}/file`, 'file', 5])
  disk.remove(`${root}/file`)
  await seen.has('remove file')
  assert.equal(seen.events.at(-1).entry, undefined)
  await seen.handle.stop()
})

test('watch in home', async () => {
  const folder = homeFolder()
  const seen = await watch(folder)
  await files.write(`${folder}/file`, 'new')
  await seen.has('write file')
  await seen.handle.stop()
})

test('stop a watch', async () => {
  const root = scratch()
  const seen = await watch(root)
  await seen.handle.stop()
  await seen.ended
  disk.write(`${root}/file`, 'x')
  const other = await watch(root)
  disk.write(`${root}/file`, 'y')
  await other.has('write file')
  assert.deepEqual(seen.events, [])
  await other.handle.stop()
})

test('watch for a limited time', async () => {
  const seen = await watch(scratch(), { timeoutMs: 500 })
  assert.ok((await seen.ended) instanceof TimeoutError)
})

test('watch errors', async () => {
  const root = scratch()
  disk.write(`${root}/file`, 'x')
  await assert.rejects(watch(`${root}/missing`), FileNotFoundError)
  await assert.rejects(watch(`${root}/file`), InvalidArgumentError)
})
