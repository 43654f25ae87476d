import { closeSync, existsSync, openSync, readSync, realpathSync } from 'node:fs'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import {
  type DatabasePaths,
  type FileTimes,
  type FolderWatch,
  fileTimes,
  TICK_MS,
} from '../../db/index.ts'
import { lockPage, pageHash } from '../../ltx/index.ts'
import type { PageChecksums } from './page-checksums.ts'

/** How often to check an idle database despite file events, in milliseconds. */
const BACKSTOP_MS = 10_000
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

function hasMoved({ given, real }: DatabasePaths): boolean {
  return !existsSync(given) || realpathSync(given) !== real
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
      if (length !== pageSize || pageHash(pgno, page) !== sums[pgno - 1]) return false
    }
    return readSync(fd, page, 0, 1, sums.length * pageSize) === 0
  } finally {
    closeSync(fd)
  }
}
