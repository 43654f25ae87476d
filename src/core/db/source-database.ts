import { readFileSync } from 'node:fs'
import { DatabaseError } from './database-error.ts'
import { DatabaseFile } from './database-file.ts'
import { identityAt } from './file-identity.ts'
import { holdOpen } from './hold-open.ts'
import { isExplained, type MainFileLook } from './main-file-look.ts'
import { notWalMode, ReadGuard } from './read-guard.ts'
import { WalCapture } from './wal-capture.ts'
import { WalFile } from './wal-file.ts'

/** SQLite before this has the WAL-reset bug, which a second connection that checkpoints can trigger (sqlite.org/wal.html). */
const MIN_SQLITE = [3, 51, 3] as const

const SIDECARS = ['-wal', '-shm'] as const

/** One live database as walsync holds it: the file, its WAL, the read guard and the place reached. */
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

  private constructor(file: DatabaseFile, guard: ReadGuard, pageSize: number) {
    this.file = file
    this.wal = new WalFile(file.path)
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
   * Opens a database in WAL mode; takes no lock yet. `undefined` for a file of no bytes: an empty
   * database whose journal mode is not decided yet.
   *
   * @throws DatabaseError `MissingFile`, `NotAFile`, `Unreadable`, `NotADatabase`, `NotWalMode`, `Busy`, `Unsupported`
   */
  static open(path: string): SourceDatabase | undefined {
    assertSqliteVersion(path)
    const file = DatabaseFile.open(path)
    try {
      const header = file.readHeader()
      if (header === undefined) {
        file.close()
        return undefined
      }
      if (!header.isWal) throw notWalMode(path, 'delete')
      return new SourceDatabase(file, new ReadGuard(file.path), header.pageSize)
    } catch (error) {
      file.close()
      throw error
    }
  }

  /**
   * Looks at the header alone, without a connection. No connection of this process to the file may
   * be open: the descriptor's close would drop its locks.
   *
   * @throws DatabaseError as `open`, but `Busy`
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
   * Why what is open is no longer the database that the path names; `undefined` if it is. A database
   * is a path and three files: the path may lead elsewhere, each of the files may have been removed
   * or replaced, and the main file may have been written to by somebody who does not follow this log.
   */
  mismatch(): string | undefined {
    const { file } = this
    const target = file.target()
    if (target === undefined) return `there is no database at ${file.given} any more`
    if (target !== file.path)
      return `${file.given} leads to ${target} now, no longer to ${file.path}`
    if (!file.isCurrent()) return `another file has taken the place of ${file.path}`
    for (const [suffix, identity] of this.#sidecars) {
      const now = identityAt(file.path + suffix)
      if (now === undefined) return `${file.path}${suffix} was removed while it was in use`
      if (now !== identity) return `another file has taken the place of ${file.path}${suffix}`
    }
    return this.#lookAtMainFile()
  }

  /**
   * To be called before anything that relies on the files being the database's.
   *
   * @throws DatabaseError `Replaced`
   */
  assertCurrent(): void {
    const reason = this.mismatch()
    if (reason === undefined) return
    throw new DatabaseError('Replaced', this.file.given, `${sentence(reason)}.`)
  }

  /**
   * Closes the connections, then the descriptor. If no other connection is open, SQLite checkpoints
   * and deletes the WAL, so a log that is no longer the database's is closed under the protection of
   * another process (`holdOpen`); a main file that was moved away SQLite leaves alone by itself.
   *
   * @returns false if that protection could not be had: everything stays open
   */
  async close(): Promise<boolean> {
    if (this.mismatch() === undefined || !this.file.isCurrent()) {
      this.#close()
      return true
    }
    // Opening an empty file would delete the log beside it.
    if (this.file.size() === 0) return false
    const release = await holdOpen(this.file.path, this.file.identity)
    if (release === undefined) return false
    try {
      this.#close()
    } finally {
      release()
    }
    return true
  }

  #close(): void {
    this.guard.close()
    this.wal.close()
    this.file.close()
  }

  #lookAtMainFile(): string | undefined {
    const { mark } = this.capture
    if (mark === undefined) return undefined
    const { backfilled } = this.guard.state()
    const header = this.wal.readHeader()
    const run = header === undefined ? '' : `${header.salt1}:${header.salt2}:${header.sequence}`
    const now = { ...this.file.times(), run, backfilled, mark }
    const before = this.#lastLook
    if (before !== undefined && !isExplained(before, now)) {
      return `${this.file.path} was changed by something that does not use its log`
    }
    this.#lastLook = now
    return undefined
  }
}

/** 32 bits that tell this boot of the machine from others; 0 where the system does not say. */
export function currentBootId(): number {
  try {
    const text = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')
    return Number.parseInt(text.slice(0, 8), 16) || 1
  } catch {
    return 0
  }
}

/** With a capital; a path keeps its own first letter. */
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
