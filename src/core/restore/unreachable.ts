import { formatTxid, type TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { lastTxid, reach, restorableTo, timeOf } from './reachable.ts'
import { RestoreError, restorableSentence } from './restore-error.ts'
import { type RestoreTarget, renderTarget } from './restore-target.ts'

/** The error that says why no chain of files ends with `wanted`, and how far one gets. */
export function unreachable(
  files: readonly LtxFileInfo[],
  target: RestoreTarget,
  wanted: TXID,
): RestoreError {
  const point = restorableTo(files, wanted)
  const gap = gapBefore(files, wanted, point?.txid ?? 0n)
  if (gap !== undefined) {
    const missing = `${formatTxid(gap.from)} to ${formatTxid(gap.to)}`
    const message = `No file holds the TXIDs ${missing}, so ${renderTarget(target)} cannot be restored. ${restorableSentence(point)}`
    const hint =
      point === undefined
        ? 'Restore from another copy of the replica.'
        : `Restore with --txid ${formatTxid(point.txid)}, or look for the missing files in another copy of the replica.`
    return new RestoreError('Gap', message, { hint, restorableTo: point })
  }
  const last = lastTxid(files)
  if (wanted > last) {
    const message = `The replica ends at TXID ${formatTxid(last)}, before ${renderTarget(target)}. ${restorableSentence(point)}`
    const hint = 'Leave the target out for the latest state.'
    return new RestoreError('TargetNotReachable', message, { hint, restorableTo: point })
  }
  if (point === undefined) return tooEarly(files, target)
  const after = reach(files).find((state) => state > wanted)
  const next = after === undefined ? '' : ` The next state is TXID ${formatTxid(after)}.`
  const message = `No file ends with TXID ${formatTxid(wanted)}: its neighbours were merged. ${restorableSentence(point)}${next}`
  const hint = 'Choose one of the states on either side.'
  return new RestoreError('TargetNotReachable', message, { hint, restorableTo: point })
}

/** TXIDs behind `reached` and up to `wanted` that no file holds, if that is what stops the chain. */
function gapBefore(
  files: readonly LtxFileInfo[],
  wanted: TXID,
  reached: bigint,
): { readonly from: TXID; readonly to: TXID } | undefined {
  let covered = reached
  let next: TXID | undefined
  for (const { minTxid, maxTxid } of files.toSorted((a, b) => (a.minTxid < b.minTxid ? -1 : 1))) {
    if (minTxid <= covered + 1n) {
      if (maxTxid > covered) covered = maxTxid
    } else {
      next = minTxid
      break
    }
  }
  if (next === undefined || covered >= wanted) return undefined
  return { from: (covered + 1n) as TXID, to: (next - 1n) as TXID }
}

/** The error for a target before the first state. */
export function tooEarly(files: readonly LtxFileInfo[], target: RestoreTarget): RestoreError {
  const first = reach(files)[0]
  const time = first === undefined ? undefined : timeOf(files, first)
  const earliest =
    first === undefined
      ? 'no state can be restored'
      : `the earliest is TXID ${formatTxid(first)}${time === undefined ? '' : ` of ${time.toISOString()}`}`
  const message = `The replica does not go back to ${renderTarget(target)}: ${earliest}.`
  return new RestoreError('TargetNotReachable', message, {
    hint: 'Choose a later state, or one from an older copy of the replica.',
  })
}
