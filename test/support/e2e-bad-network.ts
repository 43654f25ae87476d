import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.ts'
import { describeWithServers } from '../servers/server-path.ts'
import { type CliEnd, runJson } from './e2e-cli.ts'
import { E2eFolder, type FoundDatabase, type Restored } from './e2e-folder.ts'
import type { HttpStore, HttpStoreKind } from './e2e-stores.ts'
import { Watcher } from './e2e-watcher.ts'

/** Several, because each has one upload at a time: the faults come three times as fast. */
const NAMES = ['one', 'two', 'three'] as const
/** What a put can meet; `bodyCut` needs an answer with a body, which restores and lists get. */
const PUT_FAULTS = [
  'unavailable',
  'serverError',
  'resetBefore',
  'answerLost',
  'slow',
  'hang',
] as const
const OUTAGE_MS = 5000
const ATTEMPT_MS = 1000

/** A restore while the watcher goes on, and what had been acknowledged before it began. */
interface Between {
  readonly acknowledged: bigint
  readonly restored: Restored
}

interface Listed {
  readonly databases: readonly {
    readonly name: string
    readonly restorable: { readonly to: string }
    readonly gaps: readonly unknown[]
  }[]
}

/**
 * A fifth of all requests fails from the first to the last, and for a while all do: every kind of
 * fault must have struck, or the test says that it showed nothing.
 */
export function badNetwork(kind: HttpStoreKind): void {
  describeWithServers(kind.needs, `a network on a bad day before ${kind.name}`, () => {
    let folder: E2eFolder
    const between: Between[] = []
    const sources = new Map<string, FoundDatabase>()
    let store: HttpStore
    let proxy: FaultProxy
    let watcher: Watcher
    let end: CliEnd
    let rowsInOutage = 0

    const where = () => ({ env: store.env(proxy.url), attemptTimeoutMs: ATTEMPT_MS })
    const restore = (name: string, ...words: string[]) =>
      folder.restore(name, ['-b', store.url, ...words], where())

    const restoreBetween = async (name: string) => {
      const acknowledged = watcher.acknowledged(name)
      const restored = await restore(name, '--integrity-check', 'none')
      between.push({ acknowledged, restored })
    }

    const outage = async () => {
      const [name] = NAMES
      const rows = folder.rows(name)
      const recovered = watcher.count('store-recovered')
      proxy.outage(true)
      await delay(OUTAGE_MS)
      rowsInOutage = folder.rows(name) - rows
      proxy.outage(false)
      await watcher.until(
        'every database is shipped again',
        () => watcher.count('store-recovered') >= recovered + NAMES.length,
      )
    }

    beforeAll(async () => {
      folder = new E2eFolder()
      store = await kind.start()
      proxy = await startFaultProxy(store.endpoint, kind.dialect)
      proxy.random({ seed: Date.now() })
      for (const name of NAMES) folder.create(name)
      const files = NAMES.map((name) => `${name}.db`)
      watcher = new Watcher([...files, '-b', store.url, '--sync-interval', '100ms'], {
        cwd: folder.path,
        ...where(),
      })
      for (const name of NAMES) folder.startWriter(name, 30)
      await watcher.started(NAMES)

      await outage()
      await watcher.until(
        'each kind of fault has struck a put',
        () => PUT_FAULTS.every((fault) => proxy.randomCounts()[fault] > 0),
        45_000,
      )
      while (between.length < 2 || (proxy.randomCounts().bodyCut === 0 && between.length < 20)) {
        await restoreBetween(NAMES[between.length % NAMES.length]!)
      }

      for (const name of NAMES) await folder.stopWriter(name)
      end = await watcher.stop()
      for (const name of NAMES) sources.set(name, folder.source(name))
    })

    afterAll(async () => {
      await watcher?.dispose()
      await folder?.dispose()
      await proxy?.close()
      await store?.stop()
    })

    it('each kind of fault struck, a fifth of the requests in all, and the outage refused some', () => {
      const counts = proxy.randomCounts()
      for (const [fault, count] of Object.entries(counts)) {
        expect(count, `inconclusive: no ${fault}`).toBeGreaterThan(0)
      }
      const struck = Object.values(counts).reduce((sum, count) => sum + count, 0)
      const requests = proxy.faults.requestCount()
      expect(requests).toBeGreaterThan(50)
      expect(struck / requests).toBeGreaterThan(0.1)
      expect(struck / requests).toBeLessThan(0.35)
      expect(proxy.outageCount(), 'inconclusive: the outage met no request').toBeGreaterThan(0)
      expect(rowsInOutage, 'inconclusive: nothing was written in the outage').toBeGreaterThan(10)
    })

    it('the watcher told of the outage and of its end, and never ended by itself', () => {
      expect(watcher.count('store-error')).toBeGreaterThanOrEqual(NAMES.length)
      const outages = watcher.events.flatMap(({ outageMs }) => outageMs ?? [])
      expect(Math.max(...outages)).toBeGreaterThan(OUTAGE_MS * 0.8)
      expect(watcher.count('fenced')).toBe(0)
      expect(end).toMatchObject({ code: 0, signal: null })
    })

    it('nothing acknowledged was missing in between', () => {
      expect(between.length).toBeGreaterThan(0)
      for (const { acknowledged, restored } of between) {
        expect(restored.problems).toEqual([])
        expect(acknowledged).toBeGreaterThan(1n)
        expect(restored.txid).toBeGreaterThanOrEqual(acknowledged)
      }
    })

    it('lists every database without a gap up to what was acknowledged', async () => {
      const { databases } = await runJson<Listed>(['list', '-b', store.url], {
        cwd: folder.path,
        ...where(),
      })
      expect(databases.map(({ name }) => name)).toEqual([...NAMES].sort())
      for (const { name, gaps, restorable } of databases) {
        expect(gaps).toEqual([])
        expect(BigInt(`0x${restorable.to}`)).toBe(watcher.acknowledged(name))
      }
    })

    describe.each(NAMES)('database %s', (name) => {
      it('is restored as the source is, row by row', async () => {
        const source = sources.get(name)!
        const latest = await restore(name)
        expect(latest.problems).toEqual([])
        expect(latest.rows).toBe(source.rows)
        expect(latest.all === source.all).toBe(true)
        expect(latest.txid).toBe(watcher.acknowledged(name))
      })
    })
  })
}
