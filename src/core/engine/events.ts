import type { TXID } from '../ltx/index.ts'
import type { FencedError } from '../replica/writer-claim/fenced-error.ts'
import type { VerifyEvent } from '../verify/verify-schedule.ts'
import type { MaintenanceEvent } from './upkeep/maintenance-event.ts'
import type { Work } from './work.ts'

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
  | { readonly type: 'rested' }
  /** `proven`: the WAL continues what was known; else all pages were compared, and `pages` had changed. */
  | { readonly type: 'woken'; readonly proven: boolean; readonly pages: number }
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
