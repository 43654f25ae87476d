import { statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { connect } from './connect.ts'
import { continuityLost, DatabaseError } from './database-error.ts'
import { scarceDescriptors } from './few-descriptors.ts'
import { WalIndexFile, type WalIndexState } from './wal-index-file.ts'

/**
 * Connections that have not been closed. The garbage collector closes connections that nothing
 * refers to, and the last close copies the log into the main file, even a log that was kept open to
 * prevent just that.
 */
const unclosed = new Set<DatabaseSync>()

interface Closable {
  close(): void
}

/** How long a statement of a hand waits for a lock, in milliseconds. */
const BUSY_TIMEOUT_MS = 100

const BEGIN_READ = 'BEGIN; PRAGMA schema_version'

/**
 * Two connections that keep the WAL from being restarted unnoticed: one of them holds a read
 * transaction at any time, and the other begins its own before the first one ends.
 *
 * A read mark of 1 or more keeps writers from restarting the log, and checkpoints copy no further
 * than the mark. A transaction that begins when everything has been copied takes mark 0: the next
 * writer then restarts the log once, and mark 0 blocks all copying, so that the log cannot be
 * restarted a second time. SQLite, "WAL-mode file format", sections 2.3 and 2.4.
 */
export class ReadGuard {
  /** The index that both connections have mapped. */
  readonly index: WalIndexFile
  readonly #path: string
  readonly #hands: readonly [DatabaseSync, DatabaseSync]
  #held: 0 | 1 | undefined

  /**
   * Opens both connections; no transaction yet.
   *
   * @param failed receives connections that are left open when the second step fails; by default
   *   they are closed
   * @throws DatabaseError `NotWalMode`, `NotADatabase`, `Busy`, `Unreadable`, `Replaced`
   */
  constructor(path: string, failed: (left: Closable) => void = (left) => left.close()) {
    this.#path = path
    const first = openHand(path, failed)
    try {
      this.#hands = [first, openHand(path, failed)]
    } catch (error) {
      failed({ close: () => closeConnection(first) })
      throw error
    }
    this.index = new WalIndexFile(path)
    try {
      if (this.#isOfIndex()) return
      throw new DatabaseError('Replaced', path, `${path}-shm was replaced while it was opened.`)
    } catch (cause) {
      failed(this)
      throw cause instanceof DatabaseError ? cause : sqliteFailure(path, cause)
    }
  }

  /** Do the connections see what stands in the file that has the name of the index? */
  #isOfIndex(): boolean {
    const before = this.index.state()
    if (before === undefined) return true
    const mapped = this.#probe()
    const after = this.index.state()
    if (mapped === undefined) return true
    const isStill = after !== undefined && isSame(before, after)
    return !isStill || isSame(before, mapped)
  }

  /**
   * Begins a read transaction on the free connection, then ends the one on the other. On failure
   * the old one is kept.
   */
  take(): true {
    this.#takeWith(BEGIN_READ)
    return true
  }

  /**
   * The same with the write lock, which is not waited for: `unlock` must follow soon. Nothing is
   * written.
   *
   * @returns false if another connection is writing
   * @throws DatabaseError `ContinuityLost`: then nothing is held
   */
  takeWithLock(): boolean {
    const free = this.#hands[this.#held === 0 ? 1 : 0]
    free.exec('PRAGMA busy_timeout = 0')
    try {
      this.#takeWith('BEGIN IMMEDIATE')
    } catch (error) {
      if ((((error as { errcode?: number }).errcode ?? 0) & 0xff) !== 5) throw error
      return false
    } finally {
      free.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
    }
    this.#markTwice()
    return true
  }

  /** Gives the write lock back, if it is held; the read mark stays where it is. */
  unlock(): void {
    // Only the lock leaves a transaction on the connection that does not hold the mark.
    const free = this.#hands[this.#held === 0 ? 1 : 0]
    if (free.isTransaction) free.exec('ROLLBACK')
  }

  /**
   * The write lock ends with its transaction, so the other connection takes the read mark that stays.
   * It does so before anything is copied: one that is taken when all of the log has been copied does
   * not keep the log from a restart.
   */
  #markTwice(): void {
    try {
      this.#held = this.#held === 0 ? 1 : 0
      this.#hands[this.#held].exec(BEGIN_READ)
    } catch {
      for (const hand of this.#hands) if (hand.isTransaction) hand.exec('ROLLBACK')
      this.#held = undefined
      throw continuityLost(this.#path, 'the read mark could not be kept')
    }
  }

  #takeWith(begin: string): void {
    const next = this.#held === 0 ? 1 : 0
    const db = this.#hands[next]
    try {
      db.exec(begin)
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
    if (this.#held !== undefined) this.#hands[this.#held].exec('COMMIT')
    this.#held = next
  }

  /** Ends the read transaction: the log may now be restarted at any time. */
  release(): void {
    if (this.#held !== undefined) this.#hands[this.#held].exec('COMMIT')
    this.#held = undefined
  }

  /** What the WAL index says now. @throws DatabaseError `Busy` if a writer has been changing it for 100 ms */
  state(): WalIndexState {
    const deadline = performance.now() + BUSY_TIMEOUT_MS
    for (;;) {
      const state = this.index.state() ?? this.#probe()
      if (state !== undefined) return state
      if (performance.now() < deadline) continue
      throw sqliteFailure(
        this.#path,
        Object.assign(new Error('its index is being changed'), { errcode: 5 }),
      )
    }
  }

  /**
   * Has SQLite read the index, or recover it, on the free connection: without a checkpoint
   * (SQLITE_CHECKPOINT_NOOP). The statement is not kept: it is rarely needed, costs about 10 kB, and
   * a fleet has thousands of connections.
   *
   * @returns `undefined` while a writer is changing the index: SQLite then counts no frames at all,
   *   which must not be taken for an empty log
   */
  #probe(): WalIndexState | undefined {
    const free = this.#hands[this.#held === 0 ? 1 : 0]
    const row = free.prepare('PRAGMA wal_checkpoint(NOOP)').get() as Record<string, number>
    if (row.busy === 1 && row.log! < 0) return undefined
    return { published: Math.max(0, row.log!), backfilled: Math.max(0, row.checkpointed!) }
  }

  /** Database size in pages as the held transaction sees it. */
  pageCount(): number {
    if (this.#held === undefined) throw new TypeError('pageCount needs a held read transaction')
    const row = this.#hands[this.#held].prepare('PRAGMA page_count').get()
    return (row as { page_count: number }).page_count
  }

  /** Closes both connections. The last one to close deletes the WAL, and with it the proof of continuity. */
  close(): void {
    for (const hand of this.#hands) closeConnection(hand)
    this.index.close()
    this.#held = undefined
  }
}

/** The cache of 20 pages that SQLite allocates at once is given back, because a hand reads no pages. */
const HAND_PRAGMAS =
  'PRAGMA cache_size = 1; PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 0; PRAGMA shrink_memory'

function closeConnection(db: DatabaseSync): void {
  if (db.isOpen) db.close()
  unclosed.delete(db)
}

function isSame(a: WalIndexState, b: WalIndexState): boolean {
  return a.published === b.published && a.backfilled === b.backfilled
}

function openHand(path: string, failed: (left: Closable) => void): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    db = connect(path, BUSY_TIMEOUT_MS)
    unclosed.add(db)
    db.exec(HAND_PRAGMAS)
    const { journal_mode } = db.prepare('PRAGMA journal_mode').get() as { journal_mode: string }
    if (journal_mode !== 'wal') throw notWalMode(path, journal_mode)
    return db
  } catch (cause) {
    const opened = db
    if (opened !== undefined) failed({ close: () => closeConnection(opened) })
    throw cause instanceof DatabaseError ? cause : sqliteFailure(path, cause)
  }
}

/**
 * An application keeps the index of a log that was deleted, so that every other program looks for
 * frames that the new, empty log does not have.
 */
function isLogDeleted(path: string): boolean {
  const size = (suffix: string) => statSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0
  return size('-wal') === 0 && size('-shm') > 0
}

export function notWalMode(path: string, mode: string): DatabaseError {
  return new DatabaseError(
    'NotWalMode',
    path,
    `${path} is in journal mode "${mode}"; only WAL databases can be replicated.`,
    { hint: `Run once, with the app stopped:  sqlite3 '${path}' 'PRAGMA journal_mode=WAL;'` },
  )
}

/** SQLITE_NOTADB 26, SQLITE_CORRUPT 11, SQLITE_IOERR 10, SQLITE_BUSY 5, SQLITE_LOCKED 6. */
function sqliteFailure(path: string, cause: unknown): DatabaseError {
  const code = ((cause as { errcode?: number }).errcode ?? 0) & 0xff
  const reason = cause instanceof Error ? cause.message : String(cause)
  if (code === 26) {
    return new DatabaseError('NotADatabase', path, `${path} is not an SQLite database.`, { cause })
  }
  if (code === 11) {
    return new DatabaseError('Damaged', path, `${path} is damaged: ${reason}.`, {
      cause,
      hint: 'Run PRAGMA integrity_check, and restore from a replica if it fails.',
    })
  }
  if (code === 10 && isLogDeleted(path)) {
    return new DatabaseError(
      'Unreadable',
      path,
      `${path}-wal was deleted while an application had the database open: restart the application.`,
      {
        cause,
        hint: 'The application still writes to the deleted file, which nothing else can read. Let it end in the ordinary way: closing the database copies its last commits to the main file.',
      },
    )
  }
  if (code === 5 || code === 6) {
    return new DatabaseError('Busy', path, `${path} is locked by another connection: ${reason}.`, {
      cause,
      hint: 'Does an application use locking_mode=EXCLUSIVE? walsync needs normal locking.',
    })
  }
  const scarce = scarceDescriptors(path)
  if (scarce !== undefined) return scarce
  return new DatabaseError('Unreadable', path, `${path} cannot be opened: ${reason}.`, {
    cause,
    hint: 'walsync needs to read and write the database, its -wal and -shm, and their folder.',
  })
}
