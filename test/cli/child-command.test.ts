import { describe, expect, it } from 'vitest'
import { refuseMissingChild, splitChildCommand } from '../../src/cli/args/child-command.ts'
import { UsageError } from '../../src/cli/args/usage-error.ts'

describe('splitChildCommand', () => {
  it('cuts the application off at the first --', () => {
    expect(
      splitChildCommand(['--json', 'watch', 'a.db', '--', 'node', 'app.js', '--', '-x']),
    ).toEqual({
      own: ['--json', 'watch', 'a.db'],
      child: ['node', 'app.js', '--', '-x'],
    })
  })

  it('leaves other commands alone', () => {
    const argv = ['restore', '-b', 'x', '--', '-odd-name']
    expect(splitChildCommand(argv)).toEqual({ own: argv, child: [] })
  })

  it('has no application without --', () => {
    expect(splitChildCommand(['watch', 'a.db']).child).toEqual([])
  })
})

describe('refuseMissingChild', () => {
  const check = (...argv: string[]) => refuseMissingChild(argv, splitChildCommand(argv))

  it('refuses -- without a command after it, as an empty variable would leave it', () => {
    expect(() => check('watch', 'a.db', '--')).toThrow(UsageError)
  })

  it('accepts an application, no application, and -- with other commands', () => {
    check('watch', 'a.db', '--', 'node')
    check('watch', 'a.db')
    check('restore', '--')
  })
})
