import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { decodeWalHeader, isSameRun, WAL_HEADER_SIZE, type WalHeader } from '../wal/index.ts'
import { fewDescriptors } from './few-descriptors.ts'

/**
 * The `-wal` file of a database. SQLite takes no locks on it, so it may be opened and closed
 * freely, unlike the main file and the `-shm`.
 */
export class WalFile {
  readonly path: string
  #fd: number | undefined
  readonly #headerBytes = new Uint8Array(WAL_HEADER_SIZE)

  constructor(databasePath: string) {
    this.path = `${databasePath}-wal`
  }

  /** The header of the current run; `undefined` if there is no valid header. */
  readHeader(): WalHeader | undefined {
    return this.read(this.#headerBytes, 0) < WAL_HEADER_SIZE
      ? undefined
      : decodeWalHeader(this.#headerBytes)
  }

  /** Has the log been restarted since `run`? A TRUNCATE checkpoint leaves no header until the next commit. */
  isRestarted(run: WalHeader): boolean {
    const header = this.readHeader()
    if (header !== undefined) return !isSameRun(run, header)
    return this.size() === 0 || this.readHeader() !== undefined
  }

  /** Fills `into` from byte `offset`; returns the bytes read, fewer at the end of the file. */
  read(into: Uint8Array, offset: number): number {
    const fd = this.#open()
    return fd === undefined ? 0 : readSync(fd, into, 0, into.length, offset)
  }

  /**
   * In bytes; 0 if there is no file. Says nothing about the content: older frames remain after
   * newer ones.
   */
  size(): number {
    const fd = this.#open()
    return fd === undefined ? 0 : fstatSync(fd).size
  }

  /** Opens the file that SQLite also has open: a file that takes its name later is another log. */
  pin(): void {
    this.#open()
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }

  #open(): number | undefined {
    if (this.#fd !== undefined) return this.#fd
    try {
      this.#fd = openSync(this.path, 'r')
    } catch (error) {
      const few = fewDescriptors(this.path, error)
      if (few !== undefined) throw few
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    return this.#fd
  }
}
