// files: list, getInfo, exists, makeDir, rename, remove.
import assert from 'node:assert/strict'
import { relative } from 'node:path'
import { test } from 'node:test'
import * as disk from './disk.mjs'
import { plant } from './disk.mjs'
import {
  AuthenticationError, FileNotFoundError, InvalidArgumentError,
  homeFolder, sandbox, scratch,
} from './sdk.mjs'

const { files } = sandbox

const names = (entries, root) => entries.map((entry) => relative(root, entry.path))

test('list one level, sorted', async () => {
  const root = scratch()
  plant(root, 'b', 'a', 'B', 'dir/inside', 'z/', '.hidden', 'é')
  const entries = await files.list(root)
  assert.deepEqual(names(entries, root), ['.hidden', 'B', 'a', 'b', 'dir', 'z', 'é'])
  assert.equal(entries.find((entry) => entry.name === 'dir').type, 'dir')
  assert.equal(entries.find((entry) => entry.name === 'a').type, 'file')
})

for (const [depth, expected] of [
  [1, ['a', 'b', 'file']],
  [2, ['a', 'a/a2', 'a/f1', 'b', 'file']],
  [3, ['a', 'a/a2', 'a/a2/f2', 'a/f1', 'b', 'file']],
]) {
  test(`list depth ${depth}`, async () => {
    const root = scratch()
    plant(root, 'file', 'a/f1', 'a/a2/f2', 'b/')
    assert.deepEqual(names(await files.list(root, { depth }), root), expected)
  })
}

test('list an empty directory', async () => {
  assert.deepEqual(await files.list(scratch()), [])
})

test('list by link and below links', async () => {
  const root = scratch()
  plant(root, 'dir/inside')
  disk.symlink('dir', `${root}/link`)
  disk.symlink('..', `${root}/dir/up`)
  assert.deepEqual(names(await files.list(`${root}/link`), root), ['link/inside', 'link/up'])
  assert.deepEqual(names(await files.list(`${root}/dir`, { depth: 9 }), root), ['dir/inside', 'dir/up'])
})

test('list in home', async () => {
  const folder = homeFolder()
  await files.write(`${folder}/file`, 'x')
  for (const path of [folder, `~/${folder}`]) {
    assert.deepEqual((await files.list(path)).map((entry) => entry.path), [`/root/${folder}/file`])
  }
})

test('list errors', async () => {
  const root = scratch()
  plant(root, 'file')
  await assert.rejects(files.list(`${root}/missing`), FileNotFoundError)
  await assert.rejects(files.list(`${root}/file`), InvalidArgumentError)
})

test('info of a file', async () => {
  const path = `${scratch()}/file`
  await files.write(path, '12345', { user: 'nobody' })
  disk.chmod(path, 0o640)
  const info = await files.getInfo(path)
  assert.deepEqual([info.name, info.path, info.type], ['file', path, 'file'])
  assert.deepEqual([info.size, info.mode, info.permissions], [5, 0o640, '-rw-r-----'])
  assert.deepEqual([info.owner, info.group], ['nobody', 'nogroup'])
  assert.equal(info.symlinkTarget, undefined)
  assert.ok(Math.abs(info.modifiedTime - Date.now()) < 60_000)
})

test('info of a directory and of a link', async () => {
  const root = scratch()
  plant(root, 'file')
  disk.symlink('file', `${root}/link`)
  const directory = await files.getInfo(root)
  assert.deepEqual([directory.type, directory.permissions], ['dir', 'drwxr-xr-x'])
  const link = await files.getInfo(`${root}/link`)
  assert.deepEqual([link.type, link.symlinkTarget], ['file', `${root}/file`])
})

test('info of what is missing', async () => {
  await assert.rejects(files.getInfo(`${scratch()}/missing`), FileNotFoundError)
})

test('exists', async () => {
  const root = scratch()
  plant(root, 'file')
  disk.symlink('nowhere', `${root}/dangling`)
  assert.equal(await files.exists(root), true)
  assert.equal(await files.exists(`${root}/file`), true)
  assert.equal(await files.exists(`${root}/dangling`), true)
  assert.equal(await files.exists(`${root}/missing`), false)
})

test('make a directory twice', async () => {
  const path = `${scratch()}/a/b/c`
  assert.equal(await files.makeDir(path), true)
  assert.equal(await files.makeDir(path), false)
  assert.deepEqual(disk.names(path), [])
})

test('make directories as a user', async () => {
  const root = scratch()
  await files.makeDir(`${root}/a/b`, { user: 'nobody' })
  for (const name of ['a', 'a/b']) assert.equal(disk.owner(`${root}/${name}`), 'nobody')
})

test('make a directory over a file', async () => {
  const root = scratch()
  plant(root, 'file')
  await assert.rejects(files.makeDir(`${root}/file`), InvalidArgumentError)
})

test('rename files and directories', async () => {
  const root = scratch()
  plant(root, 'old', 'dir/sub/file', 'two')
  const info = await files.rename(`${root}/old`, `${root}/deep/new`)
  assert.deepEqual([info.name, info.path], ['new', `${root}/deep/new`])
  assert.equal(disk.exists(`${root}/old`), false)
  assert.equal((await files.rename(`${root}/dir`, `${root}/moved`)).type, 'dir')
  assert.equal(disk.text(`${root}/moved/sub/file`), 'dir/sub/file')
  await files.rename(`${root}/deep/new`, `${root}/two`)
  assert.equal(disk.text(`${root}/two`), 'old')
})

test('rename errors', async () => {
  const root = scratch()
  plant(root, 'file', 'dir/')
  await assert.rejects(files.rename(`${root}/missing`, `${root}/new`), FileNotFoundError)
  await assert.rejects(files.rename(`${root}/file`, `${root}/dir`), /file exists/)
})

test('remove', async () => {
  const root = scratch()
  plant(root, 'file', 'dir/sub/file', 'kept/file')
  disk.symlink('kept', `${root}/link`)
  for (const name of ['file', 'dir', 'link', 'missing']) await files.remove(`${root}/${name}`)
  assert.deepEqual(disk.names(root), ['kept'])
  assert.deepEqual(disk.names(`${root}/kept`), ['file'])
})

test('unknown user', async () => {
  const root = scratch()
  await assert.rejects(files.list(root, { user: 'no-such-user' }), AuthenticationError)
  await assert.rejects(files.makeDir(`${root}/dir`, { user: 'no-such-user' }), AuthenticationError)
  assert.equal(disk.exists(`${root}/dir`), false)
})
