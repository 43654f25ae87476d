import type { EngineEvent } from '../../core/engine/events.ts'

/** Events of the fleet, in addition to those of the engine. */
export type FleetEvent =
  | EngineEvent
  | ({ readonly database: string; readonly path: string } & (
      | { readonly type: 'database-added' }
      | {
          /** There was no file, and the newest state of the replica was restored. */
          readonly type: 'restored'
          readonly txid: bigint | undefined
          readonly stateAt: Date | undefined
          readonly bytes: number
          readonly ms: number
        }
      | {
          /**
           * Another process on this file system replicates the same file, and this one waits until
           * it ends.
           */
          readonly type: 'standby'
          readonly pid: number | undefined
          readonly host: string | undefined
          readonly since: Date | undefined
        }
      | {
          /** The wait is over, and this process replicates the file. */
          readonly type: 'handed-over'
          readonly waitedMs: number
          /** The other process had not ended within `--take-over-after`. */
          readonly isForced: boolean
        }
      | {
          readonly type: 'database-removed'
          /** It is restarted with other settings. */
          readonly isChanged: boolean
          /** There is no longer a file at its path. */
          readonly isGone: boolean
          /** Everything that was committed is in the store. */
          readonly isComplete: boolean
          readonly error?: unknown
        }
    ))
