import { isChecksum } from './checksum.ts'
import { LtxError } from './ltx-error.ts'
import { formatTxid, type TXID } from './txid.ts'

/** Bytes of an encoded header. */
export const LTX_HEADER_SIZE = 100

/** Header flag: the file carries no database checksums. The only flag that version 3 allows. */
export const FLAG_NO_CHECKSUM = 0x2

/** First part of an LTX file: which transactions it covers and where in the WAL they came from. */
export interface LtxHeader {
  /** 0 or `FLAG_NO_CHECKSUM`. */
  readonly flags: number
  /** In bytes: a power of two from 512 to 65536. */
  readonly pageSize: number
  /** Size of the database after applying, in pages. 0: the database has no pages. */
  readonly commit: number
  /** 1 marks a snapshot: the file then contains every page. */
  readonly minTxid: TXID
  readonly maxTxid: TXID
  /** Milliseconds since the Unix epoch. */
  readonly timestamp: number
  /** Database checksum before applying; 0 for snapshots and with `FLAG_NO_CHECKSUM`. */
  readonly preApplyChecksum: bigint
  /** Byte offset in the WAL at which this range starts; 0 if the file was not made from a WAL. */
  readonly walOffset: number
  /** Bytes of the WAL covered; 0 if the file was not made from a WAL. */
  readonly walSize: number
  /** Salts of the WAL header; 0 if the file was not made from a WAL. */
  readonly walSalt1: number
  readonly walSalt2: number
  /** Creator; 0 if unset. */
  readonly nodeId: bigint
  /** Where reading the WAL can continue. Absent in files that walsync did not write. */
  readonly walMark?: WalMark | undefined
}

/**
 * The state of the WAL at the end of the covered range. Kept in the header's reserved bytes, which
 * LTX readers hash but do not interpret.
 */
export interface WalMark {
  /** Checkpoint sequence number of the WAL header. */
  readonly sequence: number
  /** Cumulative checksum of the last covered frame. */
  readonly checksum1: number
  readonly checksum2: number
  /** Tells one boot of the writing machine from another; 0 where unknown. */
  readonly bootId: number
}

const MAGIC = 0x4c545831 // "LTX1"
const WAL_MARK_TAG = 0x57534d31 // "WSM1"
const MAX_COMMIT = 0xfffffffe

const FLAGS = 4
const PAGE_SIZE = 8
const COMMIT = 12
const MIN_TXID = 16
const MAX_TXID = 24
const TIMESTAMP = 32
const PRE_APPLY_CHECKSUM = 40
const WAL_OFFSET = 48
const WAL_SIZE = 56
const WAL_SALT_1 = 64
const WAL_SALT_2 = 68
const NODE_ID = 72
const MARK = 80

/** A snapshot holds the complete database: LTX marks it by MinTXID 1. */
export function isSnapshot(header: Pick<LtxHeader, 'minTxid'>): boolean {
  return header.minTxid === 1n
}

/** Does the trailer hold a checksum that the pages of the file alone determine? */
export function hasChecksumOfPages(header: Pick<LtxHeader, 'minTxid' | 'flags'>): boolean {
  return isSnapshot(header) && header.flags !== FLAG_NO_CHECKSUM
}

/** The header as 100 bytes. Throws `InvalidHeader` for values that break the format. */
export function encodeLtxHeader(header: LtxHeader): Uint8Array {
  validate(header)
  const bytes = new Uint8Array(LTX_HEADER_SIZE)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC)
  view.setUint32(FLAGS, header.flags)
  view.setUint32(PAGE_SIZE, header.pageSize)
  view.setUint32(COMMIT, header.commit)
  view.setBigUint64(MIN_TXID, header.minTxid)
  view.setBigUint64(MAX_TXID, header.maxTxid)
  view.setBigInt64(TIMESTAMP, BigInt(header.timestamp))
  view.setBigUint64(PRE_APPLY_CHECKSUM, header.preApplyChecksum)
  view.setBigInt64(WAL_OFFSET, BigInt(header.walOffset))
  view.setBigInt64(WAL_SIZE, BigInt(header.walSize))
  view.setUint32(WAL_SALT_1, header.walSalt1)
  view.setUint32(WAL_SALT_2, header.walSalt2)
  view.setBigUint64(NODE_ID, header.nodeId)
  if (header.walMark !== undefined) {
    view.setUint32(MARK, WAL_MARK_TAG)
    view.setUint32(MARK + 4, header.walMark.sequence)
    view.setUint32(MARK + 8, header.walMark.checksum1)
    view.setUint32(MARK + 12, header.walMark.checksum2)
    view.setUint32(MARK + 16, header.walMark.bootId)
  }
  return bytes
}

/**
 * Reads the first 100 bytes of a file; more may follow. Nothing but the header is verified.
 * Throws `Truncated`, `BadMagic` or `InvalidHeader`.
 */
export function decodeLtxHeader(bytes: Uint8Array): LtxHeader {
  if (bytes.length < LTX_HEADER_SIZE) {
    throw new LtxError(
      'Truncated',
      `The LTX header has ${bytes.length} of ${LTX_HEADER_SIZE} bytes.`,
    )
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, LTX_HEADER_SIZE)
  if (view.getUint32(0) !== MAGIC) {
    throw new LtxError('BadMagic', 'The file does not start with the LTX magic bytes "LTX1".')
  }
  const walMark = decodeWalMark(view)
  const header: LtxHeader = {
    flags: view.getUint32(FLAGS),
    pageSize: view.getUint32(PAGE_SIZE),
    commit: view.getUint32(COMMIT),
    minTxid: view.getBigUint64(MIN_TXID) as TXID,
    maxTxid: view.getBigUint64(MAX_TXID) as TXID,
    timestamp: Number(view.getBigInt64(TIMESTAMP)),
    preApplyChecksum: view.getBigUint64(PRE_APPLY_CHECKSUM),
    walOffset: Number(view.getBigInt64(WAL_OFFSET)),
    walSize: Number(view.getBigInt64(WAL_SIZE)),
    walSalt1: view.getUint32(WAL_SALT_1),
    walSalt2: view.getUint32(WAL_SALT_2),
    nodeId: view.getBigUint64(NODE_ID),
    ...(walMark === undefined ? {} : { walMark }),
  }
  validate(header)
  return header
}

function decodeWalMark(view: DataView): WalMark | undefined {
  if (view.getUint32(MARK) !== WAL_MARK_TAG) return undefined
  return {
    sequence: view.getUint32(MARK + 4),
    checksum1: view.getUint32(MARK + 8),
    checksum2: view.getUint32(MARK + 12),
    bootId: view.getUint32(MARK + 16),
  }
}

function validate(header: LtxHeader): void {
  const { flags, pageSize, commit, minTxid, maxTxid, preApplyChecksum, walOffset, walSize } = header
  if (flags !== 0 && flags !== FLAG_NO_CHECKSUM) throw invalid('flags', 'be 0 or 2', flags)
  if (!isPageSize(pageSize)) throw invalid('page size', 'be a power of two, 512 to 65536', pageSize)
  if (!isU32(commit) || commit > MAX_COMMIT) throw invalid('commit', 'be at most 2^32 - 2', commit)
  if (!isU64(minTxid) || minTxid === 0n) throw invalid('MinTXID', 'be 1 to 2^64 - 1', minTxid)
  if (!isU64(maxTxid) || maxTxid < minTxid) {
    throw invalid('MaxTXID', `be at least ${formatTxid(minTxid)}`, maxTxid)
  }
  for (const [name, value] of [
    ['WAL offset', walOffset],
    ['WAL size', walSize],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < 0) throw invalid(name, 'be 0 to 2^53 - 1', value)
  }
  if (!Number.isSafeInteger(header.timestamp)) {
    throw invalid('timestamp', 'be a safe integer', header.timestamp)
  }
  const { sequence, checksum1, checksum2, bootId } = header.walMark ?? EMPTY_MARK
  for (const value of [header.walSalt1, header.walSalt2, sequence, checksum1, checksum2, bootId]) {
    if (!isU32(value)) throw invalid('WAL salt or mark', 'be 0 to 2^32 - 1', value)
  }
  if (!isU64(header.nodeId)) throw invalid('node id', 'be 0 to 2^64 - 1', header.nodeId)
  if (walOffset === 0 && (header.walSalt1 !== 0 || header.walSalt2 !== 0 || walSize !== 0)) {
    throw invalid('WAL offset', 'be set when a salt or the WAL size is', walOffset)
  }
  const hasPreApply = !isSnapshot(header) && flags !== FLAG_NO_CHECKSUM
  if (hasPreApply && !(isU64(preApplyChecksum) && isChecksum(preApplyChecksum))) {
    throw invalid('pre-apply checksum', 'have its top bit set', preApplyChecksum)
  }
  if (!hasPreApply && preApplyChecksum !== 0n) {
    throw invalid('pre-apply checksum', 'be 0 in a snapshot or without checksums', preApplyChecksum)
  }
}

const EMPTY_MARK: WalMark = { sequence: 0, checksum1: 0, checksum2: 0, bootId: 0 }

function isPageSize(value: number): boolean {
  return isU32(value) && value >= 512 && value <= 65536 && (value & (value - 1)) === 0
}

function isU32(value: number): boolean {
  return value >>> 0 === value
}

function isU64(value: bigint): boolean {
  return typeof value === 'bigint' && BigInt.asUintN(64, value) === value
}

function invalid(field: string, rule: string, value: number | bigint): LtxError {
  return new LtxError(
    'InvalidHeader',
    `Expected the LTX header's ${field} to ${rule}, got ${value}.`,
  )
}
