import { closeSync, existsSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { FolderWatch } from '../../db/index.ts'
import { lockPage } from '../../ltx/index.ts'
import { contentChecksum, type PageChecksums } from './page-checksums.ts'

/** How often to check an idle database despite file events, in milliseconds. */
const BACKSTOP_MS = 10_000
/**
 * Two writes within one tick of the system clock give a file the same time; a tick is at most 10
 * ms.
 */
const TICK_MS = 40
/**
 * The same on file systems with a resolution of one second (ext4 with small inodes) or two (FAT).
 */
const COARSE_TICK_MS = 2100

/**
 * A database that is not kept open: all of it is in the replica, and the checksums of its pages are
 * remembered. It is watched only by file events and, in case one is missed, by the times of its
 * files.
 */
export class IdleDatabase {
  readonly sums: PageChecksums
  /** Time until the next check, in milliseconds. */
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
      // Times may be too coarse to show a change that caused an event.
      this.#isTouched = true
      if (this.#times !== undefined) wake()
    })
    this.waitMs = this.#unsubscribe === undefined ? pollMs : Math.max(pollMs, BACKSTOP_MS)
  }

  /**
   * Call this after the connections have been closed. If the times of the files have changed since
   * `before`, our own last close may have checkpointed and deleted the WAL, or another process may
   * have written: then the file itself is compared with the remembered state.
   *
   * @param before the times at the moment when everything had been captured
   * @returns false if the database may have been written to since it was remembered
   */
  async confirm(before: FileTimes): Promise<boolean> {
    this.#mainFile = before.mainText
    await delay(2 * TICK_MS)
    // Events of our own close are delivered before the next immediate.
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

  /** Has anything happened to the files? */
  hasChanged(): boolean {
    return this.#isTouched || fileTimes(this.#paths).text !== this.#times
  }

  /** Has the file been removed? Whatever takes its place counts as changed. */
  isGone(): boolean {
    const isGone = !existsSync(this.#paths.given)
    if (isGone) this.#isTouched = true
    return isGone
  }

  /** Was the main file written to or replaced? */
  isMainFileChanged(): boolean {
    return fileTimes(this.#paths).mainText !== this.#mainFile
  }

  /** Stops watching file events. */
  unwatch(): void {
    this.#unsubscribe?.()
  }
}

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

function hasMoved({ given, real }: DatabasePaths): boolean {
  return !existsSync(given) || realpathSync(given) !== real
}

/** Identity, size and time of a database and its WAL. Any write changes at least one of them. */
export interface FileTimes {
  readonly text: string
  /** Of the main file alone. */
  readonly mainText: string
  /** False shortly after a write: another write could leave the same times. */
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

/** An inaccessible file counts as changed: opening it will show what is wrong. */
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

/**
 * Does the main file without a WAL hold the remembered state? No connection of this process may be
 * open.
 */
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
