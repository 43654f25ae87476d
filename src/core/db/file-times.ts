import { statSync } from 'node:fs'

/**
 * Two writes within one tick of the system clock give a file the same time, in milliseconds; a tick
 * is at most 10 ms.
 */
export const TICK_MS = 40
/**
 * The same on file systems with a resolution of one second (ext4 with small inodes) or two (FAT).
 */
const COARSE_TICK_MS = 2100

/**
 * The path of a database as it was given and with links resolved: SQLite puts the WAL next to the
 * latter.
 */
export interface DatabasePaths {
  /** As given: a link may lead elsewhere later. */
  readonly given: string
  /** With links resolved. */
  readonly real: string
}

/** What the names of a database and its WAL lead to now. Any write changes it, and any new name. */
export interface FileTimes {
  readonly text: string
  /** Of the main file alone. */
  readonly mainText: string
  /** False shortly after a change: another one could leave the same times. */
  readonly isOldEnough: boolean
  readonly walBytes: number
}

/** Two calls of `stat`. */
export function fileTimes({ given, real }: DatabasePaths): FileTimes {
  const [main, wal] = [look(given), look(`${real}-wal`)]
  return {
    text: `${main.text} ${wal.text}`,
    mainText: main.text,
    isOldEnough: isOldEnough(main) && isOldEnough(wal),
    walBytes: wal.bytes,
  }
}

/** The same with the WAL index. Commits change it in memory, which shows in its times only later. */
export function fileTimesWithIndex(paths: DatabasePaths): FileTimes {
  const [times, index] = [fileTimes(paths), look(`${paths.real}-shm`)]
  return {
    ...times,
    text: `${times.text} ${index.text}`,
    isOldEnough: times.isOldEnough && isOldEnough(index),
  }
}

interface Look {
  readonly text: string
  readonly tickMs: number
  readonly changedMs: number
  readonly bytes: number
}

const NOTHING: Look = { text: 'none', tickMs: TICK_MS, changedMs: 0, bytes: 0 }

/**
 * The text has the time of the last change (ctime), which no program can set, unlike that of the
 * last write. An inaccessible file counts as changed: opening it will show what is wrong.
 */
function look(file: string): Look {
  try {
    const stat = statSync(file, { bigint: true, throwIfNoEntry: false })
    if (stat === undefined) return NOTHING
    const { dev, ino, size, ctimeNs, mtimeNs } = stat
    const isCoarse = [ctimeNs, mtimeNs].some((time) => time % 1_000_000_000n === 0n)
    const tickMs = isCoarse ? COARSE_TICK_MS : TICK_MS
    const changedMs = Math.max(Number(stat.ctimeMs), Number(stat.mtimeMs))
    return { text: `${dev}:${ino}:${size}:${ctimeNs}`, tickMs, changedMs, bytes: Number(size) }
  } catch (error) {
    return { ...NOTHING, text: String((error as NodeJS.ErrnoException).code) }
  }
}

function isOldEnough({ changedMs, tickMs }: Look): boolean {
  return changedMs < Date.now() - tickMs
}
