// Output of commands: callbacks, size, bytes that are not text.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import * as disk from './disk.mjs'
import { Transcript, sandbox, scratch } from './sdk.mjs'

const { commands } = sandbox
const LARGE = 100 * 1024 * 1024
const LINE = '0123456789abcde\n'

test('callbacks get everything in order', async () => {
  const out = []
  const err = []
  await commands.run('for i in 1 2 3; do echo o$i; echo e$i >&2; done', {
    onStdout: (chunk) => void out.push(chunk),
    onStderr: (chunk) => void err.push(chunk),
  })
  assert.equal(out.join(''), 'o1\no2\no3\n')
  assert.equal(err.join(''), 'e1\ne2\ne3\n')
})

test('output comes before the end', async () => {
  const folder = scratch()
  const text = new Transcript()
  const handle = await commands.run(
    `echo early; while [ ! -e ${folder}/go ]; do sleep 0.02; done; echo late`,
    { background: true, onStdout: text.add })
  await text.has('early\n')
  assert.equal(text.value.includes('late'), false)
  disk.write(`${folder}/go`, '')
  assert.equal((await handle.wait()).stdout, 'early\nlate\n')
})

test('large output', async () => {
  const digest = createHash('sha256')
  let size = 0
  const result = await commands.run(`yes ${LINE.trim()} | head -c ${LARGE}`, {
    timeoutMs: 300_000,
    onStdout: (chunk) => {
      digest.update(chunk)
      size += chunk.length
    },
  })
  assert.equal(result.exitCode, 0)
  assert.equal(size, LARGE)
  const expected = createHash('sha256').update(Buffer.alloc(LARGE, LINE)).digest('hex')
  assert.equal(digest.digest('hex'), expected)
})

test('large stderr beside stdout', async () => {
  const result = await commands.run(
    "head -c 3000000 /dev/zero | tr '\\0' e >&2 & head -c 3000000 /dev/zero | tr '\\0' o; wait")
  assert.ok(result.stdout === 'o'.repeat(3_000_000))
  assert.ok(result.stderr === 'e'.repeat(3_000_000))
})

test('many small writes', async () => {
  const result = await commands.run('for i in $(seq 2000); do echo $i; done')
  const expected = Array.from({ length: 2000 }, (_, n) => `${n + 1}\n`).join('')
  assert.equal(result.stdout, expected)
})

for (const [octal, expected] of [
  ['\\377\\376', '\ufffd\ufffd'],
  ['a\\000b', 'a\0b'],
  ['\\033[31mred\\033[0m', '\x1b[31mred\x1b[0m'],
  ['\\342\\200\\250\\177', '\u2028\x7f'],
  ['<>&\\"\\\\/', '<>&"\\/'],
  ['\\001\\002\\010\\014\\037', '\x01\x02\b\f\x1f'],
]) {
  test(`unusual bytes: ${octal}`, async () => {
    assert.equal((await commands.run(`printf '${octal}'`)).stdout, expected)
  })
}

test('character split between writes', async () => {
  const result = await commands.run("printf '\\342'; sleep 0.2; printf '\\202\\254'")
  assert.equal(result.stdout, '€')
})

test('unicode on both streams', async () => {
  const result = await commands.run('echo żółć 漢字; echo ошибка >&2')
  assert.deepEqual([result.stdout, result.stderr], ['żółć 漢字\n', 'ошибка\n'])
})
