import { txid } from '../../../src/core/ltx/index.ts'
import type { LtxFileInfo } from '../../../src/core/replica/replica-client.ts'
import { ltxKey } from '../../../src/core/replica/replica-layout.ts'

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
/** A Thursday. */
export const START = Date.UTC(2026, 0, 1)

export interface Listed {
  readonly size?: number
  /** Milliseconds; `undefined` for a store that does not list it. */
  readonly createdAt: number | undefined
  readonly lastModified: number
}

/** One file as a listing tells it. */
export function listed(level: number, min: number, max: number, facts: Listed): LtxFileInfo {
  return {
    level,
    minTxid: txid(min),
    maxTxid: txid(max),
    key: ltxKey('ltx', level, txid(min), txid(max)),
    size: facts.size ?? 1000,
    createdAt: facts.createdAt === undefined ? undefined : new Date(facts.createdAt),
    lastModified: new Date(facts.lastModified),
  }
}

/** A file that was stored at the very time that it stands for. */
export function fileAt(
  level: number,
  min: number,
  max: number,
  time: number,
  size = 1000,
): LtxFileInfo {
  return listed(level, min, max, { size, createdAt: time, lastModified: time })
}

/** `level:min-max`, for expectations that can be read. */
export function names(files: readonly LtxFileInfo[]): string[] {
  return files.map(({ level, minTxid, maxTxid }) => `${level}:${minTxid}-${maxTxid}`)
}
