import { createReadStream } from 'node:fs'
import type { WalChange } from '../../db/index.ts'
import type { LtxHeader, TXID } from '../../ltx/index.ts'
import type { PutBody } from '../../store/index.ts'
import { fileBytes, type LtxFile } from '../capture/ltx-file.ts'

/** A level-0 file that has a TXID but is not in the store yet. */
export interface PendingFile {
  readonly txid: TXID
  readonly header: LtxHeader
  readonly pages: number
  /** When the change was noticed, in milliseconds. */
  readonly noticedAt: number
  body: PutBody
  /**
   * Set if the bytes are still to be read from the WAL, whose frames must stay until the upload is
   * done.
   */
  uncaptured?: WalChange | undefined
  spooled?: SpooledFile | undefined
}

export interface SpooledFile {
  readonly txid: TXID
  readonly path: string
  readonly bytes: number
}

/** The bytes of a pending file that is not in the spool. */
export function bytesOfPending({ body }: PendingFile): Iterable<Uint8Array> {
  return body instanceof Uint8Array ? [body] : (body.open() as Iterable<Uint8Array>)
}

/** A pending file whose bytes are in the spool. */
export function setSpooled(file: PendingFile, spooled: SpooledFile): void {
  file.spooled = spooled
  file.uncaptured = undefined
  file.body = { size: spooled.bytes, open: () => createReadStream(spooled.path) }
}

/**
 * Files with up to this many bytes of pages are encoded in memory immediately; larger ones are read
 * from the WAL while they are sent.
 */
const MEMORY_BYTES = 16 << 20

/**
 * Creates the pending file of a change. `uncaptured` says whether the WAL must stay until it has
 * been shipped.
 */
export function toPendingFile(file: LtxFile, change: WalChange, noticedAt: number): PendingFile {
  const { header, pages } = file
  const base = { txid: header.maxTxid, header, pages, noticedAt }
  if (pages * header.pageSize > MEMORY_BYTES) return { ...base, body: file, uncaptured: change }
  return { ...base, body: fileBytes(file) }
}
