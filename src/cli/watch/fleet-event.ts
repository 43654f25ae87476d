import type { EngineEvent } from '../../core/engine/events.ts'

/** What happens to the databases as a whole, beside what the engine tells of each. */
export type FleetEvent =
  | EngineEvent
  | ({ readonly database: string; readonly path: string } & (
      | { readonly type: 'database-added' }
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
