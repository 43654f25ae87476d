import { planCompaction } from '../../../src/core/compaction/plan-compaction.ts'
import type { LtxFileInfo } from '../../../src/core/replica/replica-client.ts'
import { lastTxid } from '../../../src/core/restore/reachable-states.ts'
import { planRestore } from '../../../src/core/restore/restore-plan.ts'
import { planRetention, type RetentionPlan } from '../../../src/core/retention/plan-retention.ts'
import type { RetentionPolicy } from '../../../src/core/retention/retention-policy.ts'
import { listed, START } from './listing.ts'

export interface ModelOptions {
  readonly levels: readonly number[]
  readonly policy: RetentionPolicy
  /** Does the store list the times that files stand for? */
  readonly timesListed: boolean
  readonly snapshotBytes: number
}

/** A restore that goes by an older listing. */
export interface RunningRestore {
  readonly begun: number
  readonly txid: bigint
  readonly files: readonly LtxFileInfo[]
}

/** A replica's listing as a watcher's life makes it, in virtual time: no bytes, only names, sizes and times. */
export class ReplicaModel {
  files: LtxFileInfo[] = []
  now = START
  /** Time of each commit; TXID n is at n - 1. */
  readonly commits: number[] = []
  restores: RunningRestore[] = []
  readonly #options: ModelOptions

  constructor(options: ModelOptions) {
    this.#options = options
    this.commits.push(this.now)
    this.#store(9, 1, 1, this.now, options.snapshotBytes)
  }

  wait(ms: number): void {
    this.now += ms
  }

  commit(bytes: number): void {
    this.commits.push(this.now)
    const txid = this.commits.length
    this.#store(0, txid, txid, this.now, bytes)
  }

  snapshot(): void {
    const txid = this.commits.length
    if (this.files.some(({ level, maxTxid }) => level === 9 && maxTxid === BigInt(txid))) return
    this.#store(9, 1, txid, this.now, this.#options.snapshotBytes)
  }

  /** Merges what is due. Returns the files that each merge read, in order. */
  compact(): { readonly level: number; readonly files: readonly LtxFileInfo[] }[] {
    return this.#options.levels.flatMap((intervalMs, i) => {
      const level = i + 1
      const steps = planCompaction(this.files, level, { intervalMs, now: this.now })
      const due = steps.filter(({ dueAt }) => dueAt <= this.now)
      for (const { files, minTxid, maxTxid, bytes } of due) {
        const last = files.at(-1) as LtxFileInfo
        const time = (last.createdAt ?? last.lastModified).getTime()
        this.#store(level, Number(minTxid), Number(maxTxid), time, Math.ceil(bytes * 0.7))
      }
      return due
    })
  }

  /** Plans, and deletes those of the removable files that `chosen` says. */
  prune(chosen: (index: number) => boolean): RetentionPlan {
    const plan = planRetention(this.files, this.#options.policy, this.now)
    const gone = new Set(plan.remove.filter((_, i) => chosen(i)))
    this.files = this.files.filter((file) => !gone.has(file))
    return plan
  }

  /** Begins a restore of the newest state, or of one that the policy wants. */
  restore(nth: number): void {
    const { restorePoints } = planRetention(this.files, this.#options.policy, this.now)
    const wanted = restorePoints.filter(({ why }) => why.length > 0)
    const txid = nth === 0 ? lastTxid(this.files) : wanted[nth % wanted.length]?.txid
    if (txid === undefined) return
    const { files } = planRestore(this.files, { kind: 'txid', txid })
    this.restores.push({ begun: this.now, txid, files })
  }

  /** TXID of the last commit not later than a time; 0 for none. */
  commitAt(time: number): number {
    return this.commits.findLastIndex((at) => at <= time) + 1
  }

  #store(level: number, min: number, max: number, time: number, size: number): void {
    const createdAt = this.#options.timesListed ? time : undefined
    this.files.push(listed(level, min, max, { size, createdAt, lastModified: this.now }))
  }
}
