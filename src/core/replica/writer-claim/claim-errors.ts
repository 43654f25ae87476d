import type { ClaimRecord } from './claim-records.ts'
import { epochKey } from './claim-records.ts'
import { FencedError } from './fenced-error.ts'

/** A newer claim than `mine` exists. @param holder its record, where it can be read */
export function takenOver(
  database: string,
  mine: number,
  newer: number,
  holder: ClaimRecord | undefined,
): FencedError {
  const message = `A newer writer has taken over the replica of ${database}: ${inWords(newer, holder)}. This one had epoch ${mine}.`
  return new FencedError('TakenOver', database, epochKey(newer, 'claim'), message, { holder })
}

/** A claim stands that a strict writer must not begin over. */
export function claimHeld(
  database: string,
  epoch: number,
  holder: ClaimRecord | undefined,
): FencedError {
  const message = `Another writer holds the replica of ${database}: ${inWords(epoch, holder)}.`
  const hint = `Stop that writer; if it was killed or its machine is gone: walsync unlock ${database} -b URL.`
  return new FencedError('ClaimHeld', database, epochKey(epoch, 'claim'), message, { hint, holder })
}

/** Who a claim belongs to, for messages: `epoch 3, process 4711 on web-1, since 2026-01-31T12:00:00.000Z`. */
export function inWords(epoch: number, holder: ClaimRecord | undefined): string {
  if (holder === undefined) return `epoch ${epoch}, of a writer that cannot be named`
  const { pid, host, startedAt } = holder
  return `epoch ${epoch}, process ${pid} on ${host}, since ${startedAt.toISOString()}`
}
