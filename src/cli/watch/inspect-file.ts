import { closeSync, openSync, readSync, type Stats, statSync } from 'node:fs'

/** Whether a file can be replicated. `held`: this process already replicates it. */
export type FileState =
  | 'ready'
  | 'held'
  | 'missing'
  | 'empty'
  | 'not-a-file'
  | 'not-sqlite'
  | 'not-wal'
  | 'unreadable'

export interface InspectedFile {
  readonly state: FileState
  readonly error?: Error | undefined
  /** Identifies this version of the file without opening it; `undefined` for a missing file. */
  readonly stamp?: string | undefined
}

/**
 * Reads the header of a file (SQLite file format, section 1.3), but only again if the file has
 * changed.
 *
 * A file that this process has open must not be opened again under any path: closing any of its
 * descriptors would drop this process's POSIX locks on it. Everything happens in one turn of the
 * event loop, so that no other code can open it in between.
 *
 * @param isHeld is the file with this device and inode open in this process?
 */
export function inspectFile(
  path: string,
  isHeld: (identity: string) => boolean,
  before?: InspectedFile,
): InspectedFile {
  let stamp: string | undefined
  try {
    const stat = statSync(path)
    if (isHeld(identityOf(stat))) return { state: 'held' }
    stamp = `${identityOf(stat)}:${stat.size}:${stat.mtimeMs}`
    if (before?.stamp === stamp && before.state !== 'unreadable') return before
    if (!stat.isFile()) return { state: 'not-a-file', stamp }
    return { state: stat.size === 0 ? 'empty' : stateOf(readStart(path)), stamp }
  } catch (cause) {
    const error = cause as NodeJS.ErrnoException
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return { state: 'missing' }
    return { state: 'unreadable', stamp, error }
  }
}

/** Device and inode of a file: two paths of one file have the same. */
export function identityOf(stat: Stats): string {
  return `${stat.dev}:${stat.ino}`
}

const HEADER_STRING = 'SQLite format 3\0'

function stateOf(start: Buffer): FileState {
  if (start.toString('latin1', 0, 16) !== HEADER_STRING) return 'not-sqlite'
  return start[18] === 2 && start[19] === 2 ? 'ready' : 'not-wal'
}

function readStart(path: string): Buffer {
  const start = Buffer.alloc(20)
  const fd = openSync(path, 'r')
  try {
    readSync(fd, start, 0, start.length, 0)
  } finally {
    closeSync(fd)
  }
  return start
}
