import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileObjectStore } from '../../../src/backends/file/index.ts'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { encodeLtx, txid } from '../../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import type { RestoreProgress } from '../../../src/core/restore/apply-plan.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'
import type { RestoreError } from '../../../src/core/restore/restore-error.ts'
import type { RestoreTarget } from '../../../src/core/restore/restore-target.ts'
import { growingStates, headerOf, level0, putChain, timeOfTxid } from './chain.ts'

const LATEST: RestoreTarget = { kind: 'latest' }
const PAGE_SIZE = 1024
const states = growingStates(20, PAGE_SIZE)

let folder: string
let output: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync restore-'))
  mkdirSync(join(folder, 'out'))
  output = join(folder, 'out', 'app.db')
})
afterEach(() => rmSync(folder, { recursive: true }))

describe.each([
  { name: 'memory', layout: 'hex' as const },
  { name: 'file', layout: 'ltx' as const },
])('restore from a $name store', ({ name, layout }) => {
  const newClient = (): ReplicaClient =>
    new ReplicaClient(
      name === 'memory'
        ? new MemoryObjectStore()
        : new FileObjectStore({ root: join(folder, 'a replica') }),
      layout,
    )

  it('restores every TXID and every time byte for byte, through shrinking and growing', async () => {
    const client = newClient()
    await putChain(client, states, PAGE_SIZE, level0(1, 20))
    for (let n = 1; n <= 20; n++) {
      const target: RestoreTarget =
        n % 2 === 0 ? { kind: 'txid', txid: txid(n) } : { kind: 'time', time: timeOfTxid(n + 0.5) }
      const result = await restoreReplica(client, target, output, { force: n > 1 })
      expect(readFileSync(output).equals(states[n - 1] as Buffer)).toBe(true)
      expect(result.plan.txid).toBe(BigInt(n))
      expect(result.time).toEqual(timeOfTxid(n))
      expect(result.bytes).toBe(states[n - 1]?.length)
      expect(result.avoided).toEqual([])
    }
    expect(readdirSync(join(folder, 'out'))).toEqual(['app.db'])
  })

  it('uses compactions and snapshots, and skips what they make superfluous', async () => {
    const client = newClient()
    await putChain(client, states, PAGE_SIZE, [
      ...level0(13, 20),
      { level: 1, min: 6, max: 9 },
      { level: 1, min: 10, max: 15 },
      { level: 2, min: 2, max: 9 },
      { level: 9, min: 1, max: 4 },
    ])
    for (const n of [4, 9, 15, 20]) {
      await restoreReplica(client, { kind: 'txid', txid: txid(n) }, output, { force: n > 4 })
      expect(readFileSync(output).equals(states[n - 1] as Buffer)).toBe(true)
    }
  })
})

describe('restore', () => {
  const newClient = (): ReplicaClient => new ReplicaClient(new MemoryObjectStore(), 'ltx')

  it('reads no file before a base that was taken in the middle of the chain', async () => {
    const client = newClient()
    await putChain(client, states, PAGE_SIZE, [...level0(1, 6), ...level0(8, 8)])
    const base = states[6] as Buffer
    const commit = base.length / PAGE_SIZE
    const pages = Array.from({ length: commit }, (_, i) => ({
      pgno: i + 1,
      data: base.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE),
    }))
    const file = { level: 0, min: 7, max: 7 }
    await client.put(0, txid(7), txid(7), encodeLtx(headerOf(file, PAGE_SIZE, commit), pages), {
      createdAt: timeOfTxid(7),
    })
    const result = await restoreReplica(client, LATEST, output)
    expect(readFileSync(output).equals(states[7] as Buffer)).toBe(true)
    expect(result).toMatchObject({ filesRead: 2, filesSkipped: 6 })
  })

  it('creates a file with the mode of the umask, and reports progress to the end', async () => {
    const client = newClient()
    await putChain(client, states, PAGE_SIZE, level0(1, 5))
    const reports: RestoreProgress[] = []
    await restoreReplica(client, LATEST, output, { onProgress: (report) => reports.push(report) })
    expect(statSync(output).mode & 0o777).toBe(0o666 & ~process.umask())
    const read = reports.filter((report) => report.phase === 'read')
    expect(read[0]).toMatchObject({ bytesDone: 0, filesDone: 0, filesTotal: 5 })
    expect(read.at(-1)).toMatchObject({ filesDone: 5, bytesDone: read[0]?.bytesTotal })
    expect(reports.at(-1)?.phase).toBe('check')
    for (const [i, report] of read.slice(1).entries()) {
      expect(report.bytesDone).toBeGreaterThanOrEqual(read[i]?.bytesDone as number)
    }
  })

  it('from any mixture of levels and overlaps gives exactly the requested state, or none', async () => {
    const file = fc
      .tuple(fc.nat({ max: 9 }), fc.integer({ min: 1, max: 20 }), fc.nat({ max: 8 }))
      .map(([level, min, length]) => ({ level, min, max: Math.min(min + length, 20) }))
    const files = fc.uniqueArray(file, {
      selector: ({ level, min, max }) => `${level} ${min} ${max}`,
      minLength: 4,
      maxLength: 30,
    })
    let restored = 0
    await fc.assert(
      fc.asyncProperty(files, fc.integer({ min: 1, max: 20 }), async (tiling, n) => {
        const client = newClient()
        await putChain(
          client,
          states,
          PAGE_SIZE,
          [{ level: 9, min: 1, max: 3 }, ...tiling].filter(
            ({ level, min, max }, i, all) =>
              all.findIndex((f) => f.level === level && f.min === min && f.max === max) === i,
          ),
        )
        rmSync(output, { force: true })
        try {
          await restoreReplica(client, { kind: 'txid', txid: txid(n) }, output, {
            integrityCheck: 'none',
          })
        } catch (error) {
          expect(['Gap', 'TargetNotReachable']).toContain((error as RestoreError).code)
          return
        }
        restored++
        expect(readFileSync(output).equals(states[n - 1] as Buffer)).toBe(true)
      }),
      { numRuns: 150 },
    )
    expect(restored).toBeGreaterThan(20)
  }, 120_000)

  it('refuses a parallelism below 1', async () => {
    const restoring = restoreReplica(newClient(), LATEST, output, { parallelism: 0 })
    await expect(restoring).rejects.toThrow(RangeError)
  })
})
