// Terminals: create, input, resize, reconnect, kill.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CommandExitError, NotFoundError, SandboxError, Transcript, sandbox,
} from './sdk.mjs'

const { commands, pty } = sandbox
const encoder = new TextEncoder()
const type = (handle, line) => pty.sendInput(handle.pid, encoder.encode(`${line}\n`))

async function open(options) {
  const text = new Transcript()
  const handle = await pty.create({ cols: 80, rows: 24, onData: text.add, ...options })
  return { handle, text }
}

test('echo and exit', async () => {
  const { handle, text } = await open()
  await type(handle, "echo wo''rd; exit 0")
  assert.equal((await handle.wait()).exitCode, 0)
  await text.has('word\r\n')
})

test('exit code', async () => {
  const { handle } = await open()
  await type(handle, 'exit 6')
  await assert.rejects(handle.wait(), (error) => {
    assert.ok(error instanceof CommandExitError)
    assert.equal(error.exitCode, 6)
    return true
  })
})

test('size and resize', async () => {
  const { handle, text } = await open({ cols: 93, rows: 31 })
  await type(handle, 'stty size')
  await text.has('31 93\r\n')
  await pty.resize(handle.pid, { cols: 222, rows: 55 })
  await type(handle, 'stty size')
  await text.has('55 222\r\n')
})

test('environment, cwd and user', async () => {
  const { handle, text } = await open({ envs: { MINE: 'yes' }, cwd: '/tmp', user: 'nobody' })
  await type(handle, 'echo "[$TERM|$LANG|$LC_ALL|$MINE|$(pwd)|$(id -un)]"')
  await text.has('[xterm-256color|C.UTF-8|C.UTF-8|yes|/tmp|nobody]\r\n')
})

test('interrupt and end-of-file keys', async () => {
  const { handle, text } = await open()
  await type(handle, "sh -c \"echo be''gin; exec sleep 300\"")
  await text.has('begin\r\n')
  await pty.sendInput(handle.pid, encoder.encode('\x03'))
  await type(handle, "PS1='pro''mpt> '")
  await text.has('prompt> ')
  await pty.sendInput(handle.pid, encoder.encode('\x04'))
  await handle.wait().catch((error) => assert.equal(error.exitCode, 130))
})

test('kill', async () => {
  const { handle } = await open()
  assert.equal(await pty.kill(handle.pid), true)
  await assert.rejects(handle.wait(), CommandExitError)
  assert.equal(handle.exitCode, -1)
  assert.equal(await pty.kill(handle.pid), false)
})

test('a second connection sees new output', async () => {
  const { handle, text } = await open()
  await type(handle, "echo fi''rst")
  await text.has('first\r\n')
  const more = new Transcript()
  const second = await pty.connect(handle.pid, { onData: more.add })
  assert.equal(second.pid, handle.pid)
  await type(second, "echo sec''ond")
  await more.has('second\r\n')
  await text.has('second\r\n')
  await type(second, 'exit 0')
  assert.equal((await second.wait()).exitCode, 0)
  assert.equal((await handle.wait()).exitCode, 0)
})

test('reconnect after disconnect', async () => {
  const { handle, text } = await open()
  await type(handle, "echo fi''rst")
  await text.has('first\r\n')
  await handle.disconnect()
  const more = new Transcript()
  const second = await pty.connect(handle.pid, { onData: more.add })
  await type(second, "echo sec''ond; exit 0")
  assert.equal((await second.wait()).exitCode, 0)
  await more.has('second\r\n')
})

test('stdin calls are refused', async () => {
  const { handle } = await open()
  await assert.rejects(commands.sendStdin(handle.pid, 'x'), /tty assigned to process/)
  await assert.rejects(commands.closeStdin(handle.pid), /cannot close stdin for PTY process/)
})

test('terminal calls on a plain command', async () => {
  const handle = await commands.run('exec sleep 300', { background: true })
  await assert.rejects(pty.sendInput(handle.pid, encoder.encode('x')), SandboxError)
  await assert.rejects(pty.resize(handle.pid, { cols: 1, rows: 1 }), /tty not assigned to process/)
  await handle.kill()
  await assert.rejects(handle.wait(), CommandExitError)
})

test('unknown pid', async () => {
  await assert.rejects(pty.sendInput(999_999, encoder.encode('x')), NotFoundError)
  await assert.rejects(pty.resize(999_999, { cols: 1, rows: 1 }), NotFoundError)
  assert.equal(await pty.kill(999_999), false)
})
