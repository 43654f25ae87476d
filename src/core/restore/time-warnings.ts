import { formatTxid, type TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { byEnd } from './reachable.ts'

/** How far a store's clock and a writer's may differ before the difference says anything, in milliseconds. */
const CLOCK_TOLERANCE_MS = 5 * 60_000

/** A state with the two times that are known of it. */
export interface TimedState {
  readonly txid: TXID
  /** By the writer's clock: what a target time is compared with. */
  readonly time: Date
  /** By the store's clock: when the object was there. */
  readonly storedAt: Date
}

/** Of the files with one end, the lowest level was made first and has the transaction's own time. */
export function firstOfEach(files: readonly LtxFileInfo[]): LtxFileInfo[] {
  return byEnd(files).map((group) =>
    group.reduce((lowest, file) => (file.level < lowest.level ? file : lowest)),
  )
}

/**
 * Why a restore to a time may not give the state that was meant. A writer's times never run
 * backwards along TXIDs, so after a run with the clock ahead all states have times to come until the
 * clock has caught up: a target time then leads to the last state before that run. That state is
 * the newest one known to be in time, but no proof that none came after it.
 *
 * @param states with known times, by ascending TXID
 * @param files by ascending TXID: may hold more states than `states`
 */
export function timeWarnings(
  states: readonly TimedState[],
  files: readonly LtxFileInfo[],
  chosen: TXID,
  target: Date,
  now: Date,
): string[] {
  const warnings: string[] = []
  const next = states.find(({ txid }) => txid > chosen)
  if (next !== undefined && isAhead(next, now)) {
    const { txid, time, storedAt } = next
    const ahead =
      time > now ? 'is still to come' : `was stored at ${storedAt.toISOString()} already`
    warnings.push(
      `TXID ${formatTxid(txid)}, after the restored state, has the time ${time.toISOString()}, which ${ahead}: the clock was ahead when it was written. It and later states may be older than they say, and belong to ${target.toISOString()}. ${advice(files, chosen, target)}`,
    )
  }
  const late = states.find(({ txid, time }) => txid < chosen && time > target)
  if (late !== undefined) {
    warnings.push(
      `Times disagree with the order of the states: TXID ${formatTxid(late.txid)}, before the restored state ${formatTxid(chosen)}, has the later time ${late.time.toISOString()}. ${advice(files, chosen, target)}`,
    )
  }
  return warnings
}

function isAhead({ time, storedAt }: TimedState, now: Date): boolean {
  return time > now || time.getTime() > storedAt.getTime() + CLOCK_TOLERANCE_MS
}

/** The store's own times say which states were there by then, if the objects were not copied since. */
function advice(files: readonly LtxFileInfo[], chosen: TXID, target: Date): string {
  const stored = files.findLast(({ lastModified }) => lastModified <= target)
  const other =
    stored === undefined || stored.maxTxid <= chosen
      ? ''
      : ` By the store's own times, TXID ${formatTxid(stored.maxTxid)} was the newest there by then.`
  return `--txid names a state for sure.${other}`
}
