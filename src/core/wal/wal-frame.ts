import { WAL_HEADER_SIZE } from './wal-header.ts'

export const WAL_FRAME_HEADER_SIZE = 24

/** Bytes of one frame: header and page. */
export function walFrameSize(pageSize: number): number {
  return WAL_FRAME_HEADER_SIZE + pageSize
}

/** File offset of frame `index`, counted from 0. */
export function walFrameOffset(index: number, pageSize: number): number {
  return WAL_HEADER_SIZE + index * walFrameSize(pageSize)
}
