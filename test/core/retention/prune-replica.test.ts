import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { type LtxFileInfo, ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { planRetention } from '../../../src/core/retention/plan-retention.ts'
import { pruneReplica } from '../../../src/core/retention/prune-replica.ts'
import type { CallOptions, DeleteFailure, DeleteOptions } from '../../../src/core/store/index.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { DAY, fileAt, HOUR, MINUTE, names, START } from './listing.ts'
import { reachable, wantedStates } from './retention-oracle.ts'

/** Notes what is deleted, in order; fails or ends where a test says so. */
class DeletingStore extends MemoryObjectStore {
  readonly batches: string[][] = []
  readonly denied = new Set<string>()
  /** Deletions before the process is cut off. */
  left = Number.POSITIVE_INFINITY

  override async delete(key: string, options?: DeleteOptions): Promise<void> {
    if (this.left-- <= 0) throw new Error('the process was killed')
    if (this.denied.has(key)) throw new StoreError('PermissionDenied', 'no', { op: 'delete', key })
    await super.delete(key, options)
  }

  override async *deleteMany(
    keys: Iterable<string>,
    options?: CallOptions,
  ): AsyncIterable<DeleteFailure> {
    const batch = [...keys]
    this.batches.push(batch)
    // One after the other, so that a cut leaves a prefix.
    for (const key of batch) {
      try {
        await this.delete(key, options)
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        yield { key, error }
      }
    }
  }
}

async function replicaOf(files: readonly LtxFileInfo[]): Promise<{
  readonly store: DeletingStore
  readonly client: ReplicaClient
}> {
  const store = new DeletingStore()
  for (const { key } of files) await store.put(key, new Uint8Array(10))
  return { store, client: new ReplicaClient(store, 'ltx') }
}

const at = (n: number): number => START + n * MINUTE
const history = [
  fileAt(9, 1, 1, START),
  ...Array.from({ length: 60 }, (_, i) => fileAt(0, i + 2, i + 2, at(i + 2))),
  ...[2, 12, 22, 32].map((n) => fileAt(1, n, n + 9, at(n + 9))),
  fileAt(2, 2, 21, at(21)),
  fileAt(9, 1, 30, at(30), 3000),
  fileAt(9, 1, 45, at(45), 3000),
]
const policy = { levelKeepMs: [HOUR, DAY], keepForMs: DAY, minObjectAgeMs: 0 }
const now = at(61) + DAY + 30 * MINUTE

describe('pruneReplica', () => {
  it('deletes the newest transactions first, and full copies last', async () => {
    const { store, client } = await replicaOf(history)
    const remove = [
      fileAt(9, 1, 1, START),
      fileAt(0, 3, 3, START),
      fileAt(9, 1, 30, START),
      fileAt(1, 12, 21, START),
      fileAt(0, 21, 21, START),
    ]
    const { deleted, failures } = await pruneReplica(client, { remove })
    expect(failures).toEqual([])
    expect(names(deleted)).toEqual(['0:21-21', '1:12-21', '0:3-3', '9:1-30', '9:1-1'])
    expect(store.batches).toEqual([deleted.map(({ key }) => key)])
  })

  it('leaves everything wanted restorable wherever it is cut off, and finishes the next time', async () => {
    const plan = planRetention(history, policy, now)
    const wanted = wantedStates(history, policy, now)
    expect(plan.remove.length).toBeGreaterThan(30)
    for (let cut = 0; cut <= plan.remove.length; cut++) {
      const { store, client } = await replicaOf(history)
      store.left = cut
      await pruneReplica(client, plan).catch(() => undefined)
      const keys = new Set((await client.list()).map(({ key }) => key))
      const rest = history.filter(({ key }) => keys.has(key))
      expect(rest).toHaveLength(history.length - cut)
      const states = reachable(rest)
      expect([...wanted].filter((state) => !states.has(state))).toEqual([])
      // What the cut left of the rest is no debris: it can be restored as well.
      expect(rest.filter(({ maxTxid }) => !states.has(maxTxid))).toEqual([])
      store.left = Number.POSITIVE_INFINITY
      await pruneReplica(client, planRetention(rest, policy, now))
      expect((await client.list()).map(({ key }) => key).sort()).toEqual(
        plan.keep.map(({ key }) => key).sort(),
      )
    }
  })

  it('reports what could not be deleted, and deletes the rest', async () => {
    const { store, client } = await replicaOf(history)
    const plan = planRetention(history, policy, now)
    const [denied, ...others] = plan.remove as [LtxFileInfo, ...LtxFileInfo[]]
    store.denied.add(denied.key)
    const { deleted, failures } = await pruneReplica(client, plan)
    expect(failures).toMatchObject([{ key: denied.key, error: { code: 'PermissionDenied' } }])
    expect(names(deleted).sort()).toEqual(names(others).sort())
    expect(await client.head(denied.level, denied.minTxid, denied.maxTxid)).toBeDefined()
  })

  it('checks before each batch whether it may still delete, and reports each batch', async () => {
    const many = Array.from({ length: 2500 }, (_, i) => fileAt(0, i + 2, i + 2, START))
    const { store, client } = await replicaOf(many)
    const told: number[] = []
    let asked = 0
    const work = pruneReplica(
      client,
      { remove: many },
      {
        assertCurrent: async () => {
          asked++
          if (asked === 3) throw new Error('fenced')
        },
        onDeleted: (files) => told.push(files.length),
      },
    )
    await expect(work).rejects.toThrow('fenced')
    expect(told).toEqual([1000, 1000])
    expect(store.batches.map((batch) => batch.length)).toEqual([1000, 1000])
    expect(await client.list()).toHaveLength(500)
  })

  it('deletes nothing after an abort, and sends no request for an empty plan', async () => {
    const { store, client } = await replicaOf(history)
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(pruneReplica(client, { remove: history }, { signal })).rejects.toThrow('enough')
    const assertCurrent = async (): Promise<void> => {
      throw new Error('asked')
    }
    expect(await pruneReplica(client, { remove: [] }, { assertCurrent })).toEqual({
      deleted: [],
      failures: [],
    })
    expect(store.batches).toEqual([])
  })
})
