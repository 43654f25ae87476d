import { dirname, join } from 'node:path'
import { ExitCode, WalsyncError } from '../errors.ts'
import { makeDir, syncDir } from './durable-dir.ts'
import { type DurableFs, type DurableHandle, type DurableStats, nodeFs } from './durable-fs.ts'
import { tempName } from './temp-name.ts'

/** Owner writes, group reads, nobody else: the files hold databases, and a backup operator's group may copy them. Lowered further by umask. */
export const FILE_MODE = 0o640

/** Attempts to put a name into a folder that is missing, or that others remove because it is empty. */
const ATTEMPTS = 10

export interface DurableFileOptions {
  /** Folder of the staged file, on the target's file system. Default: the target's folder. */
  readonly tempDir?: string | undefined
  /** Permission bits before umask. Default 0640. */
  readonly mode?: number | undefined
  /** Default: Node's own. */
  readonly fs?: DurableFs | undefined
}

/**
 * A file that gets its name only when all of it is on the disk: stage, write, `seal` (fsync and
 * close), `publish` (rename, or link to create only, then fsync of the folder). Every way out that
 * is not a success removes the staged file.
 */
export class DurableFile {
  readonly target: string
  readonly tempPath: string
  readonly #fs: DurableFs
  readonly #handle: DurableHandle
  #state: 'open' | 'sealed' | 'over' = 'open'

  private constructor(target: string, tempPath: string, fs: DurableFs, handle: DurableHandle) {
    this.target = target
    this.tempPath = tempPath
    this.#fs = fs
    this.#handle = handle
  }

  /** @throws DurableWriteError `NotWritten` */
  static async open(target: string, options: DurableFileOptions = {}): Promise<DurableFile> {
    const { tempDir = dirname(target), mode = FILE_MODE, fs = nodeFs } = options
    const tempPath = join(tempDir, tempName())
    try {
      const handle = await inFolder(tempDir, fs, () => fs.create(tempPath, mode))
      return new DurableFile(target, tempPath, fs, handle)
    } catch (error) {
      throw new DurableWriteError('NotWritten', target, error)
    }
  }

  /** Appends all of the bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#step(async () => {
      let done = 0
      while (done < bytes.byteLength) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.byteLength - done)
        done += bytesWritten
      }
    })
  }

  /**
   * Flushes and closes the staged file. A failed fsync is final: the kernel may have dropped the
   * pages, and a second fsync would report success for lost bytes (PostgreSQL's "fsyncgate").
   *
   * @param mtime modification time to give it; kept to the millisecond, never rounded up
   */
  async seal(
    options: { readonly mtime?: Date | undefined; readonly mode?: number | undefined } = {},
  ): Promise<DurableStats> {
    return this.#step(async () => {
      if (options.mode !== undefined) await this.#handle.chmod(options.mode)
      if (options.mtime !== undefined) {
        const seconds = toSeconds(options.mtime)
        await this.#handle.utimes(seconds, seconds)
      }
      await this.#handle.sync()
      const stats = await this.#handle.stat({ bigint: true })
      this.#state = 'sealed'
      await this.#handle.close()
      return stats
    })
  }

  /**
   * Gives the sealed file its name and flushes the folder.
   *
   * @param how `replace` renames over what is there; `create` fails with `EEXIST` in the cause if
   *   the name is taken, atomically also among processes (link(2))
   * @returns the folder's stats after the flush
   * @throws DurableWriteError `NotWritten`, or `MaybeWritten` if only the folder's flush failed
   */
  async publish(how: 'replace' | 'create'): Promise<DurableStats> {
    await this.#step(() => this.#rename(how))
    this.#state = 'over'
    // The file has its name; a second name in the staging folder is swept like any leftover.
    if (how === 'create') await this.#fs.unlink(this.tempPath).catch(() => {})
    try {
      return await syncDir(dirname(this.target), this.#fs)
    } catch (error) {
      throw new DurableWriteError('MaybeWritten', this.target, error)
    }
  }

  /** Removes the staged file. Does nothing after `publish`, successful or not. */
  async discard(): Promise<void> {
    if (this.#state === 'over') return
    const open = this.#state === 'open'
    this.#state = 'over'
    // Both best effort: the write has failed already, and a leftover is swept later.
    if (open) await this.#handle.close().catch(() => {})
    await this.#fs.unlink(this.tempPath).catch(() => {})
  }

  async #rename(how: 'replace' | 'create'): Promise<void> {
    const { target, tempPath } = this
    const fs = this.#fs
    await inFolder(dirname(target), fs, () =>
      how === 'create' ? fs.link(tempPath, target) : fs.rename(tempPath, target),
    )
  }

  async #step<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      await this.discard()
      throw new DurableWriteError('NotWritten', this.target, error)
    }
  }
}

/** Makes the folder as often as it is not there: another process may remove it between two calls. */
async function inFolder<T>(dir: string, fs: DurableFs, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT' || attempt === ATTEMPTS) throw error
      await makeDir(dir, fs)
    }
  }
}

/** Seconds as utimes wants them. A double cannot hold each millisecond exactly: take the value just below, so that no reader sees a later time. */
function toSeconds(time: Date): number {
  const ms = time.getTime()
  const seconds = ms / 1000
  const fraction = seconds - Math.floor(seconds)
  return fraction * 1e6 > (((ms % 1000) + 1000) % 1000) * 1e3 ? seconds - 2 ** -22 : seconds
}

/**
 * `NotWritten`: the target is as it was. `MaybeWritten`: the new file has its name, but the folder
 * could not be flushed, so that a power failure may take it away again.
 */
export type DurableWriteCode = 'NotWritten' | 'MaybeWritten'

/** A durable write that failed; `cause` is the file system's own error. */
export class DurableWriteError extends WalsyncError<DurableWriteCode> {
  override readonly name = 'DurableWriteError'
  readonly path: string

  constructor(code: DurableWriteCode, path: string, cause: unknown) {
    const state = code === 'NotWritten' ? 'was not written' : 'may not survive a power failure'
    const reason = cause instanceof Error ? cause.message : cause
    super(code, `The file ${path} ${state}: ${reason}.`, ExitCode.other, { cause })
    this.path = path
  }
}

export interface DurableWriteOptions extends DurableFileOptions {
  /** `replace` an existing file (default) or `create` only: `EEXIST` in the error's cause. */
  readonly how?: 'replace' | 'create' | undefined
  readonly mtime?: Date | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Writes a file so that after a crash it is absent, the old one or the new one, and the new one
 * once this has resolved. An error of `chunks` and the signal's reason come out as they are.
 *
 * @throws DurableWriteError `NotWritten` or `MaybeWritten`
 */
export async function durableWrite(
  target: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: DurableWriteOptions = {},
): Promise<DurableStats> {
  options.signal?.throwIfAborted()
  const file = await DurableFile.open(target, options)
  try {
    for await (const chunk of chunks) {
      options.signal?.throwIfAborted()
      await file.write(chunk)
    }
    const stats = await file.seal({ mtime: options.mtime })
    options.signal?.throwIfAborted()
    await file.publish(options.how ?? 'replace')
    return stats
  } finally {
    await file.discard()
  }
}
