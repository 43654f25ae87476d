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

/** The lock cannot be had here: the folder is read-only, or the file system has no locks. */
export class LockUnavailableError extends Error {
  override readonly name = 'LockUnavailableError'
}

/** SQLITE_BUSY and SQLITE_LOCKED. */
const BUSY: ReadonlySet<number> = new Set([5, 6])
/** Links to a file that does not exist (yet) are followed this far. */
const MAX_LINKS = 40

/**
 * Decides which of several processes on one file system replicates a database file into a replica.
 * The kernel frees the lock when its holder ends, however it ends.
 *
 * It is an exclusive SQLite transaction on an empty file of its own beside the database, which works
 * between containers that share a volume. Nothing is ever written through it. Closing any other
 * descriptor of that file would drop the lock (POSIX locks belong to the process and inode), so
 * what the holder says about itself is in a second file.
 */
export class HandOverLock {
  readonly path: string
  readonly #database: string
  #connection: DatabaseSync | undefined
  /** Of the lock file that is open: it may be deleted, and made again by another process. */
  #identity: string | undefined
  #isHeld = false
  #since = new Date(0)

  /**
   * @param database path of the database, which need not exist
   * @param replica what tells the replica from others: processes with different ones do not compete
   */
  constructor(database: string, replica: string) {
    this.#database = fileBehind(database)
    const id = createHash('sha256').update(replica).digest('hex').slice(0, 12)
    const name = `.${basename(this.#database)}-walsync-${id}`
    this.path = join(dirname(this.#database), `${name}.lock`)
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
      // Small pages, and no journal file: a fleet has one of these for each database.
      connection.exec('PRAGMA page_size = 512; PRAGMA journal_mode = memory; BEGIN EXCLUSIVE')
    } catch (cause) {
      const { errcode = 0 } = cause as { errcode?: number }
      if (BUSY.has(errcode & 0xff)) return false
      this.#close()
      const { message } = cause as Error
      throw new LockUnavailableError(`${this.path} cannot be locked: ${message}`, { cause })
    }
    if (identityAt(this.path) !== this.#identity) {
      // Deleted since it was opened: what another process locks now is another file.
      this.#close()
      return false
    }
    this.#isHeld = true
    this.#since = new Date()
    return true
  }

  /** Tells the processes that wait who holds the lock. Best effort: they wait all the same. */
  announce(phase: LockPhase): void {
    if (!this.#isHeld) return
    const holder = { pid: process.pid, host: hostname(), since: this.#since.toISOString(), phase }
    const staged = `${this.#holderPath}.${process.pid}`
    try {
      writeFileSync(staged, `${JSON.stringify(holder)}\n`)
      renameSync(staged, this.#holderPath)
    } catch {
      rmSync(staged, { force: true })
    }
  }

  /** What the last holder said; `undefined` if it said nothing, or the lock has been given back. */
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

  /**
   * Gives the lock back, and closes the file. The file stays for the next holder, unless there is no
   * database: whoever has opened it meanwhile finds that it is gone, and makes it anew (`tryTake`).
   */
  release(): void {
    if (this.#isHeld) {
      rmSync(this.#holderPath, { force: true })
      if (!existsSync(this.#database)) rmSync(this.path, { force: true })
    }
    this.#isHeld = false
    this.#close()
  }

  get #holderPath(): string {
    return this.path.replace(/\.lock$/, '.json')
  }

  #open(): DatabaseSync {
    if (this.#connection !== undefined) return this.#connection
    if (!existsSync(this.path)) this.#create()
    this.#identity = identityAt(this.path)
    this.#connection = new DatabaseSync(this.path, { timeout: 0 })
    return this.#connection
  }

  /** As accessible as the database is: the other process may run as another user. */
  #create(): void {
    try {
      closeSync(openSync(this.path, 'wx'))
      const mode = statSync(this.#database, { throwIfNoEntry: false })?.mode
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

/** The file that a path names with all links resolved, also where it does not exist yet. */
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
    // No link, nothing at all, or out of reach.
    return undefined
  }
}
