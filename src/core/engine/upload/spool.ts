import { mkdir, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { DurableWriteError, durableWrite } from '../../fs/index.ts'
import {
  decodeLtx,
  formatTxid,
  LtxError,
  type LtxHeader,
  parseTxid,
  type TXID,
} from '../../ltx/index.ts'
import type { ReplicaHead } from '../../replica/replica-head.ts'
import type { TrackerOptions } from '../options.ts'
import { type PendingFile, type SpooledFile, setSpooled } from './pending-file.ts'

/** The spool according to a database's options. */
export function createSpool({ path, spoolDir, maxSpoolBytes }: TrackerOptions): Spool {
  const beside = join(dirname(path), `.${basename(path)}-walsync`)
  return new Spool(spoolDir ?? beside, maxSpoolBytes ?? 1 << 30)
}

const NAME = /^([0-9a-f]{16})\.ltx$/

/**
 * A bounded folder of LTX files that wait for the store, so that the WAL does not grow without
 * limit. It is used when the store does not keep up, and for moments when the application writes
 * faster than checkpoints copy (`SpoolReason`). Normally the folder does not exist.
 */
export class Spool {
  readonly path: string
  readonly maxBytes: number
  #bytes = 0
  #files = 0

  /** @param maxBytes limit for all files together */
  constructor(path: string, maxBytes: number) {
    this.path = path
    this.maxBytes = maxBytes
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Stores one file durably. If that fails, nothing of it is left, so that it takes no room on a
   * full disk.
   *
   * @throws DurableWriteError; what `chunks` throws
   */
  async add(txid: TXID, chunks: Iterable<Uint8Array>): Promise<SpooledFile> {
    const path = join(this.path, `${formatTxid(txid)}.ltx`)
    try {
      await mkdir(this.path, { recursive: true, mode: 0o700 })
    } catch (error) {
      throw new DurableWriteError('NotWritten', path, error)
    }
    try {
      const { size } = await durableWrite(path, chunks, { mode: 0o600 })
      const bytes = Number(size)
      this.#bytes += bytes
      this.#files += 1
      return { txid, path, bytes }
    } finally {
      if (this.#files === 0) await this.#removeFolder()
    }
  }

  /** Removes a file that is in the store, and with the last file the folder. */
  async remove(file: SpooledFile): Promise<void> {
    await rm(file.path, { force: true })
    this.#bytes = Math.max(0, this.#bytes - file.bytes)
    this.#files = Math.max(0, this.#files - 1)
    if (this.#files > 0) return
    this.#bytes = 0
    await this.#removeFolder()
  }

  async #removeFolder(): Promise<void> {
    // It is not empty while another file is being written.
    await rmdir(this.path).catch(() => {})
  }

  /**
   * Files of an earlier process, ascending, with their headers; each file is verified completely.
   * Half-written ones are removed. @throws LtxError
   */
  async load(): Promise<{ readonly file: SpooledFile; readonly header: LtxHeader }[]> {
    const found: { file: SpooledFile; header: LtxHeader }[] = []
    this.#bytes = 0
    this.#files = 0
    for (const name of (await names(this.path)).sort()) {
      const path = join(this.path, name)
      const match = NAME.exec(name)
      if (match === null) {
        // A file that cannot be removed only takes space: a read-only disk must not prevent a
        // start.
        if (name.endsWith('.tmp')) await rm(path, { force: true }).catch(() => {})
        continue
      }
      const content = await readFile(path)
      const { header } = decodeLtx(content)
      found.push({ file: { txid: parseTxid(match[1]!), path, bytes: content.length }, header })
      this.#bytes += content.length
      this.#files += 1
    }
    return found
  }

  /**
   * Moves the folder aside because the replica cannot use its files any more. Returns the new path.
   */
  async setAside(now: number): Promise<string> {
    const aside = `${this.path}.unused-${now}`
    await rename(this.path, aside)
    this.#bytes = 0
    this.#files = 0
    return aside
  }

  /** Removes the folder and everything in it. */
  async clear(): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
    this.#bytes = 0
    this.#files = 0
  }
}

/** What an earlier process left in its spool. */
export interface RecoveredSpool {
  /** To be shipped next, in order. */
  readonly files: readonly PendingFile[]
  /** Why the files cannot be used; `undefined` if all of them can, or if there are none. */
  readonly unused: string | undefined
}

/**
 * Files of the spool can be used if they follow the replica's end without a gap and if the same
 * process wrote that end. Those that the replica already has are removed.
 */
export async function recoverSpool(spool: Spool, head: ReplicaHead): Promise<RecoveredSpool> {
  let found: Awaited<ReturnType<Spool['load']>>
  try {
    found = await spool.load()
  } catch (error) {
    if (!(error instanceof LtxError)) throw error
    return { files: [], unused: `a file of it is damaged: ${error.message}` }
  }
  const { txid, header } = head
  const waiting = found.filter(({ file }) => txid === undefined || file.txid > txid)
  for (const { file } of found) {
    if (txid !== undefined && file.txid <= txid) await spool.remove(file)
  }
  const continues = waiting.every(
    (each, i) =>
      txid !== undefined &&
      each.file.txid === txid + BigInt(i) + 1n &&
      each.header.nodeId === header?.nodeId,
  )
  if (!continues) return { files: [], unused: 'it does not continue the replica' }
  const files = waiting.map(({ file, header }) => {
    const noticedAt = header.timestamp
    const pending: PendingFile = { txid: file.txid, header, pages: 0, noticedAt, body: NOTHING }
    setSpooled(pending, file)
    return pending
  })
  return { files, unused: undefined }
}

const NOTHING = new Uint8Array()

async function names(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
