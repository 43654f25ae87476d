import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { decodeLtx, formatTxid, type LtxHeader, parseTxid, type TXID } from '../ltx/index.ts'
import type { TrackerOptions } from './tracker-options.ts'

export interface SpooledFile {
  readonly txid: TXID
  readonly path: string
  readonly bytes: number
}

/** The spool that a database's options ask for. */
export function spoolOf({ path, spoolDir, maxSpoolBytes }: TrackerOptions): Spool {
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

  /** @param maxBytes bound of all files together */
  constructor(path: string, maxBytes: number) {
    this.path = path
    this.maxBytes = maxBytes
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.#bytes
  }

  /** Stores one file durably: temporary name, fsync, rename, fsync of the folder. */
  async add(txid: TXID, chunks: Iterable<Uint8Array>): Promise<SpooledFile> {
    await mkdir(this.path, { recursive: true, mode: 0o700 })
    const path = join(this.path, `${formatTxid(txid)}.ltx`)
    const temporary = `${path}.tmp`
    const handle = await open(temporary, 'w', 0o600)
    let bytes = 0
    try {
      for (const chunk of chunks) {
        await handle.writeFile(chunk)
        bytes += chunk.length
      }
      await handle.sync()
    } catch (error) {
      await handle.close()
      await rm(temporary, { force: true })
      throw error
    }
    await handle.close()
    await rename(temporary, path)
    await syncFolder(this.path)
    this.#bytes += bytes
    return { txid, path, bytes }
  }

  /** Removes a file that has been stored elsewhere, and the folder with the last one. */
  async remove(file: SpooledFile): Promise<void> {
    await rm(file.path, { force: true })
    this.#bytes -= file.bytes
    if (this.#bytes <= 0) await this.clear()
  }

  /** Files left by an earlier process, ascending, and their headers; each verified whole. Half-written ones are removed. @throws LtxError */
  async load(): Promise<{ readonly file: SpooledFile; readonly header: LtxHeader }[]> {
    const found: { file: SpooledFile; header: LtxHeader }[] = []
    this.#bytes = 0
    for (const name of (await names(this.path)).sort()) {
      const path = join(this.path, name)
      const match = NAME.exec(name)
      if (match === null) {
        if (name.endsWith('.tmp')) await rm(path, { force: true })
        continue
      }
      const content = await readFile(path)
      const { header } = decodeLtx(content)
      found.push({ file: { txid: parseTxid(match[1]!), path, bytes: content.length }, header })
      this.#bytes += content.length
    }
    return found
  }

  /** Moves the folder aside, for files that the replica can no longer take. Returns the new path. */
  async setAside(now: number): Promise<string> {
    const aside = `${this.path}.unused-${now}`
    await rename(this.path, aside)
    this.#bytes = 0
    return aside
  }

  /** Removes the folder and all in it. */
  async clear(): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
    this.#bytes = 0
  }
}

async function names(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
