import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { reachableTxids } from '../../../src/core/restore/reachable-states.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'
import { verifyReplica } from '../../../src/core/verify/index.ts'
import { type ChainFile, putChain } from '../restore/chain.ts'

const PAGE_SIZE = 512
const LAST = 9

/** One commit: the size of the database after it, and which of its pages it changes, as bits. */
const anyCommit = fc.record({
  pages: fc.integer({ min: 1, max: 8 }),
  changed: fc.integer({ min: 0, max: 255 }),
})

/** Changes, merged files and snapshots with any overlaps, and with holes that others may cover. */
const anyFiles = fc.uniqueArray(
  fc
    .record({
      level: fc.constantFrom(0, 0, 0, 0, 1, 2, 9),
      min: fc.integer({ min: 2, max: LAST }),
      length: fc.integer({ min: 1, max: 5 }),
    })
    .map(({ level, min, length }): ChainFile => {
      if (level === 9) return { level, min: 1, max: min }
      return { level, min, max: level === 0 ? min : Math.min(LAST, min + length) }
    }),
  { maxLength: 16, selector: ({ level, min, max }) => `${level} ${min} ${max}` },
)

/** The database after each commit. Pages that a commit adds are always new. */
function statesOf(commits: readonly { pages: number; changed: number }[]): Buffer[] {
  let state = Buffer.alloc(0)
  return commits.map(({ pages, changed }, n) => {
    const next = Buffer.alloc(pages * PAGE_SIZE)
    state.copy(next)
    for (let page = 0; page < pages; page++) {
      const isNew = page * PAGE_SIZE >= state.length
      if (isNew || (changed & (1 << page)) !== 0) next.writeUInt32BE(n + 1, page * PAGE_SIZE)
    }
    state = next
    return next
  })
}

it('calls every replica of one history good, and what it calls restorable is restored', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'walsync-one-history-'))
  const output = join(folder, 'out.db')
  const seen = { states: 0, overlaps: 0 }
  const anyHistory = fc.array(anyCommit, { minLength: LAST, maxLength: LAST })
  await fc.assert(
    fc.asyncProperty(anyHistory, anyFiles, async (commits, files) => {
      const states = statesOf([{ ...commits[0]!, pages: 3 }, ...commits.slice(1)])
      const client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
      await putChain(client, states, PAGE_SIZE, [{ level: 9, min: 1, max: 1 }, ...files])
      const { restorable, defects } = await verifyReplica(client)
      const codes = new Set(defects.map(({ code }) => code))
      codes.delete('Gap')
      expect([...codes]).toEqual([])
      const listed = await client.list()
      for (const state of reachableTxids(listed)) {
        expect(restorable.some(({ from, to }) => from <= state && state <= to)).toBe(true)
        rmSync(output, { force: true })
        const target = { kind: 'txid', txid: state } as const
        await restoreReplica(client, target, output, { integrityCheck: 'none' })
        expect(readFileSync(output).equals(states[Number(state) - 1]!)).toBe(true)
        seen.states++
      }
      const inside = files.filter(({ level, min, max }) => {
        return (
          level > 0 && level < 9 && files.some((f) => f.level === 9 && min <= f.max && max > f.max)
        )
      })
      seen.overlaps += inside.length
    }),
    { numRuns: 60 },
  )
  rmSync(folder, { recursive: true })
  expect(seen.states).toBeGreaterThan(100)
  expect(seen.overlaps).toBeGreaterThan(5)
}, 30_000)
