import { readFileSync } from 'node:fs'
import { DatabaseError } from './database-error.ts'
import { DatabaseFile } from './database-file.ts'
import { notWalMode, ReadGuard } from './read-guard.ts'
import { WalCapture } from './wal-capture.ts'
import { WalFile } from './wal-file.ts'

/** SQLite before this has the WAL-reset bug, which a second connection that checkpoints can trigger (sqlite.org/wal.html). */
const MIN_SQLITE = [3, 51, 3] as const

/** One live database as walsync holds it: the file, its WAL, the read guard and the place reached. */
export class SourceDatabase {
  readonly file: DatabaseFile
  readonly wal: WalFile
  readonly guard: ReadGuard
  readonly capture: WalCapture
  /** In bytes. */
  readonly pageSize: number

  private constructor(file: DatabaseFile, guard: ReadGuard, pageSize: number) {
    this.file = file
    this.wal = new WalFile(file.path)
    this.guard = guard
    this.pageSize = pageSize
    this.capture = new WalCapture(file.path, this.wal, guard, pageSize)
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

  /** Closes the connections, then the descriptor. If no other connection is open, SQLite deletes the WAL. */
  close(): void {
    this.guard.close()
    this.wal.close()
    this.file.close()
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
