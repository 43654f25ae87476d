import { mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { LtxEncoder, type LtxPage, lockPage, txid } from '../../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'
import { headerOf } from './chain.ts'

const PAGE_SIZE = 65536
const LOCK_PAGE = lockPage(PAGE_SIZE)
const COMMIT = LOCK_PAGE + 2

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-lock-page-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Page n begins with its number; the rest is zeros, so that 1 GiB compresses to a few megabytes. */
function page(pgno: number, version: number): LtxPage {
  const data = new Uint8Array(PAGE_SIZE)
  new DataView(data.buffer).setUint32(0, pgno)
  data[4] = version
  return { pgno, data }
}

async function put(client: ReplicaClient, n: number, pages: Iterable<LtxPage>): Promise<void> {
  const encoder = new LtxEncoder(headerOf({ level: 0, min: n, max: n }, PAGE_SIZE, COMMIT))
  const chunks: Uint8Array[] = []
  for (const { pgno, data } of pages) {
    encoder.encodePage(pgno, data)
    chunks.push(...encoder.drain())
  }
  encoder.finish()
  chunks.push(...encoder.drain())
  await client.put(0, txid(n), txid(n), Buffer.concat(chunks), { createdAt: new Date() })
}

function* allPages(): Generator<LtxPage> {
  for (let pgno = 1; pgno <= COMMIT; pgno++) if (pgno !== LOCK_PAGE) yield page(pgno, 1)
}

describe('the lock page', () => {
  it('is page 16385 of 64 KiB pages, and stays zeros in a restored database of over 1 GiB', async () => {
    expect(LOCK_PAGE).toBe(16385)
    const client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
    await put(client, 1, allPages())
    await put(client, 2, [page(LOCK_PAGE - 1, 2), page(LOCK_PAGE + 1, 2)])
    const output = join(folder, 'big.db')
    const result = await restoreReplica(client, { kind: 'latest' }, output, {
      integrityCheck: 'none',
    })
    expect(result).toMatchObject({ commit: COMMIT, filesRead: 2, bytes: COMMIT * PAGE_SIZE })
    expect(statSync(output).size).toBe(COMMIT * PAGE_SIZE)

    const fd = openSync(output, 'r')
    const bytes = Buffer.alloc(PAGE_SIZE)
    const versionOf = (pgno: number): number => {
      readSync(fd, bytes, 0, PAGE_SIZE, (pgno - 1) * PAGE_SIZE)
      expect(bytes.readUInt32BE(0)).toBe(pgno)
      return bytes[4] as number
    }
    expect([1, 2, 9999, LOCK_PAGE - 2, LOCK_PAGE + 2].map(versionOf)).toEqual([1, 1, 1, 1, 1])
    expect([LOCK_PAGE - 1, LOCK_PAGE + 1].map(versionOf)).toEqual([2, 2])
    readSync(fd, bytes, 0, PAGE_SIZE, (LOCK_PAGE - 1) * PAGE_SIZE)
    expect(bytes.equals(Buffer.alloc(PAGE_SIZE))).toBe(true)
  }, 60_000)
})
