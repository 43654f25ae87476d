import { ExitCode, WalsyncError } from '../errors.ts'
import { extendWalChecksum, type WalChecksum } from './wal-checksum.ts'

export const WAL_HEADER_SIZE = 32
export const WAL_FORMAT_VERSION = 3007000

const MAGIC_LITTLE_ENDIAN = 0x377f0682
const MAGIC_BIG_ENDIAN = 0x377f0683

/** The 32 bytes at the start of a WAL. SQLite file format, section 4.1. */
export interface WalHeader {
  /** Are checksum words read big-endian? */
  readonly bigEndian: boolean
  /** In bytes, 512 to 65536. */
  readonly pageSize: number
  /** Checkpoint sequence number: grows by one with each restart of the WAL. */
  readonly sequence: number
  /** Grows by one with each restart. */
  readonly salt1: number
  /** Random anew with each restart. */
  readonly salt2: number
  /** Checksum of the first 24 bytes; the seed of the first frame's. */
  readonly checksum1: number
  readonly checksum2: number
}

/**
 * Reads a WAL header. `undefined` where there is none yet: fewer than 32 bytes, another magic
 * number, or a checksum that does not fit, as while a writer restarts the log.
 *
 * @throws WalError `UnsupportedVersion`
 */
export function decodeWalHeader(bytes: Uint8Array): WalHeader | undefined {
  if (bytes.length < WAL_HEADER_SIZE) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, WAL_HEADER_SIZE)
  const magic = view.getUint32(0)
  if (magic !== MAGIC_LITTLE_ENDIAN && magic !== MAGIC_BIG_ENDIAN) return undefined
  const header: WalHeader = {
    bigEndian: magic === MAGIC_BIG_ENDIAN,
    pageSize: view.getUint32(8),
    sequence: view.getUint32(12),
    salt1: view.getUint32(16),
    salt2: view.getUint32(20),
    checksum1: view.getUint32(24),
    checksum2: view.getUint32(28),
  }
  const sum: WalChecksum = { s1: 0, s2: 0 }
  extendWalChecksum(sum, bytes, 0, 24, header.bigEndian)
  if (sum.s1 !== header.checksum1 || sum.s2 !== header.checksum2) return undefined
  const version = view.getUint32(4)
  if (version !== WAL_FORMAT_VERSION) {
    throw new WalError(
      'UnsupportedVersion',
      `The WAL has format version ${version}; only ${WAL_FORMAT_VERSION} is known.`,
    )
  }
  return isPageSize(header.pageSize) ? header : undefined
}

/** Encodes a header, its checksum computed. For tests and for reading header-less WAL segments. */
export function encodeWalHeader(header: Omit<WalHeader, 'checksum1' | 'checksum2'>): Uint8Array {
  const bytes = new Uint8Array(WAL_HEADER_SIZE)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, header.bigEndian ? MAGIC_BIG_ENDIAN : MAGIC_LITTLE_ENDIAN)
  view.setUint32(4, WAL_FORMAT_VERSION)
  view.setUint32(8, header.pageSize)
  view.setUint32(12, header.sequence)
  view.setUint32(16, header.salt1)
  view.setUint32(20, header.salt2)
  const sum: WalChecksum = { s1: 0, s2: 0 }
  extendWalChecksum(sum, bytes, 0, 24, header.bigEndian)
  view.setUint32(24, sum.s1)
  view.setUint32(28, sum.s2)
  return bytes
}

/** Is `next` the run that follows `run` after exactly one restart? SQLite adds one to salt-1 and to the sequence. */
export function isNextRun(run: WalHeader, next: WalHeader): boolean {
  return isLaterRun(run, next) && next.salt1 === (run.salt1 + 1) >>> 0
}

/** Does `later` follow `run` after one or more restarts of one log? Salt-1 and sequence grow together. */
export function isLaterRun(run: WalHeader, later: WalHeader): boolean {
  const restarts = (later.salt1 - run.salt1) >>> 0
  return (
    restarts > 0 &&
    restarts < 0x80000000 &&
    later.sequence === (run.sequence + restarts) >>> 0 &&
    later.pageSize === run.pageSize
  )
}

/** Are these two headers of one run of the log? */
export function isSameRun(a: WalHeader, b: WalHeader): boolean {
  return (
    a.salt1 === b.salt1 &&
    a.salt2 === b.salt2 &&
    a.sequence === b.sequence &&
    a.pageSize === b.pageSize
  )
}

export function isPageSize(size: number): boolean {
  return size >= 512 && size <= 65536 && (size & (size - 1)) === 0
}

/** `UnsupportedVersion`: a valid WAL header of a format version other than 3007000. */
export type WalErrorCode = 'UnsupportedVersion'

/** The WAL is intact, and of a kind that walsync does not read. Damage is never an error here: it ends the log. */
export class WalError extends WalsyncError<WalErrorCode> {
  override readonly name = 'WalError'

  constructor(code: WalErrorCode, message: string) {
    super(code, message, ExitCode.database)
  }
}

export const WAL_FRAME_HEADER_SIZE = 24

/** Bytes of one frame: header and page. */
export function walFrameSize(pageSize: number): number {
  return WAL_FRAME_HEADER_SIZE + pageSize
}

/** File offset of frame `index`, counted from 0. */
export function walFrameOffset(index: number, pageSize: number): number {
  return WAL_HEADER_SIZE + index * walFrameSize(pageSize)
}
