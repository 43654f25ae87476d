import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { MemoryObjectStore } from '../../src/backends/memory/index.ts'
import type { RestoreTarget } from '../../src/core/restore/restore-target.ts'
import type { ObjectInfo } from '../../src/core/store/index.ts'
import { LegacyError, type LegacyPlan, restoreLegacy } from '../../src/legacy/index.ts'
import { live, type OldLife, steps } from './old-life.ts'
import { digestAt } from './old-source.ts'

const folder = mkdtempSync(join(tmpdir(), 'walsync-legacy-model-'))
const output = join(folder, 'out.db')
afterAll(() => rmSync(folder, { recursive: true }))

/** More of them, when the rules change: WALSYNC_MODEL_RUNS=10000. */
const RUNS = Number(process.env.WALSYNC_MODEL_RUNS ?? 120)
const LATEST: RestoreTarget = { kind: 'latest' }
const rows = fc.constantFrom(0, 40)
const unit = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
/** How many restores ended with each grade: a property that is never put to the test holds always. */
const tally = new Map<string, number>()

async function judge(
  { states, store }: OldLife,
  target: RestoreTarget,
): Promise<{ readonly plan: LegacyPlan; readonly state: number } | undefined> {
  rmSync(output, { force: true })
  let plan: LegacyPlan
  try {
    ;({ plan } = await restoreLegacy(store, 'app', target, output, { integrityCheck: 'none' }))
  } catch (error) {
    if (error instanceof LegacyError) return undefined
    throw error
  }
  tally.set(plan.grade, (tally.get(plan.grade) ?? 0) + 1)
  const digest = digestAt(output)
  const state = digest === undefined ? -1 : states.lastIndexOf(digest)
  if (plan.grade !== 'unverifiable') expect(state).toBeGreaterThanOrEqual(0)
  return { plan, state }
}

/** Takes an object away, or changes one bit of it. */
async function damage(store: MemoryObjectStore, which: number, where: number): Promise<void> {
  const objects: ObjectInfo[] = []
  for await (const object of store.list()) objects.push(object)
  const { key, size, createdAt } = objects[Math.floor(which * objects.length)] as ObjectInfo
  if (where < 0.3) return store.delete(key)
  const chunks: Uint8Array[] = []
  for await (const chunk of (await store.get(key)).body) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  const at = Math.floor(((where - 0.3) / 0.7) * size)
  bytes[at] = (bytes[at] as number) ^ (1 << (Math.floor(which * 1000) % 8))
  await store.put(key, bytes, { createdAt })
}

describe('a database that walsync 0.1 watched, whatever the application did', () => {
  it('is called exact only if it held exactly this, and complete only up to the last upload', {
    timeout: Math.max(120_000, RUNS * 400),
  }, async () => {
    await fc.assert(
      fc.asyncProperty(rows, steps, unit, unit, unit, async (before, all, when, which, where) => {
        const life = await live(join(folder, 'source.db'), before, all)
        const latest = await judge(life, LATEST)
        if (latest?.plan.grade === 'complete') {
          expect(latest.state).toBeGreaterThanOrEqual(life.stored)
        }
        const span = life.end.getTime() - life.begin.getTime()
        const time = new Date(life.begin.getTime() + when * span)
        const then = await judge(life, { kind: 'time', time })
        if (then !== undefined) expect(then.plan.upTo.getTime()).toBeLessThanOrEqual(time.getTime())

        await damage(life.store, which, where)
        const damaged = await judge(life, LATEST)
        // A log that was uploaded anew from its beginning can be gone without that state.json tells.
        const anew = all.some((one) => one.do === 'lose state')
        if (damaged?.plan.grade === 'complete' && !anew) {
          expect(damaged.state).toBeGreaterThanOrEqual(life.stored)
        }
      }),
      { numRuns: RUNS },
    )
    for (const grade of ['complete', 'truncated', 'unverifiable']) {
      expect(tally.get(grade)).toBeGreaterThan(RUNS / 20)
    }
  })
})
