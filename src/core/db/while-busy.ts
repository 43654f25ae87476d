import { setTimeout as delay } from 'node:timers/promises'
import { DatabaseError } from './database-error.ts'

const ATTEMPTS = 30
/** In milliseconds. Each attempt waits for a moment itself. */
const PAUSE_MS = 250

/**
 * Tries again for some ten seconds while another connection holds the database exclusively: the last
 * connection that an application closes copies the whole log under that lock, and so does a recovery
 * of the log after a crash.
 *
 * @throws what `attempt` throws, `Busy` after the last attempt; the signal's reason
 */
export async function whileBusy<T>(attempt: () => T, signal: AbortSignal | undefined): Promise<T> {
  for (let left = ATTEMPTS; ; left--) {
    try {
      return attempt()
    } catch (error) {
      if (!isBusy(error) || left === 1) throw error
    }
    await delay(PAUSE_MS, undefined, { signal })
  }
}

/** Does another connection hold the database exclusively? */
export function isBusy(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === 'Busy'
}
