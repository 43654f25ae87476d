import assert from 'node:assert/strict'
import type { ObjectStore } from '../core/store/index.ts'
import type { FaultControl, FaultTarget } from './faults.ts'
import type { ContractHarness, ContractLimits, ContractRetry } from './harness.ts'

const LIMITS: Required<{ [Name in keyof ContractLimits]: number }> = {
  bigObjectBytes: 64 * 1024 * 1024,
  manyKeys: 10_000,
  deleteKeys: 2501,
  pageSize: 1000,
  partBytes: 8 * 1024 * 1024,
  raceRounds: 50,
}

/** What a case works with: its own store, further clients of the same objects, and the harness. */
export class CaseContext {
  readonly harness: ContractHarness
  readonly prefix: string
  readonly store: ObjectStore
  readonly #opened: ObjectStore[]

  private constructor(harness: ContractHarness, prefix: string, store: ObjectStore) {
    this.harness = harness
    this.prefix = prefix
    this.store = store
    this.#opened = [store]
  }

  static async open(harness: ContractHarness, prefix: string): Promise<CaseContext> {
    harness.faults?.reset()
    return new CaseContext(harness, prefix, await harness.open(prefix))
  }

  /** Another client of the same objects, or of those under `below`. Closed with the case. */
  async client(below?: string): Promise<ObjectStore> {
    return this.own(await this.harness.open(below ? `${this.prefix}/${below}` : this.prefix))
  }

  /** Registers a store to be closed at the end of the case. */
  own(store: ObjectStore): ObjectStore {
    this.#opened.push(store)
    return store
  }

  /** For cases that need `faults`. */
  get faults(): FaultControl {
    assert.ok(this.harness.faults, 'the harness has no faults')
    return this.harness.faults
  }

  /** For cases that need `retry`. */
  get retry(): ContractRetry {
    assert.ok(this.harness.retry, 'the harness has no retry')
    return this.harness.retry
  }

  limit(name: keyof ContractLimits): number {
    return this.harness.limits?.[name] ?? LIMITS[name]
  }

  /** Asserts that `work` sends exactly this many requests, if the harness can count them. */
  async sends(requests: number, work: () => Promise<unknown>, on?: FaultTarget): Promise<void> {
    const before = this.harness.faults?.requestCount(on) ?? 0
    await work()
    const sent = (this.harness.faults?.requestCount(on) ?? 0) - before
    if (this.harness.faults !== undefined) {
      assert.equal(sent, requests, `expected ${requests} requests, ${sent} were sent`)
    }
  }

  /**
   * Removes the case's objects and closes its stores. Best effort: the case has been decided
   * already.
   */
  async end(): Promise<void> {
    this.harness.faults?.reset()
    try {
      const cleaner = await this.harness.open(this.prefix)
      this.#opened.push(cleaner)
      const keys: string[] = []
      for await (const { key } of cleaner.list()) keys.push(key)
      for await (const _ of cleaner.deleteMany(keys));
    } catch {}
    await Promise.all(this.#opened.map((store) => store.close().catch(() => {})))
  }
}
