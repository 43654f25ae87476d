import type { EngineEvent } from '../../core/engine/events.ts'

/** What happens to the databases as a whole, beside what the engine tells of each. */
export type FleetEvent =
  | EngineEvent
  | ({ readonly database: string; readonly path: string } & (
      | { readonly type: 'database-added' }
      | {
          /** There was no file: the newest state of its replica is in place. */
          readonly type: 'restored'
          readonly txid: bigint | undefined
          readonly stateAt: Date | undefined
          readonly bytes: number
          readonly ms: number
        }
      | {
          /** Another process on this file system replicates the same file, and this one waits for its end. */
          readonly type: 'standby'
          readonly pid: number | undefined
          readonly host: string | undefined
          readonly since: Date | undefined
        }
      | {
          /** The wait is over, and this process replicates. */
          readonly type: 'handed-over'
          readonly waitedMs: number
          /** The other process had not ended within `--take-over-after`. */
          readonly isForced: boolean
        }
      | {
          readonly type: 'database-removed'
          /** It is started again, with other settings. */
          readonly isChanged: boolean
          /** There is no file at its path any more. */
          readonly isGone: boolean
          /** Everything that was committed is in the store. */
          readonly isComplete: boolean
          readonly error?: unknown
        }
    ))
