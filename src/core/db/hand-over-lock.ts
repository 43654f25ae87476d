import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { identityAt } from './file-identity.ts'

/** What the holder of a lock says about itself. */
export interface LockHolder {
  readonly pid: number
  readonly host: string
  /** When it took the lock. */
  readonly since: Date
  /** `preparing`: the database may be about to be restored. */
  readonly phase: LockPhase
}

export type LockPhase = 'preparing' | 'ready'
const LONGEST_PHASE = 'preparing'.length

/** Locking is not possible here: the folder is read-only, or the file system has no locks. */
export class LockUnavailableError extends Error {
  override readonly name = 'LockUnavailableError'
}

/** SQLITE_BUSY and SQLITE_LOCKED. */
const BUSY: ReadonlySet<number> = new Set([5, 6])
/**
 * A place that was renewed longer ago belongs to a process that is gone, in milliseconds. With
 * thousands of databases a process that waits comes back to each of them only after seconds.
 */
const PLACE_MS = 5000
/** Each renewal wakes processes that watch the folder, so there are not more than needed. */
const RENEW_MS = 500
/** How many links to a file that does not exist (yet) are followed. */
const MAX_LINKS = 40

/**
 * Decides which of several processes on one file system replicates a database file into a replica.
 * The kernel frees the lock when its holder ends, however it ends.
 *
 * The lock is an exclusive SQLite transaction on a separate empty file next to the database, which
 * also works between containers that share a volume. Nothing is ever written to that file. Closing
 * any other descriptor of it would drop the lock (POSIX locks belong to the process and inode), so
 * the holder describes itself in a second file.
 */
export class HandOverLock {
  readonly path: string
  /** File name of the lock: the same for all processes that compete. */
  readonly name: string
  readonly #database: string
  #connection: DatabaseSync | undefined
  /** Identity of the open lock file, which another process may delete and create again. */
  #identity: string | undefined
  #isHeld = false
  /** What the file of this process says. */
  #announced: LockPhase | undefined
  /** Did this process create the file, and has nothing been replicated under it yet? */
  #isUnused = false
  #since = new Date(0)
  /** Of this machine when the lock was taken: a shorter one would leave the end of an announcement behind. */
  #host = ''
  /** When this process last renewed its place among those that wait, in milliseconds. */
  #placeKeptAt = 0

  /**
   * @param database path of the database, which need not exist
   * @param replica identifies the replica: processes with different replicas do not compete
   */
  constructor(database: string, replica: string) {
    this.#database = fileBehind(database)
    const id = createHash('sha256').update(replica).digest('hex').slice(0, 12)
    this.name = `.${basename(this.#database)}-walsync-${id}.lock`
    this.path = join(dirname(this.#database), this.name)
  }

  get isHeld(): boolean {
    return this.#isHeld
  }

  /**
   * Takes the lock if it is free. False while another process holds it, or tries to take it at the
   * same moment.
   *
   * @throws LockUnavailableError
   */
  tryTake(): boolean {
    if (this.#isHeld) return true
    try {
      if (identityAt(this.path) !== this.#identity) this.#close()
      const connection = this.#open()
      // Small pages, no cache and no journal file, because every watched database has such a lock.
      connection.exec(
        'PRAGMA page_size = 512; PRAGMA journal_mode = memory; PRAGMA cache_size = 1; PRAGMA shrink_memory; BEGIN EXCLUSIVE',
      )
    } catch (cause) {
      const { errcode = 0 } = cause as { errcode?: number }
      if (BUSY.has(errcode & 0xff)) return false
      this.#close()
      const { message } = cause as Error
      throw new LockUnavailableError(`${this.path} cannot be locked: ${message}`, { cause })
    }
    if (identityAt(this.path) !== this.#identity) {
      // The file was deleted after it had been opened, so other processes lock a different file
      // now.
      this.#close()
      return false
    }
    this.#isHeld = true
    this.#since = new Date()
    this.#host = hostname()
    return true
  }

  /** The database is replicated under this lock: its file stays for the next holder. */
  keepFile(): void {
    this.#isUnused = false
  }

  /** Shows waiting processes who holds the lock. Best effort: they wait in any case. */
  announce(phase: LockPhase): void {
    if (!this.#isHeld || this.#announced === phase) return
    const since = this.#since.toISOString()
    const holder = { pid: process.pid, host: this.#host, since, phase }
    // Of the same length in each phase, so that the next announcement fits over this one.
    const text = `${JSON.stringify(holder)}${' '.repeat(LONGEST_PHASE - phase.length)}\n`
    const isWritten = (this.#announced !== undefined && this.#overwrite(text)) || this.#write(text)
    this.#announced = isWritten ? phase : undefined
  }

  #write(text: string): boolean {
    const staged = `${this.#holderPath}.${process.pid}`
    try {
      writeFileSync(staged, text)
      renameSync(staged, this.#holderPath)
      return true
    } catch {
      removeQuietly(staged)
      return false
    }
  }

  /** Renaming over an existing file would wait for the disk (ext4 flushes it), for each of thousands of databases. */
  #overwrite(text: string): boolean {
    try {
      writeFileSync(this.#holderPath, text, { flag: 'r+' })
      return true
    } catch {
      return false
    }
  }

  /**
   * What the last holder announced; `undefined` if it announced nothing, or if the lock has been
   * released.
   */
  holder(): LockHolder | undefined {
    try {
      const found = JSON.parse(readFileSync(this.#holderPath, 'utf8')) as Record<string, unknown>
      const { pid, host, phase } = found
      const since = new Date(String(found.since))
      if (typeof pid !== 'number' || typeof host !== 'string') return undefined
      if (Number.isNaN(since.getTime())) return undefined
      return { pid, host, since, phase: phase === 'ready' ? 'ready' : 'preparing' }
    } catch {
      return undefined
    }
  }

  /** Lets the holder know that somebody waits. Best effort: the lock comes free all the same. */
  keepPlace(): void {
    const now = new Date()
    if (Math.abs(now.getTime() - this.#placeKeptAt) < RENEW_MS) return
    this.#placeKeptAt = now.getTime()
    try {
      utimesSync(this.#placePath, now, now)
    } catch {
      try {
        writeFileSync(this.#placePath, '')
      } catch {
        // The holder does not wait for its successor then, which may have to take a full copy.
      }
    }
  }

  /** Does not wait any more. */
  leavePlace(): void {
    this.#placeKeptAt = 0
    removeQuietly(this.#placePath)
  }

  /** Does another process wait for the lock? */
  get isAwaited(): boolean {
    const place = statSync(this.#placePath, { throwIfNoEntry: false })
    return place !== undefined && Math.abs(Date.now() - place.mtimeMs) < PLACE_MS
  }

  /**
   * Releases the lock and closes the file. The file stays for the next holder, unless there is no
   * database, or it was refused and this process created the file: a process that has opened it in
   * the meantime notices that it is gone and creates it again (`tryTake`).
   */
  release(): void {
    if (this.#isHeld) {
      removeQuietly(this.#holderPath)
      this.#announced = undefined
      if (!this.isAwaited) this.leavePlace()
      const isLeftOver = this.#isUnused && !this.isAwaited
      if (isLeftOver || !existsSync(this.#database)) removeQuietly(this.path)
    }
    this.#isHeld = false
    this.#isUnused = false
    this.#close()
  }

  get #holderPath(): string {
    return this.path.replace(/\.lock$/, '.json')
  }

  get #placePath(): string {
    return this.path.replace(/\.lock$/, '.waiting')
  }

  #open(): DatabaseSync {
    if (this.#connection !== undefined) return this.#connection
    if (!existsSync(this.path)) this.#create()
    this.#identity = identityAt(this.path)
    this.#connection = new DatabaseSync(this.path, { timeout: 0 })
    return this.#connection
  }

  /**
   * With the same permissions as the database, because the other process may run as another user.
   */
  #create(): void {
    try {
      const mode = statSync(this.#database, { throwIfNoEntry: false })?.mode
      closeSync(openSync(this.path, 'wx'))
      this.#isUnused = true
      if (mode !== undefined) chmodSync(this.path, mode & 0o666)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }

  #close(): void {
    this.#connection?.close()
    this.#connection = undefined
    this.#identity = undefined
  }
}

/** Files beside the lock only inform: one that another user made, or a folder that is now read-only, must not stop anything. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {
    // A holder that is gone is told from a living one by the lock itself, and a place by its age.
  }
}

/** The path with all links resolved, even if the file does not exist yet. */
export function fileBehind(path: string): string {
  let current = resolve(path)
  for (let links = 0; links < MAX_LINKS; links++) {
    try {
      return realpathSync(current)
    } catch {
      const target = linkTarget(current)
      if (target === undefined) break
      current = resolve(dirname(current), target)
    }
  }
  try {
    return join(realpathSync(dirname(current)), basename(current))
  } catch {
    return current
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    // Not a link, missing, or not accessible.
    return undefined
  }
}
