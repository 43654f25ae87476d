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

/** The spool that a database's options ask for. */
export function createSpool({ path, spoolDir, maxSpoolBytes }: TrackerOptions): Spool {
  const beside = join(dirname(path), `.${basename(path)}-walsync`)
  return new Spool(spoolDir ?? beside, maxSpoolBytes ?? 1 << 30)
}

const NAME = /^([0-9a-f]{16})\.ltx$/

/**
 * A bounded folder of LTX files that wait for a store which cannot be reached, so that the WAL need
 * not grow without end. Written only then; in the steady state the folder does not exist.
 */
export class Spool {
  readonly path: string
  readonly maxBytes: number
  #bytes = 0
  #files = 0

  /** @param maxBytes bound of all files together */
  constructor(path: string, maxBytes: number) {
    this.path = path
    this.maxBytes = maxBytes
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Stores one file durably. Nothing of it is left if that fails, so that a full disk gets its room back.
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

  /** Removes a file that has been stored elsewhere, and the folder with the last one. */
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

  /** Files left by an earlier process, ascending, and their headers; each verified whole. Half-written ones are removed. @throws LtxError */
  async load(): Promise<{ readonly file: SpooledFile; readonly header: LtxHeader }[]> {
    const found: { file: SpooledFile; header: LtxHeader }[] = []
    this.#bytes = 0
    this.#files = 0
    for (const name of (await names(this.path)).sort()) {
      const path = join(this.path, name)
      const match = NAME.exec(name)
      if (match === null) {
        // One that stays takes room and nothing else: a read-only disk keeps no start from going on.
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

  /** Moves the folder aside, for files that the replica can no longer take. Returns the new path. */
  async setAside(now: number): Promise<string> {
    const aside = `${this.path}.unused-${now}`
    await rename(this.path, aside)
    this.#bytes = 0
    this.#files = 0
    return aside
  }

  /** Removes the folder and all in it. */
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
  /** Why what is there is of no use; `undefined` if all of it is, or nothing is there. */
  readonly unused: string | undefined
}

/**
 * Files of the spool count if they follow the replica's end without a gap and the same process wrote
 * that end. Those that the replica has already are removed.
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
