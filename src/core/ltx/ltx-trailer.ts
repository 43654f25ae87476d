import { CHECKSUM_FLAG, EMPTY_DATABASE_CHECKSUM, isChecksum } from './checksum.ts'
import type { Crc64 } from './codec/crc64.ts'
import { LtxError } from './ltx-error.ts'
import { FLAG_NO_CHECKSUM, type LtxHeader } from './ltx-header.ts'

/** Bytes of an encoded trailer. */
export const LTX_TRAILER_SIZE = 16

/** Last part of an LTX file. */
export interface LtxTrailer {
  /** Database checksum after applying; 0 with `FLAG_NO_CHECKSUM`. */
  readonly postApplyChecksum: bigint
  /** Over everything before it, with page payloads counted in their uncompressed form. */
  readonly fileChecksum: bigint
}

/** The trailer as 16 bytes. `crc` has seen everything before the trailer, and sees its first half here. */
export function encodeTrailer(postApplyChecksum: bigint, crc: Crc64): Uint8Array {
  const bytes = new Uint8Array(LTX_TRAILER_SIZE)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, postApplyChecksum)
  view.setBigUint64(8, CHECKSUM_FLAG | crc.update(bytes.subarray(0, 8)).digest())
  return bytes
}

/** Reads 16 bytes and throws `ChecksumMismatch` unless `crc`, which has seen everything before, agrees. */
export function decodeTrailer(bytes: Uint8Array, crc: Crc64): LtxTrailer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, LTX_TRAILER_SIZE)
  const fileChecksum = view.getBigUint64(8)
  const computed = CHECKSUM_FLAG | crc.update(bytes.subarray(0, 8)).digest()
  if (fileChecksum !== computed) {
    throw new LtxError(
      'ChecksumMismatch',
      `The file checksum is ${hex(fileChecksum)}, but its content gives ${hex(computed)}.`,
    )
  }
  return { postApplyChecksum: view.getBigUint64(0), fileChecksum }
}

/**
 * Checks the post-apply checksum against the header, and against `computed` where the file alone
 * determines it (snapshots). Throws `InvalidTrailer` or `ChecksumMismatch`.
 */
export function validatePostApply(
  header: LtxHeader,
  postApplyChecksum: bigint,
  computed: bigint | undefined,
): void {
  if (header.flags === FLAG_NO_CHECKSUM) {
    if (postApplyChecksum === 0n) return
    throw invalid('be 0 in a file without checksums', postApplyChecksum)
  }
  if (!isChecksum(postApplyChecksum)) throw invalid('have its top bit set', postApplyChecksum)
  if (header.commit === 0 && postApplyChecksum !== EMPTY_DATABASE_CHECKSUM) {
    throw invalid('be that of an empty database', postApplyChecksum)
  }
  if (computed !== undefined && postApplyChecksum !== computed) {
    throw new LtxError(
      'ChecksumMismatch',
      `The post-apply checksum is ${hex(postApplyChecksum)}, but the pages give ${hex(computed)}.`,
    )
  }
}

function invalid(rule: string, value: bigint): LtxError {
  return new LtxError(
    'InvalidTrailer',
    `Expected the post-apply checksum to ${rule}, got ${hex(value)}.`,
  )
}

function hex(value: bigint): string {
  return value.toString(16).padStart(16, '0')
}
