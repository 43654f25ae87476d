import { existsSync } from 'node:fs'
import { Deadline } from '../async/deadline.ts'
import {
  type FolderWatch,
  fileTimes,
  type HalfOpen,
  identityAt,
  SourceDatabase,
} from '../db/index.ts'
import { SyncPace } from './capture/sync-pace.ts'
import type { DatabaseReplicator } from './database-replicator.ts'
import { IdleDatabase } from './idle/idle-database.ts'
import type { IdlePool } from './idle/idle-pool.ts'
import type { Known } from './replication-phase.ts'

/** If a write interrupts the closing of an idle database, the next attempt waits this many times longer. */
const IDLE_RETRY_RATIO = 5
/** Pause between attempts to close a connection under protection, in milliseconds: each starts a process. */
const CLOSE_AGAIN_MS = 2000

export interface LifecycleOptions {
  readonly path: string
  readonly syncMs: number
  readonly syncBurst: number
  readonly pollMs: number
  readonly idlePool: IdlePool
  readonly folders: FolderWatch
  readonly wake: () => void
  /** In milliseconds since 1970. */
  readonly now: () => number
  /** Creates the replicator of a database that was just opened. */
  readonly replicate: (source: SourceDatabase, known: Known) => DatabaseReplicator
}

/**
 * Whether one database is open, idle or missing, and the transitions between these. An idle
 * database has no connection and no descriptor open; a checksum of each page is kept in memory.
 */
export class DatabaseLifecycle {
  readonly #options: LifecycleOptions
  #replicator: DatabaseReplicator | undefined
  #pace: SyncPace | undefined
  #idle: IdleDatabase | undefined
  /** Abandoned but still open: closing it could have harmed the files that are at the path now. */
  #unclosed: { close(keepLog?: boolean): Promise<boolean> } | undefined
  /** Why the next database to be opened needs a new base. */
  #baseReason: string | undefined
  #mustKeepLog = false
  readonly #closePause = new Deadline()
  #identity: string | undefined
  /** Device and inode at the last check; `undefined` once the file was opened. */
  #checkedIdentity: string | undefined
  readonly #idlePause = new Deadline()
  /** When the idle database was opened again, in milliseconds since 1970. */
  #reopenedAt = 0

  constructor(options: LifecycleOptions) {
    this.#options = options
  }

  /** The replicator of the open database; `undefined` while it is idle or missing. */
  get replicator(): DatabaseReplicator | undefined {
    return this.#replicator
  }

  /** When to look for commits in the open database. */
  get pace(): SyncPace | undefined {
    return this.#pace
  }

  /** Everything is in the replica, and nothing is held open. */
  get isIdle(): boolean {
    return this.#idle !== undefined
  }

  /** Has the file of the idle database been removed? */
  isGone(): boolean {
    return this.#idle?.isGone() === true
  }

  /** How long an idle database need not be checked, in milliseconds. */
  get idleWaitMs(): number {
    return this.#idle?.waitMs ?? this.#options.pollMs
  }

  /**
   * Device and inode of the open or idle file, of the file that was checked if it has not been
   * opened since, or of the file at the path.
   */
  get identity(): string | undefined {
    if (this.#replicator !== undefined || this.#idle !== undefined) return this.#identity
    return this.#checkedIdentity ?? identityAt(this.#options.path)
  }

  /**
   * Reads only the header. No connection of this process to the file may be open.
   *
   * @throws DatabaseError
   */
  check(): void {
    SourceDatabase.check(this.#options.path)
    this.#checkedIdentity = identityAt(this.#options.path)
  }

  /**
   * Opens the database, or an idle one again. Returns false for an empty file.
   *
   * @throws DatabaseError
   */
  open(): boolean {
    const { path, syncMs, syncBurst, pollMs, idlePool, wake, replicate } = this.#options
    if (this.#replicator !== undefined) return true
    this.#checkedIdentity = undefined
    // A file that replaced the database may be next to a log that is not its own.
    const source = SourceDatabase.open(path, this.#mustKeepLog ? this.#keepHalfOpen : undefined)
    if (source === undefined) return false
    idlePool.opened()
    const walPath = source.wal.path
    this.#pace = new SyncPace({ walPath, syncMs, syncBurst, pollMs, wake })
    this.#identity = `${source.file.device}:${source.file.inode}`
    this.#replicator = replicate(source, this.#known())
    this.#baseReason = undefined
    if (this.#idle !== undefined) {
      this.#reopenedAt = this.#options.now()
      this.#pace.expect()
      this.#idle.unwatch()
    }
    this.#idle = undefined
    return true
  }

  #known(): Known {
    if (this.#idle !== undefined) {
      const isMainFileChanged = this.#idle.isMainFileChanged()
      return { kind: 'idle', sums: this.#idle.sums, isMainFileChanged }
    }
    const reason = this.#baseReason
    return reason === undefined ? { kind: 'nothing' } : { kind: 'needsBase', reason }
  }

  readonly #keepHalfOpen = (left: HalfOpen): void => {
    this.#options.idlePool.opened()
    this.#unclosed = left
  }

  /** Is there a database to open? An idle one only when its files have changed. */
  mustOpen(): boolean {
    if (this.#replicator !== undefined || this.#unclosed !== undefined) return false
    if (!existsSync(this.#options.path)) return false
    return this.#idle?.hasChanged() ?? true
  }

  /** Closes the connections. */
  async close(keepLog?: boolean): Promise<void> {
    this.#idle?.unwatch()
    this.#idle = undefined
    const replicator = this.#replicator
    this.#replicator = undefined
    this.#pace?.stop()
    this.#unclosed ??= replicator
    await this.closeLeftover(keepLog)
  }

  /**
   * Closes a database whose files are no longer the ones at its path. What is there now gets a new
   * base when it is opened.
   */
  async abandon(reason: string): Promise<void> {
    this.#baseReason = reason
    this.#mustKeepLog = true
    await this.close()
  }

  /** Closes a connection that could not be closed before. Returns false if it still cannot: nothing else can be opened then. */
  async closeLeftover(keepLog?: boolean): Promise<boolean> {
    if (this.#unclosed === undefined) return true
    if (this.#closePause.left(this.#options.now()) > 0) return false
    if (!(await this.#unclosed.close(keepLog))) {
      this.#closePause.set(this.#options.now(), CLOSE_AGAIN_MS)
      return false
    }
    this.#options.idlePool.closed()
    this.#unclosed = undefined
    return true
  }

  /**
   * Closes a quiet database if too many are open and all of it is in the replica. If it is written
   * to in the meantime, it is opened again.
   *
   * @returns whether it was closed, if only for a moment
   */
  async closeIfIdle(now: number): Promise<boolean> {
    const { path, pollMs, idlePool, folders, wake } = this.#options
    const replicator = this.#replicator
    const quietSince = Math.max(this.#pace?.capturedAt ?? 0, this.#reopenedAt)
    if (!idlePool.isCrowded || replicator === undefined) return false
    if (this.#idlePause.left(now) > 0 || now - quietSince < idlePool.idleAfterMs) return false
    const paths = { given: path, real: replicator.source.path }
    const before = fileTimes(paths)
    const sums = await replicator.readIdleState()
    if (sums === undefined) return false
    const idle = new IdleDatabase(paths, sums, folders, pollMs, wake)
    await this.close()
    this.#idle = idle
    if (await idle.confirm(before)) return true
    this.#idlePause.set(now, IDLE_RETRY_RATIO * idlePool.idleAfterMs)
    if (existsSync(path)) this.open()
    return true
  }
}
