import { formatTxid, parseTxid, type TXID } from '../../ltx/index.ts'

/*
 * walsync's own objects beside the levels of a replica. Other readers of the layout ignore them.
 * Each is created once and never changed:
 *
 *   walsync/epochs/<epoch>.claim    a writer began
 *   walsync/epochs/<epoch>.end      that writer will never count as a writer again
 *   walsync/epochs/<epoch>.unlock   an operator lets strict writers begin over the claim
 */

/** Folder of the objects, relative to the replica's prefix. */
export const EPOCH_FOLDER = 'walsync/epochs/'

export type EpochKind = 'claim' | 'end' | 'unlock'

/** One of these objects, as a listing tells it. */
export interface EpochObject {
  readonly kind: EpochKind
  readonly epoch: number
  /** Relative to the replica's prefix. */
  readonly key: string
  /** The store's clock. */
  readonly lastModified: Date
}

/** Who writes to a replica, and since when. */
export interface ClaimRecord {
  readonly epoch: number
  /** NodeID of the files that it writes. */
  readonly nodeId: bigint
  readonly host: string
  readonly pid: number
  readonly startedAt: Date
  /** Newest TXID when it began; `undefined` for a replica without files. */
  readonly head: TXID | undefined
}

/** Why a writer of an epoch will never count as one again. */
export interface EndRecord {
  readonly epoch: number
  /** `writer`: it ended cleanly; `successor`: a newer one took a slot behind it. */
  readonly by: 'writer' | 'successor'
  readonly at: Date
  /** Of a take-over: the slot that the successor took first. */
  readonly slot?: TXID | undefined
  /** Of a take-over: the first slot that the older writer may have been about to take. */
  readonly from?: TXID | undefined
  /** Of a take-over: the successor's epoch. */
  readonly successor?: number | undefined
}

/** An operator's word that strict writers may begin although the claim has no end. */
export interface UnlockRecord {
  readonly epoch: number
  readonly at: Date
  readonly host: string
}

/** Epochs are 1 to this: a NodeID has 32 bits for them. */
export const MAX_EPOCH = 0xffff_fffe

const FORMAT = 1
const KEY = /^walsync\/epochs\/([0-9a-f]{16})\.(claim|end|unlock)$/

/**
 * Key of an object, relative to the replica's prefix.
 *
 * @throws RangeError for an epoch outside 1 to 2^32 - 2
 */
export function epochKey(epoch: number, kind: EpochKind): string {
  if (!isEpoch(epoch)) {
    throw new RangeError(
      `Expected \`epoch\` to be an integer from 1 to ${MAX_EPOCH}, got ${epoch}.`,
    )
  }
  return `${EPOCH_FOLDER}${epoch.toString(16).padStart(16, '0')}.${kind}`
}

/** The inverse; `undefined` for every other key. */
export function parseEpochKey(
  key: string,
): { readonly epoch: number; readonly kind: EpochKind } | undefined {
  const match = KEY.exec(key)
  if (match === null) return undefined
  const epoch = Number.parseInt(match[1]!, 16)
  return isEpoch(epoch) ? { epoch, kind: match[2] as EpochKind } : undefined
}

/** A claim as its object holds it. `note` makes other bytes of the same claim. */
export function encodeClaim(claim: ClaimRecord, note?: string): Uint8Array {
  const { epoch, nodeId, host, pid, startedAt, head } = claim
  return encode({
    format: FORMAT,
    epoch,
    nodeId: nodeId.toString(16).padStart(16, '0'),
    host,
    pid,
    startedAt: startedAt.toISOString(),
    head: head === undefined ? null : formatTxid(head),
    ...(note === undefined ? {} : { note }),
  })
}

/** `undefined` for bytes that are no claim: they name nobody. */
export function decodeClaim(bytes: Uint8Array): ClaimRecord | undefined {
  const { epoch, nodeId, host, pid, startedAt, head } = decode(bytes)
  const since = new Date(String(startedAt))
  if (!isEpoch(epoch) || !isHex(nodeId) || Number.isNaN(since.getTime())) return undefined
  if (typeof host !== 'string' || typeof pid !== 'number') return undefined
  return { epoch, nodeId: BigInt(`0x${nodeId}`), host, pid, startedAt: since, head: txidOf(head) }
}

export function encodeEnd({ epoch, by, at, slot, from, successor }: EndRecord): Uint8Array {
  return encode({
    format: FORMAT,
    epoch,
    by,
    at: at.toISOString(),
    ...(slot === undefined ? {} : { slot: formatTxid(slot) }),
    ...(from === undefined ? {} : { from: formatTxid(from) }),
    ...(successor === undefined ? {} : { successor }),
  })
}

/** `undefined` for bytes that are no end. */
export function decodeEnd(bytes: Uint8Array): EndRecord | undefined {
  const { epoch, by, at, slot, from, successor } = decode(bytes)
  const when = new Date(String(at))
  if (!isEpoch(epoch) || Number.isNaN(when.getTime())) return undefined
  if (by !== 'writer' && by !== 'successor') return undefined
  return {
    epoch,
    by,
    at: when,
    slot: txidOf(slot),
    from: txidOf(from),
    successor: isEpoch(successor) ? successor : undefined,
  }
}

export function encodeUnlock({ epoch, at, host }: UnlockRecord): Uint8Array {
  return encode({ format: FORMAT, epoch, at: at.toISOString(), host })
}

function encode(record: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(record)}\n`)
}

/** Fields of a JSON object of this format; none for anything else. */
function decode(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
  if (typeof value !== 'object' || value === null) return {}
  const record = value as Readonly<Record<string, unknown>>
  return record.format === FORMAT ? record : {}
}

function isEpoch(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_EPOCH
}

function isHex(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{16}$/.test(value)
}

function txidOf(value: unknown): TXID | undefined {
  return isHex(value) && !/^0+$/.test(value) ? parseTxid(value) : undefined
}
