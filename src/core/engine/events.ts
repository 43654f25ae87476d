import type { TXID } from '../ltx/index.ts'
import { ReplicaError } from '../replica/replica-error.ts'
import type { FencedError } from '../replica/writer-claim/fenced-error.ts'
import type { RetentionBlock } from '../retention/plan-retention.ts'
import { type DeleteFailure, isStoreError } from '../store/index.ts'
import type { VerifyEvent } from '../verify/verify-schedule.ts'

export { FencedError, type FencedErrorCode } from '../replica/writer-claim/fenced-error.ts'

/** What happens to one database. Core prints nothing: whoever composes decides what to show. */
export type EngineEvent = { readonly database: string } & (
  | MaintenanceEvent
  | VerifyEvent
  | { readonly type: 'waiting'; readonly reason: string }
  | { readonly type: 'resumed'; readonly txid: TXID; readonly proof: 'wal' | 'checksum' }
  | {
      readonly type: 'base'
      readonly txid: TXID
      readonly reason: string
      readonly bytes: number
      readonly pages: number
      readonly ms: number
    }
  | {
      readonly type: 'synced'
      readonly txid: TXID
      readonly bytes: number
      readonly pages: number
      readonly ms: number
    }
  | {
      readonly type: 'snapshot'
      readonly txid: TXID
      readonly bytes: number
      readonly pages: number
      readonly ms: number
    }
  | {
      readonly type: 'checkpoint'
      readonly walBytes: number
      readonly complete: boolean
      readonly guarded: boolean
    }
  | { readonly type: 'continuity-lost'; readonly reason: string }
  /** `-wal` or `-shm` was removed under a running application. */
  | { readonly type: 'files-removed'; readonly reason: string }
  /** A full snapshot follows at once. */
  | { readonly type: 'chain-broken'; readonly reason: string }
  | { readonly type: 'adopted'; readonly txid: TXID }
  /** Nothing of the database is held open any more, until something happens to its files. */
  | { readonly type: 'idle' }
  /** `proven`: the WAL continues what was known; else all pages were compared, and `pages` had changed. */
  | { readonly type: 'reopened'; readonly proven: boolean; readonly pages: number }
  | {
      readonly type: 'store-error' | 'database-error'
      /** What failed; it fails until the same goes on. */
      readonly during: Work
      readonly error: unknown
      readonly retryInMs: number
    }
  | {
      readonly type: 'store-recovered' | 'database-recovered'
      readonly during: Work
      readonly outageMs: number
    }
  | { readonly type: 'wal-over-limit'; readonly walBytes: number; readonly reason: string }
  | { readonly type: 'spooling'; readonly txid: TXID; readonly spoolBytes: number }
  | { readonly type: 'spool-full'; readonly spoolBytes: number; readonly maxBytes: number }
  /** Told once until it can be written again. Uploads go on; meanwhile the WAL grows. */
  | { readonly type: 'spool-failed'; readonly error: unknown; readonly retryInMs: number }
  | { readonly type: 'spool-recovered'; readonly files: number }
  | { readonly type: 'spool-ignored'; readonly path: string; readonly reason: string }
  | { readonly type: 'claimed'; readonly epoch: number }
  | {
      /** Older writers, of which `from` is the newest epoch, have lost the slot `txid`. Who that was, where its claim says so. */
      readonly type: 'took-over'
      readonly txid: TXID
      readonly epoch: number
      readonly from: number
      readonly host: string | undefined
      readonly pid: number | undefined
      readonly since: Date | undefined
    }
  | { readonly type: 'not-released'; readonly epoch: number; readonly error: unknown }
  | { readonly type: 'fenced'; readonly error: FencedError }
)

/** Why a `chain-broken` was told. */
export const CHAIN_BROKEN = 'the replica has no complete chain to its newest TXID'

/** Tells an event of a database whose name the teller knows. */
export type Emit = (event: DistributiveOmit<EngineEvent, 'database'>) => void

type DistributiveOmit<T, K extends keyof T> = T extends unknown ? Omit<T, K> : never

/** What became of a replica's upkeep. Core prints nothing: whoever composes decides what to show. */
export type MaintenanceEvent =
  | {
      readonly type: 'compacted'
      readonly level: number
      /** Files merged into one. */
      readonly files: number
      readonly minTxid: TXID
      readonly maxTxid: TXID
      /** Of the files, and of the one that they became. */
      readonly bytesBefore: number
      readonly bytesAfter: number
    }
  | { readonly type: 'pruned'; readonly files: number; readonly bytes: number }
  /** Nothing is deleted for now; told once each time that it begins. */
  | { readonly type: 'retention-blocked'; readonly reason: RetentionBlock }
  /** Some objects could not be deleted; they are tried again. */
  | {
      readonly type: 'delete-failed'
      readonly failures: readonly DeleteFailure[]
      readonly retryInMs: number
    }
  /** An object that is in the way of compaction (`CompactionError`): it is left, and worked around. */
  | { readonly type: 'object-avoided'; readonly error: unknown }
  /** What failed before does not any more, of `maintenance-error` and `delete-failed`. */
  | { readonly type: 'maintenance-recovered' }
  /** Everything is tried again after a pause. */
  | { readonly type: 'maintenance-error'; readonly error: unknown; readonly retryInMs: number }

/**
 * What is done for one database. Each can fail by itself, and only its own success ends its failure.
 * In the order in which their errors matter. `replication`: opening, capturing, finding the replica's end, bases.
 */
export const WORKS = [
  'replication',
  'upload',
  'checkpoint',
  'spool',
  'snapshot',
  'upkeep',
  'verification',
] as const
export type Work = (typeof WORKS)[number]

/** Which work an event tells the failure of, and why. */
export function failureIn(event: EngineEvent): { work: Work; error: unknown } | undefined {
  switch (event.type) {
    case 'store-error':
    case 'database-error':
      return { work: event.during, error: event.error }
    case 'spool-failed':
      return { work: 'spool', error: event.error }
    case 'maintenance-error':
      return { work: 'upkeep', error: event.error }
    case 'delete-failed':
      return { work: 'upkeep', error: event.failures[0]?.error }
    case 'verify-failed':
      return { work: 'verification', error: event.error }
    case 'damage-found': {
      const what = event.defects[0]?.message ?? 'it has defects'
      return { work: 'verification', error: new Error(`the replica is ${event.verdict}: ${what}`) }
    }
    default:
      return undefined
  }
}

/** Which work an event proves to go on. */
export function successIn(event: EngineEvent): readonly Work[] {
  switch (event.type) {
    case 'store-recovered':
    case 'database-recovered':
      return [event.during]
    case 'resumed':
      return ['replication']
    case 'base':
      // Pending files whose upload failed may have been given up for it.
      return ['replication', 'upload']
    case 'synced':
    case 'adopted':
      // What is in the store needs no spool.
      return ['upload', 'spool']
    case 'spooling':
      return ['spool']
    case 'checkpoint':
      return ['checkpoint']
    case 'snapshot':
      return ['snapshot']
    case 'maintenance-recovered':
      return ['upkeep']
    case 'verified':
      return event.defects === 0 ? ['verification'] : []
    default:
      return []
  }
}

/** The event of an error that is tried again: whose fault it is decides who has to do something. */
export function failureEvent(during: Work, error: unknown, retryInMs: number) {
  const isFromStore = isStoreError(error) || error instanceof ReplicaError
  const type = isFromStore ? ('store-error' as const) : ('database-error' as const)
  return { type, during, error, retryInMs }
}

export function messageOf(error: unknown): string {
  return error instanceof Error || isStoreError(error) ? error.message : String(error)
}
