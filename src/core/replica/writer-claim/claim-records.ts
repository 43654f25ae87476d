import { formatTxid, parseTxid, type TXID } from '../../ltx/index.ts'

/*
 * Objects that say who writes to a replica. They lie next to its level folders, and other readers of
 * the layout ignore them. Each is created once and never changed:
 *
 *   walsync/epochs/<epoch>.claim    a writer started under this epoch
 *   walsync/epochs/<epoch>.end      that writer has stopped or is fenced, for good
 *   walsync/epochs/<epoch>.unlock   an operator allows strict writers to start despite the claim
 */

/** Folder of the objects, relative to the replica's prefix. */
export const EPOCH_FOLDER = 'walsync/epochs/'

export type EpochKind = 'claim' | 'end' | 'unlock'

/** One of these objects, from a listing. */
export interface EpochObject {
  readonly kind: EpochKind
  readonly epoch: number
  /** Relative to the replica's prefix. */
  readonly key: string
  /** By the store's clock. */
  readonly lastModified: Date
}

/** Contents of a `claim`: who writes to the replica, and since when. */
export interface ClaimRecord {
  readonly epoch: number
  /** NodeID in the headers of the files that it writes. */
  readonly nodeId: bigint
  readonly host: string
  readonly pid: number
  readonly startedAt: Date
  /** Newest TXID when it started; `undefined` for a replica without files. */
  readonly head: TXID | undefined
  /**
   * Tells the file that it replicates from copies of it: device and inode, on this boot of the
   * machine. `undefined` where that is not known.
   */
  readonly file?: string | undefined
  /** Name of the hand-over lock that this writer took or waits for; `undefined` without one. */
  readonly lock?: string | undefined
}

/** Contents of an `end`: why the writer of this epoch is no longer one. */
export interface EndRecord {
  readonly epoch: number
  /** `writer`: it stopped cleanly; `successor`: a newer writer fenced it. */
  readonly by: 'writer' | 'successor'
  readonly at: Date
  /** If fenced: the TXID of the successor's first file. */
  readonly slot?: TXID | undefined
  /** If fenced: the first TXID that the older writer may have been about to write. */
  readonly from?: TXID | undefined
  /** If fenced: the successor's epoch. */
  readonly successor?: number | undefined
}

/** Contents of an `unlock`: an operator allows strict writers to start although the claim has no end. */
export interface UnlockRecord {
  readonly epoch: number
  readonly at: Date
  readonly host: string
}

/** Largest epoch; the first is 1. A NodeID has 32 bits for it. */
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

/** @param note any text; makes the bytes differ from those of the same claim without it */
export function encodeClaim(claim: ClaimRecord, note?: string): Uint8Array {
  const { epoch, nodeId, host, pid, startedAt, head, file, lock } = claim
  return encode({
    format: FORMAT,
    epoch,
    nodeId: nodeId.toString(16).padStart(16, '0'),
    host,
    pid,
    startedAt: startedAt.toISOString(),
    head: head === undefined ? null : formatTxid(head),
    ...(file === undefined ? {} : { file }),
    ...(lock === undefined ? {} : { lock }),
    ...(note === undefined ? {} : { note }),
  })
}

/** `undefined` for bytes that are not a claim. */
export function decodeClaim(bytes: Uint8Array): ClaimRecord | undefined {
  const { epoch, nodeId, host, pid, startedAt, head, file, lock } = decode(bytes)
  const since = new Date(String(startedAt))
  if (!isEpoch(epoch) || !isHex(nodeId) || Number.isNaN(since.getTime())) return undefined
  if (typeof host !== 'string' || typeof pid !== 'number') return undefined
  return {
    epoch,
    nodeId: BigInt(`0x${nodeId}`),
    host,
    pid,
    startedAt: since,
    head: parseSlot(head),
    file: typeof file === 'string' ? file : undefined,
    lock: typeof lock === 'string' ? lock : undefined,
  }
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

/** `undefined` for bytes that are not an end. */
export function decodeEnd(bytes: Uint8Array): EndRecord | undefined {
  const { epoch, by, at, slot, from, successor } = decode(bytes)
  const when = new Date(String(at))
  if (!isEpoch(epoch) || Number.isNaN(when.getTime())) return undefined
  if (by !== 'writer' && by !== 'successor') return undefined
  return {
    epoch,
    by,
    at: when,
    slot: parseSlot(slot),
    from: parseSlot(from),
    successor: isEpoch(successor) ? successor : undefined,
  }
}

export function encodeUnlock({ epoch, at, host }: UnlockRecord): Uint8Array {
  return encode({ format: FORMAT, epoch, at: at.toISOString(), host })
}

function encode(record: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(record)}\n`)
}

/** Fields of a JSON object of this format; an empty object for anything else. */
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

function parseSlot(value: unknown): TXID | undefined {
  return isHex(value) && !/^0+$/.test(value) ? parseTxid(value) : undefined
}
