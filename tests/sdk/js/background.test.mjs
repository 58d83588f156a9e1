// Commands in the background: handles, connect, list, kill, input.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import * as disk from './disk.mjs'
import {
  CommandExitError, NotFoundError, SandboxError, Transcript, sandbox, scratch,
} from './sdk.mjs'

const { commands } = sandbox
const start = (command, options) => commands.run(command, { ...options, background: true })
const hold = (folder) => `while [ ! -e ${folder}/go ]; do sleep 0.02; done`

async function failure(promise) {
  const error = await promise.then(() => assert.fail('it succeeded'), (reason) => reason)
  assert.ok(error instanceof CommandExitError, String(error))
  return error
}

test('wait for the result', async () => {
  const result = await (await start('echo hello')).wait()
  assert.deepEqual([result.exitCode, result.stdout], [0, 'hello\n'])
})

test('the handle knows pid, output and code', async () => {
  const handle = await start('echo $$; exit 5')
  assert.equal((await failure(handle.wait())).exitCode, 5)
  assert.equal(handle.stdout, `${handle.pid}\n`)
  assert.equal(handle.exitCode, 5)
})

test('list shows running commands', async () => {
  const cwd = scratch()
  const handle = await start('exec sleep 300', { envs: { KEY: 'value' }, cwd })
  const mine = (await commands.list()).filter((process) => process.pid === handle.pid)
  assert.equal(mine.length, 1)
  assert.equal(mine[0].cmd, '/bin/bash')
  assert.deepEqual(mine[0].args, ['-l', '-c', 'exec sleep 300'])
  assert.deepEqual(mine[0].envs, { KEY: 'value' })
  assert.equal(mine[0].cwd, cwd)
})

test('kill by handle and by pid', async () => {
  for (const kill of [(handle) => handle.kill(), (handle) => commands.kill(handle.pid)]) {
    const handle = await start('exec sleep 300')
    assert.equal(await kill(handle), true)
    const error = await failure(handle.wait())
    assert.deepEqual([error.exitCode, error.error], [-1, 'signal: killed'])
    assert.equal(await kill(handle), false)
  }
})

test('kill of an unknown pid', async () => {
  assert.equal(await commands.kill(999_999), false)
})

test('connect follows a running command', async () => {
  const folder = scratch()
  const handle = await start(`${hold(folder)}; echo seen`)
  const text = new Transcript()
  const second = await commands.connect(handle.pid, { onStdout: text.add })
  assert.equal(second.pid, handle.pid)
  disk.write(`${folder}/go`, '')
  assert.equal((await handle.wait()).stdout, 'seen\n')
  assert.equal((await second.wait()).stdout, 'seen\n')
  assert.equal(text.value, 'seen\n')
})

test('connect after disconnect', async () => {
  const folder = scratch()
  const handle = await start(`${hold(folder)}; echo seen; exit 7`)
  await handle.disconnect()
  const second = await commands.connect(handle.pid)
  disk.write(`${folder}/go`, '')
  const error = await failure(second.wait())
  assert.deepEqual([error.exitCode, error.stdout], [7, 'seen\n'])
})

test('connect to an ended command gets its exit', async () => {
  const handle = await start('exit 9')
  await failure(handle.wait())
  const second = await commands.connect(handle.pid)
  assert.equal((await failure(second.wait())).exitCode, 9)
})

test('connect to an unknown pid', async () => {
  await assert.rejects(commands.connect(999_999), NotFoundError)
})

for (const data of ['hello', 'two\nlines\n', 'ünïcode ✓', new TextEncoder().encode('bytes')]) {
  test(`send and close stdin: ${JSON.stringify(data)}`, async () => {
    const handle = await start('cat', { stdin: true })
    await handle.sendStdin(data)
    await handle.closeStdin()
    const expected = typeof data === 'string' ? data : 'bytes'
    assert.equal((await handle.wait()).stdout, expected)
  })
}

test('send stdin by pid, in pieces', async () => {
  const handle = await start('cat', { stdin: true })
  for (const piece of ['one ', '', 'two ', 'three']) await commands.sendStdin(handle.pid, piece)
  await commands.closeStdin(handle.pid)
  assert.equal((await handle.wait()).stdout, 'one two three')
})

test('the answer comes before the end', async () => {
  const text = new Transcript()
  const handle = await start('while read line; do echo got $line; done',
    { stdin: true, onStdout: text.add })
  for (const word of ['a', 'b']) {
    await handle.sendStdin(`${word}\n`)
    await text.has(`got ${word}\n`)
  }
  await handle.closeStdin()
  await handle.wait()
})

test('large input', async () => {
  const data = randomBytes(3_000_000)
  const handle = await start('sha256sum | cut -c1-64', { stdin: true })
  for (let from = 0; from < data.length; from += 1_000_000) {
    await handle.sendStdin(data.subarray(from, from + 1_000_000))
  }
  await handle.closeStdin()
  const expected = createHash('sha256').update(data).digest('hex')
  assert.equal((await handle.wait()).stdout.trim(), expected)
})

test('stdin that was not asked for', async () => {
  const handle = await start('exec sleep 300')
  await assert.rejects(handle.sendStdin('x'), (error) => {
    assert.ok(error instanceof SandboxError)
    assert.match(error.message, /stdin not enabled or closed/)
    return true
  })
  await handle.closeStdin()
  await handle.kill()
  await failure(handle.wait())
})

test('stdin of an unknown pid', async () => {
  await assert.rejects(commands.sendStdin(999_999, 'x'), NotFoundError)
  await assert.rejects(commands.closeStdin(999_999), NotFoundError)
})
