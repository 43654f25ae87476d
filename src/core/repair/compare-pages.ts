import { type FileHandle, open } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type DatabaseView, type PageSource, readView } from '../db/index.ts'
import { lockPage } from '../ltx/index.ts'

/** The pages in which two databases differ, including pages that only one of them has. */
export interface PageDifference {
  /** Number of pages of the larger one, without the lock page. */
  readonly pages: number
  readonly differing: number
  /** Lowest numbers of pages that differ, at most `MAX_NAMED`. */
  readonly first: readonly number[]
}

export const MAX_NAMED = 10
const BATCH_BYTES = 1 << 20

/**
 * Compares a live database, as a held read transaction sees it, with a database file that is not
 * open anywhere. The lock page is skipped.
 *
 * @param view valid until the capture's next `advanceReadMark`
 * @throws DatabaseError `Damaged` if the live database is shorter than its page count
 */
export async function comparePages(
  source: PageSource,
  view: DatabaseView,
  path: string,
  signal?: AbortSignal | undefined,
): Promise<PageDifference> {
  const { pageSize } = source
  const skipped = lockPage(pageSize)
  const other = await FilePages.open(path, pageSize)
  try {
    let differing = 0
    const first: number[] = []
    const differs = (pgno: number): void => {
      differing++
      if (first.length < MAX_NAMED) first.push(pgno)
    }
    for (const { pgno, data } of readView(source, view, skipped)) {
      if (!other.has(pgno)) {
        signal?.throwIfAborted()
        await nextTurn()
        await other.load(pgno)
      }
      if (!other.page(pgno).equals(data)) differs(pgno)
    }
    for (let pgno = view.commit + 1; pgno <= other.pages; pgno++) {
      if (pgno !== skipped) differs(pgno)
    }
    const pages = Math.max(view.commit, other.pages)
    return { pages: skipped <= pages ? pages - 1 : pages, differing, first }
  } finally {
    await other.close()
  }
}

/** Pages of a file, a batch in memory at a time. */
class FilePages {
  readonly pages: number
  readonly #handle: FileHandle
  readonly #pageSize: number
  readonly #buffer: Buffer
  /** First page in the buffer. */
  #from = 0
  #length = 0

  private constructor(handle: FileHandle, pageSize: number, size: number) {
    this.#handle = handle
    this.#pageSize = pageSize
    this.#buffer = Buffer.alloc(Math.max(pageSize, BATCH_BYTES))
    this.pages = Math.ceil(size / pageSize)
  }

  static async open(path: string, pageSize: number): Promise<FilePages> {
    const handle = await open(path, 'r')
    return new FilePages(handle, pageSize, (await handle.stat()).size)
  }

  has(pgno: number): boolean {
    const at = (pgno - this.#from) * this.#pageSize
    return this.#from > 0 && at >= 0 && at < this.#buffer.length
  }

  async load(pgno: number): Promise<void> {
    const position = (pgno - 1) * this.#pageSize
    this.#from = pgno
    this.#length = 0
    for (;;) {
      const room = this.#buffer.length - this.#length
      const at = position + this.#length
      const { bytesRead } = await this.#handle.read(this.#buffer, this.#length, room, at)
      this.#length += bytesRead
      if (bytesRead === 0) return
    }
  }

  /** Less than a page at the end of the file. */
  page(pgno: number): Buffer {
    const at = (pgno - this.#from) * this.#pageSize
    return this.#buffer.subarray(at, Math.min(at + this.#pageSize, this.#length))
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}
