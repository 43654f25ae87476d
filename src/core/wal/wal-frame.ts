import { WAL_HEADER_SIZE } from './wal-header.ts'

export const WAL_FRAME_HEADER_SIZE = 24

/** The 24 bytes before each page in a WAL. SQLite file format, section 4.1. */
export interface WalFrameHeader {
  readonly pgno: number
  /** Database size in pages after the commit; 0 if the frame commits nothing. */
  readonly commit: number
  readonly salt1: number
  readonly salt2: number
  /** Running checksum up to and including this frame. */
  readonly checksum1: number
  readonly checksum2: number
}

/** Reads the frame header at `offset` of `view`. */
export function decodeWalFrameHeader(view: DataView, offset: number): WalFrameHeader {
  return {
    pgno: view.getUint32(offset),
    commit: view.getUint32(offset + 4),
    salt1: view.getUint32(offset + 8),
    salt2: view.getUint32(offset + 12),
    checksum1: view.getUint32(offset + 16),
    checksum2: view.getUint32(offset + 20),
  }
}

/** Bytes of one frame: header and page. */
export function walFrameSize(pageSize: number): number {
  return WAL_FRAME_HEADER_SIZE + pageSize
}

/** File offset of frame `index`, counted from 0. */
export function walFrameOffset(index: number, pageSize: number): number {
  return WAL_HEADER_SIZE + index * walFrameSize(pageSize)
}
