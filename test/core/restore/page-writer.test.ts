import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PageWriter } from '../../../src/core/restore/page-writer.ts'

const PAGE_SIZE = 4096
const FLUSH_BYTES = 256 * 1024

let folder: string
let path: string
let handle: FileHandle

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-pages-'))
  path = join(folder, 'file')
  handle = await open(path, 'w+')
})

afterEach(async () => {
  await handle.close().catch(() => {})
  rmSync(folder, { recursive: true })
})

const page = (pgno: number): Uint8Array =>
  new Uint8Array(PAGE_SIZE).fill(pgno * 7).fill(pgno >> 8, 0, 10)

async function writeAll(writer: PageWriter, pgnos: Iterable<number>): Promise<void> {
  for (const pgno of pgnos) await writer.write(pgno, page(pgno))
  await writer.drain()
}

describe('PageWriter', () => {
  it.each([
    ['in order', 1],
    ['in a scattered order', 389],
  ])('writes pages %s to their places and flushes on the way', async (_, step) => {
    const pages = 1000
    let flushes = 0
    const sync = handle.sync.bind(handle)
    handle.sync = async () => {
      flushes++
      await sync()
    }
    const writer = new PageWriter(handle, PAGE_SIZE, FLUSH_BYTES)
    const order = Array.from({ length: pages }, (_, n) => ((n * step) % pages) + 1)
    await writeAll(writer, order)
    const written = readFileSync(path)
    expect(written.length).toBe(pages * PAGE_SIZE)
    for (let pgno = 1; pgno <= pages; pgno++) {
      const at = (pgno - 1) * PAGE_SIZE
      expect(written.subarray(at, at + PAGE_SIZE).equals(page(pgno))).toBe(true)
    }
    expect(flushes).toBeGreaterThan(0)
  })

  it('runs one flush at a time, and drains only when it has ended', async () => {
    const ends: (() => void)[] = []
    handle.sync = () => new Promise((resolve) => ends.push(resolve))
    const writer = new PageWriter(handle, PAGE_SIZE, FLUSH_BYTES)
    let drained = false
    const writing = writeAll(writer, PGNOS).then(() => {
      drained = true
    })
    await waitFor(() => readFileSync(path).length === 2000 * PAGE_SIZE)
    expect(ends).toHaveLength(1)
    expect(drained).toBe(false)
    ends[0]!()
    await writing
  })

  it('keeps the error of a flush, which the kernel reports only once', async () => {
    const failure = new Error('EIO: i/o error, fsync')
    handle.sync = () => Promise.reject(failure)
    const writer = new PageWriter(handle, PAGE_SIZE, FLUSH_BYTES)
    await expect(writeAll(writer, PGNOS)).rejects.toBe(failure)
    await writer.settle()
  })

  it('reports the error of a write', async () => {
    await handle.close()
    handle = await open(path, 'r')
    const writer = new PageWriter(handle, PAGE_SIZE, FLUSH_BYTES)
    await expect(writeAll(writer, PGNOS)).rejects.toMatchObject({
      code: 'EBADF',
    })
    await writer.settle()
  })
})

const PGNOS = Array.from({ length: 2000 }, (_, n) => n + 1)

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}
