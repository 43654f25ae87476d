export {
  CHECKSUM_FLAG,
  Crc64,
  EMPTY_DATABASE_CHECKSUM,
  pageChecksum,
  pageHash,
  toggleChecksum,
} from './checksum.ts'
export { CHECKSUM_TAIL_SIZE, type DatabaseChecksums, decodeChecksumTail } from './checksum-note.ts'
export { type EncodedRange, RangeEncoder } from './encoded-range.ts'
export { decodeRange, type FrameRange, pageFrameBound, type RangeSums } from './frame-range.ts'
export { lockPage } from './lock-page.ts'
export { type CompactLtxOptions, compactLtx } from './ltx-compactor.ts'
export { decodeLtx, LtxDecoder, type LtxDecoderOptions } from './ltx-decoder.ts'
export { encodeLtx, LtxEncoder, type LtxEncoderOptions } from './ltx-encoder.ts'
export { LtxError, type LtxErrorCode } from './ltx-error.ts'
export {
  decodeLtxHeader,
  encodeLtxHeader,
  FLAG_NO_CHECKSUM,
  hasChecksumOfPages,
  isSnapshot,
  LTX_HEADER_SIZE,
  type LtxHeader,
  type WalMark,
} from './ltx-header.ts'
export { type FrameReceiver, LtxRangeReader } from './ltx-range-reader.ts'
export { LTX_TRAILER_SIZE, type LtxTrailer } from './ltx-trailer.ts'
export type { LtxEncoding, LtxPage } from './page-frame.ts'
export { decodePageIndex, type PageIndexEntry } from './page-index.ts'
export { formatTxid, nextTxid, parseTxid, type TXID, txid } from './txid.ts'
