import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeWithServers } from '../servers/server-path.ts'
import { type CliEnd, runJson } from './e2e-cli.ts'
import { E2eFolder, type FoundDatabase } from './e2e-folder.ts'
import type { E2eStore, E2eStoreKind } from './e2e-stores.ts'
import { Watcher } from './e2e-watcher.ts'

/** Databases by the way in which they are written to. */
const LOADS = { plain: 200, rough: 50 } as const
const NAMES = ['plain', 'rough'] as const
/** Where many restores are needed: what is restored is checked by the test itself in any case. */
const UNCHECKED = ['--integrity-check', 'none']
type Name = (typeof NAMES)[number]

/** One moment under load, noted from outside. */
interface Moment {
  readonly time: Date
  /** Rows that a restore had found in the store before the moment. */
  readonly shippedRows: number
  /** Rows that were committed at the moment, or a few milliseconds after it. */
  readonly committedRows: number
  readonly acknowledged: bigint
}

interface Listed {
  readonly databases: readonly {
    readonly name: string
    readonly snapshots: number
    readonly files: number
    readonly restorable: { readonly from: string; readonly to: string }
    readonly gaps: readonly unknown[]
  }[]
}

/**
 * One watcher, two databases under load, a SIGKILL in between; then everything that a user gets back:
 * the latest state, a time, a TXID. The same body for every store.
 */
export function watchKillRestore(kind: E2eStoreKind): void {
  describeWithServers(kind.needs, `watch under load, kill and restore on ${kind.name}`, () => {
    let folder: E2eFolder
    const moments = new Map<Name, Moment>()
    const sources = new Map<Name, FoundDatabase>()
    let store: E2eStore
    let watcher: Watcher
    let end: CliEnd

    const restore = (name: Name, ...words: string[]) =>
      folder.restore(name, ['-b', store.url, ...words], { env: store.env() })

    const watch = async () => {
      const files = NAMES.map((name) => `${name}.db`)
      const every = ['--sync-interval', '250ms', '--snapshot-interval', '3s']
      watcher = new Watcher([...files, '-b', store.url, ...every], {
        cwd: folder.path,
        env: store.env(),
      })
      await watcher.started(NAMES)
    }

    const note = async (name: Name): Promise<Moment> => {
      const rows = folder.rows(name)
      let shippedRows = 0
      for (let tries = 0; shippedRows < rows; tries++) {
        if (tries === 20) throw new Error(`${rows} rows of ${name} are still not in the store`)
        shippedRows = (await restore(name, ...UNCHECKED)).rows
      }
      const acknowledged = watcher.acknowledged(name)
      const time = new Date()
      return { time, shippedRows, acknowledged, committedRows: folder.rows(name) }
    }

    beforeAll(async () => {
      folder = new E2eFolder()
      store = await kind.start()
      for (const name of NAMES) folder.create(name)
      await watch()
      for (const name of NAMES) folder.startWriter(name, LOADS[name], name)
      for (const name of NAMES) await folder.grown(name, 0)
      await delay(1500)

      await watcher.kill()
      await delay(500)
      await watch()
      await delay(500)

      await Promise.all(NAMES.map(async (name) => moments.set(name, await note(name))))
      await delay(1500)

      for (const name of NAMES) await folder.stopWriter(name)
      // While the watcher has them open: the first to open them later would count a commit whose frames
      // were written, but not published, when the writer was killed.
      for (const name of NAMES) sources.set(name, folder.source(name))
      end = await watcher.stop()
    })

    afterAll(async () => {
      await watcher?.dispose()
      await folder?.dispose()
      await store?.stop()
    })

    it('ends with 0 after the final sync', () => {
      expect(end).toMatchObject({ code: 0, signal: null })
    })

    it('lists both databases without a gap up to the last TXID that was acknowledged', async () => {
      const where = { cwd: folder.path, env: store.env() }
      const { databases } = await runJson<Listed>(['list', '-b', store.url], where)
      expect(databases.map(({ name }) => name)).toEqual([...NAMES])
      for (const { name, gaps, restorable, snapshots, files } of databases) {
        expect(gaps).toEqual([])
        expect(BigInt(`0x${restorable.to}`)).toBe(watcher.acknowledged(name))
        expect(snapshots).toBeGreaterThanOrEqual(1)
        expect(files).toBeGreaterThan(5)
      }
    })

    describe.each(NAMES)('%s load', (name) => {
      it('latest equals the source, row by row', async () => {
        const source = sources.get(name)!
        const latest = await restore(name)
        expect(latest.problems).toEqual([])
        expect(latest.rows).toBe(source.rows)
        expect(latest.all === source.all).toBe(true)
        expect(source.rows).toBeGreaterThan(moments.get(name)!.committedRows)
      })

      it('a time has every row that was shipped before it, and none that was committed after', async () => {
        const { time, shippedRows, committedRows, acknowledged } = moments.get(name)!
        const then = await restore(name, '--point-in-time', time.toISOString(), ...UNCHECKED)
        expect(then.problems).toEqual([])
        expect(shippedRows).toBeGreaterThan(0)
        expect(then.rows).toBeGreaterThanOrEqual(shippedRows)
        expect(then.rows).toBeLessThanOrEqual(committedRows)
        expect(then.txid).toBeGreaterThanOrEqual(acknowledged)
      })

      it('a TXID is exactly that state', async () => {
        const { acknowledged, committedRows } = moments.get(name)!
        const then = await restore(name, '--txid', `0x${acknowledged.toString(16)}`, ...UNCHECKED)
        expect(then.problems).toEqual([])
        expect(then.txid).toBe(acknowledged)
        expect(then.rows).toBeGreaterThan(0)
        expect(then.rows).toBeLessThanOrEqual(committedRows)
      })
    })
  })
}
