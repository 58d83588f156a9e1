// commands.run: arguments, environment, results.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as disk from './disk.mjs'
import {
  AuthenticationError, CommandExitError, InvalidArgumentError, TimeoutError,
  homeFolder, sandbox, scratch, untilGone,
} from './sdk.mjs'

const { commands } = sandbox
const AWKWARD = [
  'plain',
  `it's "quoted" \`twice\``,
  '$HOME $(id) \\n %s !#&|;<>*?',
  'ünïcödé ✓ 日本語 🎉',
  'first\nsecond\n\nfourth',
  '\ttab and trailing blank ',
]

test('result of success', async () => {
  const result = await commands.run('echo out; echo err >&2')
  assert.equal(result.exitCode, 0)
  assert.equal(result.error, undefined)
  assert.equal(result.stdout, 'out\n')
  assert.equal(result.stderr, 'err\n')
})

for (const word of AWKWARD) {
  test(`text arrives unchanged: ${JSON.stringify(word)}`, async () => {
    const result = await commands.run('printf %s "$WORD"', { envs: { WORD: word } })
    assert.equal(result.stdout, word)
  })
  test(`script arrives unchanged: ${JSON.stringify(word)}`, async () => {
    const result = await commands.run(`cat <<'END-OF-WORD'\n${word}\nEND-OF-WORD`)
    assert.equal(result.stdout, `${word}\n`)
  })
}

for (const code of [1, 2, 126, 127, 255]) {
  test(`exit ${code} throws with output`, async () => {
    await assert.rejects(commands.run(`echo out; echo err >&2; exit ${code}`), (error) => {
      assert.ok(error instanceof CommandExitError)
      assert.equal(error.exitCode, code)
      assert.equal(error.error, `exit status ${code}`)
      assert.equal(error.stdout, 'out\n')
      assert.equal(error.stderr, 'err\n')
      return true
    })
  })
}

test('unknown command', async () => {
  await assert.rejects(commands.run('no-such-command-anywhere'), (error) => {
    assert.equal(error.exitCode, 127)
    assert.match(error.stderr, /no-such-command-anywhere/)
    return true
  })
})

test('death by signal', async () => {
  await assert.rejects(commands.run('kill -SEGV $$'), (error) => {
    assert.equal(error.exitCode, -1)
    assert.match(error.error, /^signal: segmentation fault/)
    return true
  })
})

test('envs are scoped to one command', async () => {
  const first = await commands.run('echo ${SCOPED-unset}', { envs: { SCOPED: 'set' } })
  const second = await commands.run('echo ${SCOPED-unset}')
  assert.deepEqual([first.stdout, second.stdout], ['set\n', 'unset\n'])
})

test('environment of root', async () => {
  assert.equal((await commands.run('echo $HOME $USER $LOGNAME')).stdout, '/root root root\n')
})

test('user', async () => {
  const result = await commands.run('id -un; echo $USER', { user: 'nobody', cwd: '/' })
  assert.equal(result.stdout, 'nobody\nnobody\n')
})

test('unknown user', async () => {
  await assert.rejects(commands.run('true', { user: 'no-such-user' }), AuthenticationError)
})

test('cwd', async () => {
  const cwd = scratch()
  assert.equal((await commands.run('pwd -P', { cwd })).stdout, `${cwd}\n`)
})

test('cwd within home', async () => {
  const folder = homeFolder()
  for (const cwd of [folder, `~/${folder}`]) {
    assert.equal((await commands.run('pwd -P', { cwd })).stdout, `/root/${folder}\n`)
  }
})

test('missing cwd', async () => {
  const cwd = `${scratch()}/missing`
  await assert.rejects(commands.run('true', { cwd }), (error) => {
    assert.ok(error instanceof InvalidArgumentError)
    assert.match(error.message, /does not exist/)
    return true
  })
})

test('timeout', async () => {
  const file = `${scratch()}/pid`
  await assert.rejects(
    commands.run(`echo $$ >${file}; exec sleep 300`, { timeoutMs: 1000 }), TimeoutError)
  await untilGone(Number(disk.text(file)))
})

test('no timeout', async () => {
  assert.equal((await commands.run('echo done', { timeoutMs: 0 })).stdout, 'done\n')
})

test('stdin is empty by default', async () => {
  assert.equal((await commands.run('cat; echo at end')).stdout, 'at end\n')
})

test('many at the same time', async () => {
  const numbers = Array.from({ length: 20 }, (_, n) => n)
  const results = await Promise.all(numbers.map((n) => commands.run(`echo ${n}`)))
  assert.deepEqual(results.map((result) => result.stdout), numbers.map((n) => `${n}\n`))
})
