import { statSync, truncateSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { epochOf } from '../../src/core/replica/writer-claim/claim-rules.ts'
import { filesOf, putTransactions, replicaIn } from './replica-folder.ts'
import { runCli, scratchFolder } from './run-cli.ts'

const folder = scratchFolder()
const cwd = folder.path
const root = join(cwd, 'replicas')
/** An hour that is over. */
const HOUR = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 7_200_000
const seconds = (...list: number[]): number[] => list.map((second) => HOUR + second * 1000)

const compact = (...words: string[]) => runCli(['compact', ...words, '-b', './replicas'], { cwd })

beforeAll(async () => {
  await putTransactions(replicaIn(root, 'app'), seconds(0, 1, 2, 3, 31, 32, 33, 301, 302, 303))
  await putTransactions(replicaIn(root, 'bad'), seconds(0, 1, 2, 3, 4, 5, 6))
  const bad = join(root, 'bad/ltx/0/0000000000000004-0000000000000004.ltx')
  const { mtime } = statSync(bad)
  truncateSync(bad, 150)
  utimesSync(bad, mtime, mtime)
  await putTransactions(replicaIn(root, 'late'), [HOUR, HOUR + 1, HOUR + 400_000])
})
afterAll(() => folder.remove())

describe('compact', () => {
  it('shows with --dry-run what would be merged, and merges nothing', async () => {
    const before = await filesOf(replicaIn(root, 'app'))
    const { code, stdout, stderr } = await compact('app', '--dry-run')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(
      /^app: would be merged\nLEVEL +FILES +BECOME +BEFORE\n +1 +9 +3 +[\d.]+ k?B\n +2 +2 +1 .*\n +3 +2 +1 .*\n$/,
    )
    expect(await filesOf(replicaIn(root, 'app'))).toEqual(before)
  })

  it('merges level by level, and has nothing to do the next time', async () => {
    const { code, stdout, stderr } = await compact('app')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^app: merged\nLEVEL +FILES +BECOME +BEFORE +AFTER\n +1 +9 +3 /)
    const files = await filesOf(replicaIn(root, 'app'))
    expect(files.filter((name) => !name.startsWith('0:'))).toEqual([
      '1:2-4',
      '1:5-7',
      '1:8-10',
      '2:2-7',
      '3:2-10',
      '9:1-1',
    ])
    expect(files).toHaveLength(15)
    expect((await compact('app')).stdout).toBe('app: nothing to merge.\n')
  })

  it('writes as one that has claimed nothing: its files must not pass for those of an epoch', async () => {
    const client = replicaIn(root, 'app')
    const merged = (await client.list()).filter(({ level }) => level > 0 && level < 9)
    expect(merged.length).toBeGreaterThan(0)
    for (const file of merged) {
      const { nodeId } = await client.readHeader(file)
      expect({ epoch: epochOf(nodeId), isNamed: nodeId > 0n }).toEqual({ epoch: 0, isNamed: true })
    }
  })

  it('names an object that cannot be merged, merges the rest, and ends with 5', async () => {
    const { code, stdout } = await compact('--all', '--json', '--levels', '30s')
    expect(code).toBe(5)
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.map(({ name }) => name)).toEqual(['app', 'bad', 'late'])
    expect(lines[1]).toMatchObject({
      dryRun: false,
      levels: [{ level: 1, files: 5, merged: 2 }],
      avoided: [
        { code: 'DamagedObject', message: expect.stringContaining('ltx/0/0000000000000004') },
      ],
    })
    expect(await filesOf(replicaIn(root, 'bad'))).toEqual(
      expect.arrayContaining(['1:2-3', '1:5-7', '0:4-4']),
    )
  })

  it('says when there will be something to merge', async () => {
    const { stdout } = await compact('late', '--levels', '1s,2s,1y')
    expect(stdout).toMatch(
      /^late: nothing to merge\.\n2 files wait for the end of an interval, at \S+Z or later\.\n$/,
    )
  })

  it.each([
    [['nothing'], 6, 'app, bad, late'],
    [['app', 'nothing'], 6, 'There is no database "nothing"'],
    [[], 2, 'Give names, or --all'],
    [['app', '--all'], 2, '--all means every replica'],
    [['app', '--levels', 'none'], 2, '--levels none'],
  ])('refuses %j with %d', async (words, code, message) => {
    const result = await compact(...words)
    expect(result.code).toBe(code)
    expect(result.stderr).toContain(message)
    expect(result.stdout).toBe('')
  })
})
