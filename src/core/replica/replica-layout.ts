import { parse } from 'node:path'
import { formatTxid, parseTxid, type TXID } from '../ltx/index.ts'
import { encodeSegment } from '../store/index.ts'

/**
 * How Litestream names level folders on this kind of store: `ltx` is `ltx/<level in decimal>`
 * (folders, GCS, Azure), `hex` is `<level as 4 hex digits>` (S3 and compatible services).
 */
export type ReplicaLayout = 'ltx' | 'hex'

/** The layout of a replica that was copied here from a store of the other kind. */
export function otherLayout(layout: ReplicaLayout): ReplicaLayout {
  return layout === 'ltx' ? 'hex' : 'ltx'
}

/** Highest level that compaction fills; the one above it holds snapshots. */
export const MAX_LEVEL = 8
/** Level of full snapshots, as in Litestream. Levels 1 to 8 are compactions of the one below. */
export const SNAPSHOT_LEVEL = MAX_LEVEL + 1

/** What the key of an LTX file says about it. */
export interface LtxKey {
  /** 0 (one file per sync) to 9 (snapshots). */
  readonly level: number
  readonly minTxid: TXID
  readonly maxTxid: TXID
}

/**
 * Key of an LTX file, relative to the replica's own prefix.
 *
 * @throws RangeError for a level outside 0 to 9, or TXIDs out of order
 */
export function ltxKey(layout: ReplicaLayout, level: number, minTxid: TXID, maxTxid: TXID): string {
  if (!Number.isInteger(level) || level < 0 || level > SNAPSHOT_LEVEL) {
    throw new RangeError(`Expected \`level\` to be an integer from 0 to 9, got ${level}.`)
  }
  if (minTxid < 1n || minTxid > maxTxid) {
    throw new RangeError(`Expected TXIDs in order from 1 on, got ${minTxid} to ${maxTxid}.`)
  }
  return `${levelFolder(layout, level)}/${formatTxid(minTxid)}-${formatTxid(maxTxid)}.ltx`
}

const FILE = '([0-9a-f]{16})-([0-9a-f]{16})\\.ltx$'
const KEY: Record<ReplicaLayout, RegExp> = {
  ltx: new RegExp(`^ltx/([0-9])/${FILE}`),
  hex: new RegExp(`^000([0-9])/${FILE}`),
}

/**
 * The inverse of `ltxKey`. `undefined` for any other key: walsync and other tools keep further
 * objects next to the levels, and none of them may end up in a restore.
 */
export function parseLtxKey(layout: ReplicaLayout, key: string): LtxKey | undefined {
  const match = KEY[layout].exec(key)
  if (match === null) return undefined
  const [, level, min, max] = match as unknown as [string, string, string, string]
  // Compared as text: both have 16 digits, and TXID 0 does not exist.
  if (/^0+$/.test(min) || min > max) return undefined
  return { level: Number(level), minTxid: parseTxid(min), maxTxid: parseTxid(max) }
}

/** Folder of a level, without a slash at the end. */
export function levelFolder(layout: ReplicaLayout, level: number): string {
  return layout === 'ltx' ? `ltx/${level}` : level.toString(16).padStart(4, '0')
}

/**
 * Name of a database's replica under the store's root: the file name without its last extension, as
 * in the original walsync (`my.app.db` becomes `my.app`), encoded for use in a key.
 *
 * @throws StoreError `InvalidKey` if the path has no file name, or one too long for a key
 */
export function replicaName(path: string): string {
  return encodeSegment(parse(path).name)
}
