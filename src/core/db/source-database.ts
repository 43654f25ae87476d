import { existsSync, readFileSync, statSync } from 'node:fs'
import { DatabaseError } from './database-error.ts'
import { DatabaseFile } from './database-file.ts'
import { identityAt } from './file-identity.ts'
import { fileTimesWithIndex } from './file-times.ts'
import { holdOpen } from './hold-open.ts'
import { explain, isPageOneOf, type MainFileLook, runName } from './main-file-look.ts'
import { notWalMode, ReadGuard } from './read-guard.ts'
import { WalCapture } from './wal-capture.ts'
import { WalFile } from './wal-file.ts'
import type { WalIndexState } from './wal-index-file.ts'

/**
 * Older versions of SQLite have the WAL-reset bug, which a second connection that checkpoints can
 * trigger (sqlite.org/wal.html).
 */
export const MIN_SQLITE: readonly number[] = [3, 51, 3]

/** SQLITE_BUSY and SQLITE_LOCKED. */
const BUSY: ReadonlySet<number> = new Set([5, 6])
const SIDECARS = ['-wal', '-shm'] as const
/**
 * If nothing is written for this long, in milliseconds, a suspected checkpoint was killed, or was
 * none.
 */
const STALLED_COPY_MS = 30_000

/** A check that finds every file untouched ends there, but for one in this many. */
const FULL_CHECK_EVERY = 10

/** How the files differ from what is open. */
export interface FileMismatch {
  readonly reason: string
  /**
   * `replaced`: the path leads to another database or another log, so what is open must be closed.
   * `removed`: the log or its index has been deleted, and nothing has taken its name yet. An
   * application that is still running continues to use the deleted files, so they are still
   * captured, but not checkpointed: the next application to start begins another log.
   */
  readonly kind: 'replaced' | 'removed'
}

interface Closable {
  close(): void
}

/** Connections of an open that failed. */
export interface HalfOpen {
  /** Closes them without a checkpoint. False while that is not possible. */
  close(): Promise<boolean>
}

/** One live database as walsync has it open: the file, its WAL, the read guard and the capture. */
export class SourceDatabase {
  readonly file: DatabaseFile
  readonly wal: WalFile
  readonly guard: ReadGuard
  readonly capture: WalCapture
  /** In bytes. */
  readonly pageSize: number
  /** Identities of `-wal` and `-shm` when the connections had opened them. */
  readonly #sidecars: ReadonlyMap<string, string | undefined>
  #lastLook: MainFileLook | undefined
  /** Page 1 of the main file at that moment. */
  #pageOne: Uint8Array | undefined
  /** The main file has changed, and the log does not explain it yet. */
  #copying: { readonly mtimeNs: bigint; readonly since: number } | undefined
  readonly #mustKeepLog: boolean
  /** What a complete check without a finding saw of the files, if it says all about them. */
  #settled: string | undefined
  #checksSinceSettled = 0

  private constructor(
    file: DatabaseFile,
    guard: ReadGuard,
    pageSize: number,
    mustKeepLog: boolean,
  ) {
    this.#mustKeepLog = mustKeepLog
    this.file = file
    this.wal = new WalFile(file.path)
    this.wal.pin()
    this.guard = guard
    this.pageSize = pageSize
    this.capture = new WalCapture(file.path, this.wal, guard, pageSize)
    this.#sidecars = new Map(
      SIDECARS.map((suffix) => [suffix, identityAt(file.path + suffix)] as const),
    )
  }

  /** The path with links resolved. */
  get path(): string {
    return this.file.path
  }

  /**
   * Opens a database in WAL mode; takes no lock yet. `undefined` for an empty file: a database
   * whose journal mode is still undecided.
   *
   * @param foreignLog for a log that may belong to another database, so that no close may
   *   checkpoint it: receives what a failed open leaves open, to be closed under protection
   * @throws DatabaseError `MissingFile`, `NotAFile`, `Unreadable`, `NotADatabase`, `NotWalMode`, `Busy`, `Unsupported`
   */
  static open(path: string, foreignLog?: (left: HalfOpen) => void): SourceDatabase | undefined {
    assertSqliteVersion(path)
    const file = DatabaseFile.open(path)
    const left: Closable[] = []
    const failed = (connection: Closable): void => {
      // An empty log has nothing to checkpoint, and no application can start while its index is
      // held open.
      if (foreignLog === undefined || bytesOf(`${file.path}-wal`) === 0) connection.close()
      else left.push(connection)
    }
    try {
      const header = file.readHeader()
      if (header === undefined) {
        file.close()
        return undefined
      }
      if (!header.isWal) throw notWalMode(path, 'delete')
      const guard = new ReadGuard(file.path, failed)
      try {
        return new SourceDatabase(file, guard, header.pageSize, foreignLog !== undefined)
      } catch (error) {
        failed(guard)
        throw error
      }
    } catch (error) {
      if (left.length === 0) file.close()
      else foreignLog?.({ close: () => closeProtected(file, [...left, file]) })
      throw error
    }
  }

  /**
   * Reads only the header, without a connection. No connection of this process to the file may be
   * open: closing the descriptor would drop its locks.
   *
   * @throws DatabaseError as `open`, except `Busy`
   */
  static check(path: string): void {
    assertSqliteVersion(path)
    const file = DatabaseFile.open(path)
    try {
      if (file.readHeader()?.isWal === false) throw notWalMode(path, 'delete')
    } finally {
      file.close()
    }
  }

  /**
   * `mismatch`, at the price of three calls of `stat` while nothing has touched the files: any write
   * and any change of a name since the last complete check shows in what they say.
   */
  mismatchIfTouched(): FileMismatch | undefined {
    const { text, isOldEnough } = fileTimesWithIndex({ given: this.file.given, real: this.path })
    this.#checksSinceSettled += 1
    if (text === this.#settled && this.#checksSinceSettled < FULL_CHECK_EVERY) return undefined
    const before = this.#lastLook
    const mismatch = this.mismatch()
    const isComplete = this.#lastLook !== before && this.#copying === undefined
    this.#settled = mismatch === undefined && isComplete && isOldEnough ? text : undefined
    this.#checksSinceSettled = 0
    return mismatch
  }

  /**
   * Why what is open is no longer the database at the path; `undefined` if it still is. A database
   * is a path and three files: the path may lead elsewhere, each of the files may have been removed
   * or replaced, and the main file may have been written to by something that does not use this
   * log.
   */
  mismatch(): FileMismatch | undefined {
    const reason = this.#whatWasReplaced()
    if (reason !== undefined) return { reason, kind: 'replaced' }
    const removed = SIDECARS.find((suffix) => identityAt(this.file.path + suffix) === undefined)
    if (removed === undefined) return undefined
    // No application can start with an index that has no log: it is closed, so that the next
    // application creates both again.
    const kind = identityAt(`${this.file.path}-shm`) === undefined ? 'removed' : 'replaced'
    return {
      reason: `${this.file.path}${removed} was removed while it was in use`,
      kind,
    }
  }

  #whatWasReplaced(): string | undefined {
    const { file } = this
    const target = file.target()
    if (target === undefined) return `there is no longer a database at ${file.given}`
    if (target !== file.path)
      return `${file.given} leads to ${target} now, no longer to ${file.path}`
    if (!file.isCurrent()) return `another file has taken the place of ${file.path}`
    for (const [suffix, identity] of this.#sidecars) {
      const now = identityAt(file.path + suffix)
      if (now !== undefined && now !== identity)
        return `another file has taken the place of ${file.path}${suffix}`
    }
    // A deleted log is still captured, together with its index, as long as the two belong together.
    if (!this.guard.index.isOfLog(this.wal, this.pageSize))
      return `${file.path}-wal was overwritten or cut off`
    return this.#lookAtMainFile()
  }

  /**
   * Call this before anything that relies on the files belonging to the database.
   *
   * @throws DatabaseError `Replaced`
   */
  assertCurrent(): void {
    const mismatch = this.mismatch()
    if (mismatch === undefined) return
    throw new DatabaseError('Replaced', this.file.given, `${sentence(mismatch.reason)}.`)
  }

  /**
   * Closes the connections, then the descriptor. If no other connection is open, SQLite checkpoints
   * and deletes the WAL, so a log that no longer belongs to the database is closed under the
   * protection of another process (`holdOpen`). SQLite does not touch a main file that was moved
   * away.
   *
   * @param keepLog also protect a log that does belong to the database
   * @returns false if that protection is not available: everything stays open
   */
  async close(keepLog = this.#mustKeepLog): Promise<boolean> {
    const mismatch = this.mismatch()
    if ((!keepLog && mismatch === undefined) || !this.file.isCurrent()) {
      this.#close()
      return true
    }
    return await closeProtected(this.file, [{ close: () => this.#close() }])
  }

  #close(): void {
    this.guard.close()
    this.wal.close()
    this.file.close()
  }

  #lookAtMainFile(): string | undefined {
    const { mark } = this.capture
    if (mark === undefined) return undefined
    let state: WalIndexState
    try {
      state = this.guard.state()
    } catch (error) {
      const { errcode = 0, message } = error as Error & { errcode?: number }
      if (BUSY.has(errcode & 0xff)) return undefined
      return `the WAL index of ${this.file.path} can no longer be read (${message})`
    }
    const { published, backfilled } = state
    const run = runName(this.wal.readHeader())
    const { captured, earlier } = this.capture.runs
    // In a run that has not been noticed yet, the guard holds mark 0.
    const log = run === captured.name ? { run, earlier, mark } : { run, earlier: captured, mark: 0 }
    const now = { ...this.file.times(), ...log, backfilled }
    const before = this.#lastLook
    const explained = before === undefined ? 'yes' : explain(before, now)
    const isOurs =
      explained === 'yes' || (explained === 'perhaps' && this.#mayBeCopying(now, published))
    if (!isOurs) return `${this.file.path} was changed by something that does not use its log`
    if (explained === 'perhaps') return undefined
    if (before?.mtimeNs !== now.mtimeNs) this.#pageOne = this.#readPageOne()
    this.#lastLook = now
    this.#copying = undefined
    return undefined
  }

  /** A checkpoint writes page 1 first, from the log, and then either continues or ends. */
  #mayBeCopying({ mtimeNs }: MainFileLook, published: number): boolean {
    const page = this.#readPageOne()
    const isKnown = this.#pageOne !== undefined && Buffer.compare(page, this.#pageOne) === 0
    if (!isKnown && !isPageOneOf(this.wal, page, published)) return false
    if (this.#copying?.mtimeNs !== mtimeNs) this.#copying = { mtimeNs, since: Date.now() }
    return Date.now() - this.#copying.since < STALLED_COPY_MS
  }

  #readPageOne(): Uint8Array {
    const page = new Uint8Array(this.pageSize)
    this.file.read(page, 0)
    return page
  }
}

/** 32 bits that identify this boot of the machine; 0 on systems that do not provide them. */
export function currentBootId(): number {
  try {
    const text = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')
    return Number.parseInt(text.slice(0, 8), 16) || 1
  } catch {
    return 0
  }
}

function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/**
 * Closes connections so that none of them is the last one on the main file. False if that is not
 * possible.
 */
async function closeProtected(file: DatabaseFile, parts: readonly Closable[]): Promise<boolean> {
  // Opening an empty file would delete the log next to it. Once an application has done so, nothing
  // is left to protect, and it could not make its database while the empty file is held open.
  if (file.isCurrent() && file.size() === 0 && existsSync(`${file.path}-wal`)) return false
  const release = file.isCurrent() ? await holdOpen(file.path, file.identity) : async () => {}
  if (release === undefined) return false
  try {
    for (const part of parts) part.close()
  } finally {
    await release()
  }
  return true
}

/** Capitalizes the first letter, except that of a path. */
function sentence(reason: string): string {
  return /^[a-z]/.test(reason) ? reason[0]!.toUpperCase() + reason.slice(1) : reason
}

function assertSqliteVersion(path: string): void {
  const version = process.versions.sqlite ?? '0'
  const parts = version.split('.').map(Number)
  const at = MIN_SQLITE.findIndex((wanted, i) => (parts[i] ?? 0) !== wanted)
  if (at === -1 || (parts[at] ?? 0) > MIN_SQLITE[at]!) return
  throw new DatabaseError(
    'Unsupported',
    path,
    `This Node has SQLite ${version}, which can corrupt a WAL.`,
    {
      hint: `Use a Node with SQLite ${MIN_SQLITE.join('.')} or newer.`,
    },
  )
}
