import {
  extendWalChecksum,
  isSameRun,
  startOfRun,
  WAL_FRAME_HEADER_SIZE,
  type WalHeader,
  type WalPosition,
  walFrameOffset,
  walFrameSize,
} from '../wal/index.ts'

/** Where a replica's newest file ends in the WAL, as its header says. */
export interface ReplicatedEnd {
  readonly pageSize: number
  readonly sequence: number
  readonly salt1: number
  readonly salt2: number
  /** Number of frames of that run before the end. */
  readonly frame: number
  /** Running checksum of the last of them; of the WAL header if there is none. */
  readonly checksum1: number
  readonly checksum2: number
  /** Identifies the boot of the machine; 0 if unknown. */
  readonly bootId: number
}

/** The WAL as it is now. */
export interface WalView {
  readonly header: WalHeader | undefined
  /** Frames that the WAL index has published. */
  readonly published: number
  readonly bootId: number
  /** Fills `into` from byte `offset` of the WAL; returns the bytes read. */
  read(into: Uint8Array, offset: number): number
}

export type Continuity =
  | { readonly proven: true; readonly header: WalHeader; readonly position: WalPosition }
  | { readonly proven: false; readonly reason: string }

/**
 * Decides whether everything that was committed after `end` can still be read from the WAL.
 *
 * Same run: the last consumed frame must be where it was, with the same checksum, which covers all
 * frames before it. One restart since: the run must be the very next one (salt-1 is one higher),
 * and the old run must be proven to have ended at `end`: the bytes after it are older and do not
 * continue it. If the new run has overwritten those bytes, if the file was truncated there, or if
 * they do continue the old run, commits may be lost for good, and the answer is no. A reboot may
 * have lost frames that were never synced, so a restart counts only within one boot.
 */
export function proveContinuity(end: ReplicatedEnd, wal: WalView): Continuity {
  const { header } = wal
  if (header === undefined) return no('the WAL that the replica ends in is gone')
  if (header.pageSize !== end.pageSize) return no('the page size has changed')
  const old: WalHeader = { ...header, ...end }
  if (isSameRun(header, old)) return sameRun(end, header, wal)
  if (isRestartedOnce(old, header)) return nextRun(end, header, wal)
  return no('the WAL has been restarted more than once, or made anew')
}

/**
 * SQLite increments salt-1, which all connections share, and the sequence number, which each
 * connection counts for itself: only the former proves anything. A connection that has never
 * restarted or recovered the log may begin with random salts; then nothing can be proven
 * (`walRestartHdr` and `sqlite3WalFrames` in wal.c).
 */
function isRestartedOnce(run: WalHeader, next: WalHeader): boolean {
  return next.salt1 === (run.salt1 + 1) >>> 0 && next.pageSize === run.pageSize
}

function sameRun(end: ReplicatedEnd, header: WalHeader, wal: WalView): Continuity {
  if (wal.published < end.frame) return no('the WAL is shorter than what the replica holds')
  if (!holdsLastFrame(end, header, wal)) {
    return no('the last replicated frame is no longer in the WAL')
  }
  const { frame, checksum1, checksum2 } = end
  return { proven: true, header, position: { frame, checksum1, checksum2 } }
}

function nextRun(end: ReplicatedEnd, header: WalHeader, wal: WalView): Continuity {
  if (end.bootId === 0 || end.bootId !== wal.bootId) {
    return no('the WAL was restarted, and the machine booted, since the last replicated commit')
  }
  if (end.frame === 0 || !holdsLastFrame(end, header, wal)) {
    return no('the WAL was restarted and has overwritten the last replicated frame')
  }
  const size = walFrameSize(end.pageSize)
  const next = new Uint8Array(size)
  if (wal.read(next, walFrameOffset(end.frame, end.pageSize)) < size) {
    return no(
      'the WAL was restarted and ends at the last replicated frame, where it may have been cut off',
    )
  }
  const view = new DataView(next.buffer)
  const salts = [view.getUint32(8), view.getUint32(12)]
  if (salts[0] === header.salt1 && salts[1] === header.salt2) {
    return no('the WAL was restarted and has overwritten what followed the last replicated frame')
  }
  if (continues(end, header.bigEndian, next)) {
    return no('the WAL was restarted before all of it had been replicated')
  }
  return { proven: true, header, position: startOfRun(header) }
}

/**
 * Is the frame before the end still there? Only its header is read: the checksum in it covers the
 * rest.
 */
function holdsLastFrame(end: ReplicatedEnd, header: WalHeader, wal: WalView): boolean {
  if (end.frame === 0) {
    return header.checksum1 === end.checksum1 && header.checksum2 === end.checksum2
  }
  const bytes = new Uint8Array(WAL_FRAME_HEADER_SIZE)
  const offset = walFrameOffset(end.frame - 1, end.pageSize)
  if (wal.read(bytes, offset) < WAL_FRAME_HEADER_SIZE) return false
  const view = new DataView(bytes.buffer)
  return (
    view.getUint32(8) === end.salt1 &&
    view.getUint32(12) === end.salt2 &&
    view.getUint32(16) === end.checksum1 &&
    view.getUint32(20) === end.checksum2
  )
}

function continues(end: ReplicatedEnd, bigEndian: boolean, frame: Uint8Array): boolean {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  if (view.getUint32(8) !== end.salt1 || view.getUint32(12) !== end.salt2) return false
  const sum = { s1: end.checksum1, s2: end.checksum2 }
  extendWalChecksum(sum, frame, 0, 8, bigEndian)
  extendWalChecksum(sum, frame, WAL_FRAME_HEADER_SIZE, frame.length, bigEndian)
  return sum.s1 === view.getUint32(16) && sum.s2 === view.getUint32(20)
}

function no(reason: string): Continuity {
  return { proven: false, reason }
}
