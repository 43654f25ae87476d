import { MemoryObjectStore } from '../src/backends/memory/index.ts'
import { compactLtx, type TXID, txid } from '../src/core/ltx/index.ts'
import { type LtxFileInfo, ReplicaClient } from '../src/core/replica/replica-client.ts'
import type { VirtualClock } from './virtual-clock.ts'

const SECOND = 1000
const LEVELS = [30 * SECOND, 300 * SECOND, 3600 * SECOND]
const L0_RETENTION = 300 * SECOND
const L0_CHECK = 15 * SECOND
const SNAPSHOT_RETENTION = 24 * 3600 * SECOND

/**
 * What Litestream 0.5 does by default with a stream of level-0 files, as its sources say: levels at
 * multiples of 30 seconds, 5 minutes and an hour, each from the one below and from TXID 1 on; level 0
 * kept for 5 minutes once it is in level 1; snapshots and what they make superfluous for 24 hours.
 * The merges are real, the rules are a simulation.
 */
export class LitestreamRules {
  readonly #clock: VirtualClock
  readonly #client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
  #files: LtxFileInfo[] = []
  #puts = 0

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  /** The first level-0 file is the whole database. */
  async base(bytes: Uint8Array): Promise<void> {
    await this.#put(0, txid(1n), txid(1n), bytes)
  }

  /** One sync, and whatever its second makes due. */
  async change(n: number, bytes: Uint8Array): Promise<void> {
    await this.#put(0, txid(BigInt(n)), txid(BigInt(n)), bytes)
    const now = this.#clock.now
    for (const [index, interval] of LEVELS.entries()) {
      if (now % interval === 0) await this.#compact(index + 1)
    }
    if (now % L0_CHECK === 0) await this.#expireLevelZero(now)
  }

  async snapshot(n: number, bytes: Uint8Array): Promise<void> {
    await this.#put(9, txid(1n), txid(BigInt(n)), bytes)
    const limit = this.#clock.now - SNAPSHOT_RETENTION
    const expired = this.#files.filter((f) => f.level === 9 && f.createdAt!.getTime() < limit)
    const floor = expired.at(-1)?.maxTxid ?? 0n
    await this.#delete([
      ...expired,
      ...this.#files.filter(({ level, maxTxid }) => level > 0 && level < 9 && maxTxid < floor),
    ])
  }

  async summary() {
    const perLevel: Record<number, number> = {}
    for (const { level } of this.#files) perLevel[level] = (perLevel[level] ?? 0) + 1
    const bytes = this.#files.reduce((sum, { size }) => sum + size, 0)
    const megabytes = Math.round(bytes / 1e5) / 10
    return { objects: this.#files.length, megabytes, perLevel, puts: this.#puts }
  }

  async #compact(level: number): Promise<void> {
    const done = this.#last(level)
    const inputs = this.#files
      .filter((file) => file.level === level - 1 && file.minTxid > done)
      .sort((a, b) => Number(a.minTxid - b.minTxid))
    const [first, last] = [inputs[0], inputs.at(-1)]
    if (first === undefined || last === undefined) return
    const chunks: Uint8Array[] = []
    for await (const chunk of compactLtx(inputs.map((file) => this.#client.open(file)))) {
      chunks.push(chunk)
    }
    await this.#put(level, first.minTxid, last.maxTxid, Buffer.concat(chunks))
  }

  async #expireLevelZero(now: number): Promise<void> {
    const merged = this.#last(1)
    await this.#delete(
      this.#files.filter(
        ({ level, maxTxid, createdAt }) =>
          level === 0 && maxTxid <= merged && createdAt!.getTime() < now - L0_RETENTION,
      ),
    )
  }

  #last(level: number): bigint {
    let last = 0n
    for (const file of this.#files) {
      if (file.level === level && file.maxTxid > last) last = file.maxTxid
    }
    return last
  }

  async #put(level: number, min: TXID, max: TXID, bytes: Uint8Array): Promise<void> {
    const createdAt = new Date(this.#clock.now)
    this.#files.push(await this.#client.put(level, min, max, bytes, { createdAt }))
    this.#puts++
  }

  async #delete(files: readonly LtxFileInfo[]): Promise<void> {
    if (files.length === 0) return
    const gone = new Set(files)
    this.#files = this.#files.filter((file) => !gone.has(file))
    await this.#client.delete(files)
  }
}
