import type { DrillEvent } from '../drill/index.ts'
import type { TXID } from '../ltx/index.ts'
import { ReplicaError } from '../replica/replica-error.ts'
import type { FencedError } from '../replica/writer-claim/fenced-error.ts'
import type { RetentionBlock } from '../retention/plan-retention.ts'
import { type DeleteFailure, isStoreError } from '../store/index.ts'
import type { VerifyEvent } from '../verify/verify-schedule.ts'

export { FencedError, type FencedErrorCode } from '../replica/writer-claim/fenced-error.ts'

/** What happens to one database. Core prints nothing: the caller decides what to show. */
export type EngineEvent = { readonly database: string } & (
  | MaintenanceEvent
  | VerifyEvent
  | DrillEvent
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
  /** `-wal` or `-shm` was removed while an application was running. */
  | { readonly type: 'files-removed'; readonly reason: string }
  /** A snapshot follows at once. */
  | { readonly type: 'chain-broken'; readonly reason: string }
  | { readonly type: 'adopted'; readonly txid: TXID }
  /** The database was closed until its files change. */
  | { readonly type: 'idle' }
  /** An idle database was opened again. `proven`: the WAL continues the known state; otherwise all pages were compared, and `pages` of them had changed. */
  | { readonly type: 'reopened'; readonly proven: boolean; readonly pages: number }
  | {
      readonly type: 'store-error' | 'database-error'
      /** What failed. It counts as failing until the same work succeeds. */
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
  | {
      /** A change went to the spool. */
      readonly type: 'spooling'
      readonly txid: TXID
      readonly spoolBytes: number
      readonly reason: SpoolReason
      /** For this reason, the first since the spool was empty. */
      readonly isFirst: boolean
    }
  | { readonly type: 'spool-full'; readonly spoolBytes: number; readonly maxBytes: number }
  /** Reported once until the spool can be written again. Uploads continue; meanwhile the WAL grows. */
  | { readonly type: 'spool-failed'; readonly error: unknown; readonly retryInMs: number }
  | { readonly type: 'spool-recovered'; readonly files: number }
  | { readonly type: 'spool-ignored'; readonly path: string; readonly reason: string }
  | { readonly type: 'claimed'; readonly epoch: number }
  | {
      /** Older writers, the newest of them with epoch `from`, lost the slot `txid`. Host, pid and start come from that writer's claim. */
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

/** The reason of a `chain-broken` event. */
export const CHAIN_BROKEN = 'the replica has no complete chain to its newest TXID'

/** Reports an event of a database whose name is filled in. */
export type Emit = (event: DistributiveOmit<EngineEvent, 'database'>) => void

type DistributiveOmit<T, K extends keyof T> = T extends unknown ? Omit<T, K> : never

/** What compaction and retention did. */
export type MaintenanceEvent =
  | {
      readonly type: 'compacted'
      readonly level: number
      /** Files merged into one. */
      readonly files: number
      readonly minTxid: TXID
      readonly maxTxid: TXID
      /** Size of the inputs, and of the file they were merged into. */
      readonly bytesBefore: number
      readonly bytesAfter: number
    }
  | { readonly type: 'pruned'; readonly files: number; readonly bytes: number }
  /** Nothing is deleted for now. Reported once each time this begins. */
  | { readonly type: 'retention-blocked'; readonly reason: RetentionBlock }
  /** Some objects could not be deleted. It is retried. */
  | {
      readonly type: 'delete-failed'
      readonly failures: readonly DeleteFailure[]
      readonly retryInMs: number
    }
  /** An object that cannot be compacted (`CompactionError`) is left as it is and skipped from now on. */
  | { readonly type: 'object-avoided'; readonly error: unknown }
  /** The failures of `maintenance-error` and `delete-failed` are over. */
  | { readonly type: 'maintenance-recovered' }
  /** Everything is retried after a pause. */
  | { readonly type: 'maintenance-error'; readonly error: unknown; readonly retryInMs: number }

/**
 * Kinds of work for one database, most important first. Each can fail on its own, and only its own
 * success ends the failure. `replication` covers opening, capturing, finding the replica's end, and
 * bases.
 */
export const WORKS = [
  'replication',
  'upload',
  'checkpoint',
  'spool',
  'snapshot',
  'upkeep',
  'verification',
  'drill',
] as const
export type Work = (typeof WORKS)[number]

/**
 * Why changes go to the spool: the store does not keep up, or the application writes faster than
 * checkpoints copy, for moments.
 */
export type SpoolReason = 'store-behind' | 'writer-ahead'

/** The work that an event reports as failed, and the error. */
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
    case 'drill-failed':
      return { work: 'drill', error: new Error(`the restore drill failed: ${event.failures[0]}`) }
    case 'drill-not-run':
      return { work: 'drill', error: event.error }
    default:
      return undefined
  }
}

/** The kinds of work that an event proves to succeed again. */
export function successIn(event: EngineEvent): readonly Work[] {
  switch (event.type) {
    case 'store-recovered':
    case 'database-recovered':
      return [event.during]
    case 'resumed':
      return ['replication']
    case 'base':
      // Pending files whose upload failed may have been dropped in favour of the base.
      return ['replication', 'upload']
    case 'synced':
    case 'adopted':
      // What is in the store no longer needs the spool.
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
    case 'drill-passed':
      return ['drill']
    default:
      return []
  }
}

/** The event for an error that will be retried. The type says whether the store or the database is at fault. */
export function failureEvent(during: Work, error: unknown, retryInMs: number) {
  const isFromStore = isStoreError(error) || error instanceof ReplicaError
  const type = isFromStore ? ('store-error' as const) : ('database-error' as const)
  return { type, during, error, retryInMs }
}

export function messageOf(error: unknown): string {
  return error instanceof Error || isStoreError(error) ? error.message : String(error)
}
