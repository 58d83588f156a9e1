// files.write and files.read: every kind of data, every format.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import * as disk from './disk.mjs'
import {
  AuthenticationError, FileNotFoundError, InvalidArgumentError,
  homeFolder, sandbox, scratch,
} from './sdk.mjs'

const { files } = sandbox
const bytesOf = async (stream) => Buffer.from(await new Response(stream).arrayBuffer())
const arrayBuffer = (buffer) => Uint8Array.from(buffer).buffer

for (const text of ['', 'plain', 'ünïcödé ✓ 日本語 🎉', 'a\r\nb\n\n', 'nul \0 inside', 'x'.repeat(100_000)]) {
  test(`text round trip: ${JSON.stringify(text.slice(0, 20))}`, async () => {
    const path = `${scratch()}/file`
    const info = await files.write(path, text)
    assert.deepEqual([info.name, info.path, info.type], ['file', path, 'file'])
    assert.equal(disk.text(path), text)
    assert.equal(await files.read(path), text)
  })
}

const KINDS = {
  ArrayBuffer: arrayBuffer,
  Blob: (data) => new Blob([data]),
  ReadableStream: (data) => new Blob([data]).stream(),
}

for (const [kind, make] of Object.entries(KINDS)) {
  for (const size of [0, 1, 3_000_000]) {
    test(`${kind} of ${size} bytes, read in every format`, async () => {
      const path = `${scratch()}/file`
      const data = randomBytes(size)
      await files.write(path, make(data))
      assert.ok(disk.content(path).equals(data))
      assert.ok(Buffer.from(await files.read(path, { format: 'bytes' })).equals(data))
      const blob = await files.read(path, { format: 'blob' })
      assert.ok(Buffer.from(await blob.arrayBuffer()).equals(data))
      assert.ok((await bytesOf(await files.read(path, { format: 'stream' }))).equals(data))
    })
  }
}

test('octet-stream upload', async () => {
  const path = `${scratch()}/file`
  const data = randomBytes(200_000)
  await files.write(path, arrayBuffer(data), { useOctetStream: true })
  assert.ok(disk.content(path).equals(data))
})

test('compressed both ways', async () => {
  const path = `${scratch()}/file`
  const text = 'compressible '.repeat(20_000)
  await files.write(path, text, { gzip: true })
  assert.equal(disk.text(path), text)
  assert.equal(await files.read(path, { gzip: true }), text)
})

test('overwriting shrinks and keeps the mode', async () => {
  const path = `${scratch()}/file`
  await files.write(path, 'a long first content')
  disk.chmod(path, 0o750)
  await files.write(path, 'short')
  assert.equal(await files.read(path), 'short')
  assert.equal(disk.mode(path), 0o750)
})

test('missing parents are made, owned by the user', async () => {
  const folder = scratch()
  await files.write(`${folder}/a/b/file`, 'deep', { user: 'nobody' })
  for (const name of ['a', 'a/b', 'a/b/file']) assert.equal(disk.owner(`${folder}/${name}`), 'nobody')
})

test('many files of every kind at once', async () => {
  const folder = scratch()
  const entries = [
    { path: `${folder}/text`, data: 'text' },
    { path: `${folder}/buffer`, data: arrayBuffer(Buffer.from('buffer')) },
    { path: `${folder}/sub/blob`, data: new Blob(['blob']) },
    { path: `${folder}/stream`, data: new Blob(['stream']).stream() },
  ]
  const infos = await files.writeFiles(entries)
  assert.deepEqual(infos.map((info) => info.path), entries.map((entry) => entry.path))
  for (const name of ['text', 'buffer', 'sub/blob', 'stream']) {
    assert.equal(disk.text(`${folder}/${name}`), name.split('/').pop())
  }
})

test('many text files in one multipart body', async () => {
  const folder = scratch()
  const entries = Array.from({ length: 20 }, (_, n) => ({ path: `${folder}/${n}`, data: `file ${n}` }))
  assert.equal((await files.write(entries)).length, 20)
  assert.equal(disk.text(`${folder}/13`), 'file 13')
})

for (const name of ['with blank', 'ünï ✓', 'q?uestion&mark=1', 'per%20cent', 'semi;colon', 'plus+plus', 'hash#tag']) {
  test(`awkward name: ${name}`, async () => {
    const path = `${scratch()}/${name}`
    assert.equal((await files.write(path, 'content')).name, name)
    assert.equal(disk.text(path), 'content')
    assert.equal(await files.read(path), 'content')
  })
}

test('metadata', async () => {
  const path = `${scratch()}/file`
  const metadata = { color: 'blue', note: 'two words' }
  assert.deepEqual((await files.write(path, 'x', { metadata })).metadata, metadata)
  assert.deepEqual((await files.getInfo(path)).metadata, metadata)
  assert.equal((await files.write(path, 'y')).metadata, undefined)
})

test('relative paths and ~ are in home', async () => {
  const folder = homeFolder()
  assert.equal((await files.write(`${folder}/file`, 'one')).path, `/root/${folder}/file`)
  assert.equal(await files.read(`~/${folder}/file`), 'one')
  await assert.rejects(files.read('file', { user: 'nobody' }), /\/nonexistent\/file/)
})

test('reading what is missing', async () => {
  const path = `${scratch()}/missing`
  for (const format of ['text', 'bytes', 'blob', 'stream']) {
    await assert.rejects(files.read(path, { format }), FileNotFoundError)
  }
})

test('directories are refused', async () => {
  const folder = scratch()
  await assert.rejects(files.read(folder), InvalidArgumentError)
  await assert.rejects(files.write(folder, 'x'), InvalidArgumentError)
})

test('unknown user', async () => {
  const path = `${scratch()}/file`
  await assert.rejects(files.write(path, 'x', { user: 'no-such-user' }), AuthenticationError)
  await assert.rejects(files.read(path, { user: 'no-such-user' }), AuthenticationError)
})
