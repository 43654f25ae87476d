import type { TXID } from '../../ltx/index.ts'
import type { RetentionBlock } from '../../retention/plan-retention.ts'
import type { DeleteFailure } from '../../store/index.ts'

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
