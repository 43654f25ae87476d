import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { DatabaseError } from './database-error.ts'
import { scarceDescriptors } from './few-descriptors.ts'

/** State of the WAL index. Both counts are frames of the current run. */
export interface WalIndexState {
  /** Frames committed and visible to other connections (mxFrame). */
  readonly published: number
  /** Frames copied into the database file (nBackfill). */
  readonly backfilled: number
}

/**
 * Connections that have not been closed. The garbage collector closes connections that nothing
 * refers to, and the last close copies the log into the main file, even a log that was kept open to
 * prevent just that.
 */
const unclosed = new Set<DatabaseSync>()

interface Hand {
  readonly db: DatabaseSync
  readonly probe: StatementSync
  readonly count: StatementSync
}

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
  readonly #hands: readonly [Hand, Hand]
  #held: 0 | 1 | undefined

  /**
   * Opens both connections; no transaction yet.
   *
   * @param failed receives connections that are left open when the second step fails; by default
   *   they are closed
   * @throws DatabaseError `NotWalMode`, `NotADatabase`, `Busy`, `Unreadable`
   */
  constructor(path: string, failed: (db: DatabaseSync) => void = (db) => db.close()) {
    const first = openHand(path, failed)
    try {
      this.#hands = [first, openHand(path, failed)]
    } catch (error) {
      failed(first.db)
      throw error
    }
  }

  /**
   * Begins a read transaction on the free connection, then ends the one on the other. On failure
   * the old one is kept.
   */
  take(): void {
    const next = this.#held === 0 ? 1 : 0
    const { db } = this.#hands[next]
    try {
      db.exec('BEGIN; PRAGMA schema_version')
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
    if (this.#held !== undefined) this.#hands[this.#held].db.exec('COMMIT')
    this.#held = next
  }

  /** Ends the read transaction: the log may now be restarted at any time. */
  release(): void {
    if (this.#held !== undefined) this.#hands[this.#held].db.exec('COMMIT')
    this.#held = undefined
  }

  /** Reads the WAL index on the free connection, without a lock and without a checkpoint (SQLITE_CHECKPOINT_NOOP). */
  state(): WalIndexState {
    const free = this.#hands[this.#held === 0 ? 1 : 0]
    const row = free.probe.get() as { log: number; checkpointed: number }
    return { published: Math.max(0, row.log), backfilled: Math.max(0, row.checkpointed) }
  }

  /** Database size in pages as the held transaction sees it. */
  pageCount(): number {
    if (this.#held === undefined) throw new TypeError('pageCount needs a held read transaction')
    return (this.#hands[this.#held].count.get() as { page_count: number }).page_count
  }

  /** Closes both connections. The last one to close deletes the WAL, and with it the proof of continuity. */
  close(): void {
    for (const { db } of this.#hands) {
      if (db.isOpen) db.close()
      unclosed.delete(db)
    }
    this.#held = undefined
  }
}

function openHand(path: string, failed: (db: DatabaseSync) => void): Hand {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(path, { timeout: 100 })
    for (const one of unclosed) if (!one.isOpen) unclosed.delete(one)
    unclosed.add(db)
    db.exec('PRAGMA cache_size = 1; PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 0')
    const { journal_mode } = db.prepare('PRAGMA journal_mode').get() as { journal_mode: string }
    if (journal_mode !== 'wal') throw notWalMode(path, journal_mode)
    return {
      db,
      probe: db.prepare('PRAGMA wal_checkpoint(NOOP)'),
      count: db.prepare('PRAGMA page_count'),
    }
  } catch (cause) {
    if (db?.isOpen) failed(db)
    throw cause instanceof DatabaseError ? cause : sqliteFailure(path, cause)
  }
}

export function notWalMode(path: string, mode: string): DatabaseError {
  return new DatabaseError(
    'NotWalMode',
    path,
    `${path} is in journal mode "${mode}"; only WAL databases can be replicated.`,
    { hint: `Run once, with the app stopped:  sqlite3 '${path}' 'PRAGMA journal_mode=WAL;'` },
  )
}

/** SQLITE_NOTADB 26, SQLITE_CORRUPT 11, SQLITE_BUSY 5, SQLITE_LOCKED 6. */
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
