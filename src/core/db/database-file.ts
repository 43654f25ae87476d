import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs'
import { promisify } from 'node:util'
import { DatabaseError } from './database-error.ts'
import { fewDescriptors } from './few-descriptors.ts'
import { identityAt, isMountPoint } from './file-identity.ts'

/** What page 1 says. SQLite file format, section 1.3. */
export interface DatabaseHeader {
  /** In bytes. */
  readonly pageSize: number
  /** Bytes 18 and 19: 2 and 2 in WAL mode. */
  readonly isWal: boolean
}

const datasync = promisify(fdatasync)
const HEADER_STRING = 'SQLite format 3\0'

/**
 * The main file of one database, held by one descriptor for as long as walsync has SQLite
 * connections to it. POSIX locks belong to the process: closing any descriptor of the file would
 * drop the locks of every SQLite connection in this process.
 */
export class DatabaseFile {
  /** With links resolved, so that two spellings of one file give one path. */
  readonly path: string
  /** As it was given: a link in it may lead elsewhere later. */
  readonly given: string
  readonly device: number
  readonly inode: number
  readonly #fd: number

  private constructor(given: string, path: string, fd: number) {
    const stat = fstatSync(fd)
    this.given = given
    this.path = path
    this.device = stat.dev
    this.inode = stat.ino
    this.#fd = fd
  }

  /** @throws DatabaseError `MissingFile`, `NotAFile`, `Unreadable`, `Unsupported` for a file with several names */
  static open(path: string): DatabaseFile {
    const real = resolve(path)
    let fd: number
    try {
      // Opened for writing too: SQLite needs that for its locks, so a file that refuses it cannot be replicated.
      fd = openSync(real, constants.O_RDWR)
    } catch (cause) {
      const few = fewDescriptors(path, cause)
      if (few !== undefined) throw few
      throw new DatabaseError(
        'Unreadable',
        path,
        `${path} cannot be opened for reading and writing.`,
        {
          cause,
          hint: 'Run walsync as a user that may read and write the database and its folder: SQLite takes its locks in the -shm file next to it.',
        },
      )
    }
    const file = new DatabaseFile(path, real, fd)
    const reason = logIsElsewhere(real, fd)
    if (reason === undefined) return file
    file.close()
    throw new DatabaseError('Unsupported', path, `${path} ${reason}.`, {
      hint: 'Give the file one name, and mount its folder instead of the file: SQLite keeps the log next to the name under which a file is opened, so another name means another log.',
    })
  }

  /**
   * Reads page 1's header. `undefined` for an empty file, which SQLite treats as an empty database.
   *
   * @throws DatabaseError `NotADatabase`
   */
  readHeader(): DatabaseHeader | undefined {
    const bytes = Buffer.alloc(100)
    const length = readSync(this.#fd, bytes, 0, 100, 0)
    if (length === 0) return undefined
    if (length < 100 || bytes.toString('latin1', 0, 16) !== HEADER_STRING) {
      throw new DatabaseError(
        'NotADatabase',
        this.path,
        `${this.path} is not an SQLite database.`,
        {
          hint: 'Give the path of the main database file. Encrypted databases cannot be replicated.',
        },
      )
    }
    const stored = bytes.readUInt16BE(16)
    return { pageSize: stored === 1 ? 65536 : stored, isWal: bytes[18] === 2 && bytes[19] === 2 }
  }

  /** Device and inode. */
  get identity(): string {
    return `${this.device}:${this.inode}`
  }

  /** Fills `into` from byte `offset`; returns the bytes read, fewer at the end of the file. */
  read(into: Uint8Array, offset: number): number {
    return readSync(this.#fd, into, 0, into.length, offset)
  }

  /** In bytes. */
  size(): number {
    return fstatSync(this.#fd).size
  }

  /** Size in bytes and time of the last change in nanoseconds. */
  times(): { readonly size: number; readonly mtimeNs: bigint } {
    const { size, mtimeNs } = fstatSync(this.#fd, { bigint: true })
    return { size: Number(size), mtimeNs }
  }

  /**
   * Flushes what checkpoints have copied. SQLite leaves that to the checkpoint that reaches the end
   * of the log (`walCheckpoint` in wal.c), which would then do it with writers kept out.
   *
   * @throws DatabaseError `Unreadable`
   */
  async flush(): Promise<void> {
    try {
      await datasync(this.#fd)
    } catch (cause) {
      throw new DatabaseError('Unreadable', this.path, `${this.path} cannot be flushed.`, {
        cause,
        hint: 'Check the disk and its file system; the log of the kernel says what failed.',
      })
    }
  }

  /** Where the given path leads now; `undefined` if there is nothing. */
  target(): string | undefined {
    try {
      return realpathSync(this.given)
    } catch {
      return undefined
    }
  }

  /** Is this file still the one at its path? */
  isCurrent(): boolean {
    return identityAt(this.path) === this.identity
  }

  /** Only after every SQLite connection to the file has been closed. */
  close(): void {
    closeSync(this.#fd)
  }
}

/** Why an application may keep its log somewhere else than we expect it. */
function logIsElsewhere(real: string, fd: number): string | undefined {
  const { nlink } = fstatSync(fd)
  if (nlink > 1) return `has ${nlink} hard links`
  return isMountPoint(real) ? 'is itself a mount point' : undefined
}

function resolve(path: string): string {
  try {
    const real = realpathSync(path)
    if (!statSync(real).isFile()) {
      throw new DatabaseError('NotAFile', path, `${path} is not a regular file.`, {
        hint: 'Give the path of the main database file.',
      })
    }
    return real
  } catch (cause) {
    if (cause instanceof DatabaseError) throw cause
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    if (missing) {
      throw new DatabaseError('MissingFile', path, `There is no database at ${path}.`, {
        cause,
        hint: 'Check the path; walsync does not create databases.',
      })
    }
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause)
    throw new DatabaseError('Unreadable', path, `${path} cannot be reached: ${reason}.`, {
      cause,
      hint: 'Check where links lead and whether this user may enter the folders above it.',
    })
  }
}
