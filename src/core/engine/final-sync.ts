import { Backoff } from '../async/backoff.ts'
import type { Wakeup } from '../async/wakeup.ts'
import { type CommittedEnd, DatabaseError } from '../db/index.ts'
import type { DatabaseReplicator } from './database-replicator.ts'
import { FencedError } from './events.ts'
import type { Shipper } from './upload/shipper.ts'

/** How long the final sync follows an application that keeps writing, in milliseconds. */
const FINAL_SYNC_MS = 5000
/** How often to check whether an upload has ended, in milliseconds. */
const TICK_MS = 25

/**
 * Ships what has been committed so far, retrying while the store fails, until `signal` aborts.
 *
 * @returns whether everything is in the store
 * @throws FencedError
 */
export async function finalSync(
  database: DatabaseReplicator | undefined,
  shipper: Shipper,
  wakeup: Wakeup,
  signal: AbortSignal,
  now: () => number,
): Promise<boolean> {
  const until = now() + FINAL_SYNC_MS
  const backoff = new Backoff()
  const late = aborted(signal)
  let end: CommittedEnd | undefined
  while (!signal.aborted) {
    const startedAt = now()
    let waitMs = 0
    shipper.startNext(startedAt)
    if (shipper.pending.length > 0) {
      waitMs = Math.max(TICK_MS, shipper.untilRetry(startedAt))
    } else {
      try {
        // What was committed by now must be stored, however late it is.
        end ??= database?.source.capture.committedEnd()
        const isEnough =
          startedAt > until &&
          end !== undefined &&
          database?.source.capture.hasCaptured(end) === true
        if (database === undefined || (await isDone(database, startedAt, isEnough, signal))) {
          // The last upload may not have removed its file from the spool yet.
          await shipper.uploadEnded()
          return true
        }
      } catch (error) {
        waitMs = await pauseAfter(error, database, backoff)
      }
    }
    await Promise.race([wakeup.sleep(waitMs), late])
  }
  return false
}

/** Captures what is left. Returns true if there was nothing. */
async function isDone(
  database: DatabaseReplicator,
  now: number,
  isEnough: boolean,
  signal: AbortSignal,
): Promise<boolean> {
  if (database.needsPreparing) return (await database.prepare(signal)) === 'empty'
  return isEnough || !(await database.capture(now))
}

async function pauseAfter(
  error: unknown,
  database: DatabaseReplicator | undefined,
  backoff: Backoff,
): Promise<number> {
  if (error instanceof FencedError) throw error
  if (error instanceof DatabaseError && error.code === 'ContinuityLost') {
    await database?.loseContinuity(error.message)
    return 0
  }
  return backoff.next()
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
