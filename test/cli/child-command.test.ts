import { describe, expect, it } from 'vitest'
import { splitChildCommand } from '../../src/cli/child-command.ts'

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
