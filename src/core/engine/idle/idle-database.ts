import { closeSync, existsSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { FolderWatch } from '../../db/index.ts'
import { lockPage } from '../../ltx/index.ts'
import { contentChecksum, type PageChecksums } from './page-checksums.ts'

/** How often a resting database is looked at where file events are to be had, in milliseconds. */
const BACKSTOP_MS = 10_000
/** Two writes within one tick of the system's clock leave the same time on a file; a tick is at most 10 ms. */
const TICK_MS = 40
/** The same where a file system keeps whole seconds (ext4 with small inodes) or two of them (FAT). */
const COARSE_TICK_MS = 2100

/**
 * A database that is not held open: all of it is in the replica, and what its pages were is
 * remembered. Only file events and, behind them, the times of its files are looked at.
 */
export class IdleDatabase {
  readonly sums: PageChecksums
  /** How long to wait for the next look, in milliseconds. */
  readonly waitMs: number
  readonly #paths: DatabasePaths
  readonly #unsubscribe: (() => void) | undefined
  #times: string | undefined
  #mainFile: string | undefined
  #isTouched = false

  constructor(
    paths: DatabasePaths,
    sums: PageChecksums,
    watch: FolderWatch,
    pollMs: number,
    wake: () => void,
  ) {
    this.#paths = paths
    this.sums = sums
    this.#unsubscribe = watch.subscribe(paths.real, () => {
      // Times may be too coarse to show what the event tells.
      this.#isTouched = true
      if (this.#times !== undefined) wake()
    })
    this.waitMs = this.#unsubscribe === undefined ? pollMs : Math.max(pollMs, BACKSTOP_MS)
  }

  /**
   * To be called when the connections are closed. If the files' times have changed since `before`,
   * our own last close may have checkpointed and deleted the WAL, or another writer was at work:
   * then the file itself is held against the remembered state.
   *
   * @param before the times when everything had been captured
   * @returns false if the database may have been written to since it was remembered
   */
  async confirm(before: FileTimes): Promise<boolean> {
    this.#mainFile = before.mainText
    await delay(2 * TICK_MS)
    // Events of our own close are told before the next immediate.
    await nextTurn()
    const now = fileTimes(this.#paths)
    const untouched = before.isOldEnough && now.text === before.text && !this.#isTouched
    if (!untouched) {
      if (!now.isOldEnough || now.walBytes > 0 || hasMoved(this.#paths)) return false
      if (!isStill(this.#paths.real, this.sums)) return false
      if (fileTimes(this.#paths).text !== now.text) return false
    }
    this.#isTouched = false
    this.#times = now.text
    this.#mainFile = now.mainText
    return true
  }

  /** Did anything happen to the files? */
  hasChanged(): boolean {
    return this.#isTouched || fileTimes(this.#paths).text !== this.#times
  }

  /** Was the main file written to, or replaced? */
  isMainFileChanged(): boolean {
    return fileTimes(this.#paths).mainText !== this.#mainFile
  }

  /** Ends the file events. */
  unwatch(): void {
    this.#unsubscribe?.()
  }
}

/** Where a database is found, and where that leads: SQLite puts the WAL beside the latter. */
export interface DatabasePaths {
  /** As it was given: a link may lead elsewhere later. */
  readonly given: string
  /** With links resolved. */
  readonly real: string
}

function hasMoved({ given, real }: DatabasePaths): boolean {
  return !existsSync(given) || realpathSync(given) !== real
}

/** Identity, size and time of a database and its WAL: what any write would change. */
export interface FileTimes {
  readonly text: string
  /** Of the main file alone. */
  readonly mainText: string
  /** False just after a write: another one could leave the very same times. */
  readonly isOldEnough: boolean
  readonly walBytes: number
}

export function fileTimes({ given, real }: DatabasePaths): FileTimes {
  const [main, wal] = [look(given), look(`${real}-wal`)]
  const isOldEnough = [main, wal].every(({ changedMs, tickMs }) => changedMs < Date.now() - tickMs)
  return {
    text: `${main.text} ${wal.text}`,
    mainText: main.text,
    isOldEnough,
    walBytes: wal.bytes,
  }
}

const NOTHING = { text: 'none', tickMs: TICK_MS, changedMs: 0, bytes: 0 }

/** A file that cannot be looked at has changed: what is wrong with it shows when it is opened. */
function look(file: string) {
  try {
    const stat = statSync(file, { bigint: true, throwIfNoEntry: false })
    if (stat === undefined) return NOTHING
    const text = `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}`
    const tickMs = stat.mtimeNs % 1_000_000_000n === 0n ? COARSE_TICK_MS : TICK_MS
    return { text, tickMs, changedMs: Number(stat.mtimeMs), bytes: Number(stat.size) }
  } catch (error) {
    return { ...NOTHING, text: String((error as NodeJS.ErrnoException).code) }
  }
}

/** Is the main file, without a WAL, the remembered state? No connection of this process may be open. */
function isStill(path: string, { sums, pageSize }: PageChecksums): boolean {
  const fd = openSync(path, 'r')
  try {
    const page = new Uint8Array(pageSize)
    for (let pgno = 1; pgno <= sums.length; pgno++) {
      if (pgno === lockPage(pageSize)) continue
      const length = readSync(fd, page, 0, pageSize, (pgno - 1) * pageSize)
      if (length !== pageSize || contentChecksum(page) !== sums[pgno - 1]) return false
    }
    return readSync(fd, page, 0, 1, sums.length * pageSize) === 0
  } finally {
    closeSync(fd)
  }
}
