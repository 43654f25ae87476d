import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { decodeLtx, encodeLtx, type LtxPage, txid } from '../../../src/core/ltx/index.ts'
import { trialRestore } from '../../../src/core/repair/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { verifyReplica } from '../../../src/core/verify/index.ts'
import { ReplicaRig } from '../../support/replica-rig.ts'
import { headerOf, timeOfTxid } from '../restore/chain.ts'
import { FailingStore } from '../restore/store-wrappers.ts'

let scratch: string
let rig: ReplicaRig
let store: FailingStore
let client: ReplicaClient
let db: DatabaseSync
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'walsync-trial-'))
  vi.stubEnv('TMPDIR', scratch)
})
afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(scratch, { recursive: true })
})
beforeEach(async () => {
  store = new FailingStore()
  client = new ReplicaClient(store, 'ltx')
  rig = new ReplicaRig(store)
  db = rig.open()
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, x)')
  insert(300)
  await rig.start()
  insert(1)
  await rig.synced()
})
afterEach(async () => {
  await rig[Symbol.asyncDispose]()
  if (db.isOpen) db.close()
  // The rig's own folder is in there too.
  expect(readdirSync(scratch).filter((name) => name.startsWith('walsync-verify'))).toEqual([])
})

function insert(rows: number): void {
  db.exec('BEGIN')
  for (let n = 0; n < rows; n++) db.exec('INSERT INTO t (x) VALUES (hex(randomblob(40)))')
  db.exec('COMMIT')
}

async function newestFile() {
  return (await rig.files()).reduce((a, b) => (b.maxTxid > a.maxTxid ? b : a))
}

/** Gives an object other pages, under a right checksum. */
async function tamper(key: string, change: (pages: LtxPage[]) => LtxPage[]): Promise<void> {
  const chunks: Uint8Array[] = []
  for await (const chunk of (await store.get(key)).body) chunks.push(chunk)
  const { header, pages } = decodeLtx(Buffer.concat(chunks))
  await store.put(key, encodeLtx(header, change(pages)), { createdAt: new Date(header.timestamp) })
}

describe('a trial restore', () => {
  it('restores the newest state, checks it, and cleans up', async () => {
    const newest = await newestFile()
    const trial = await trialRestore(client)
    expect(trial).toEqual({
      restored: true,
      txid: newest.maxTxid,
      time: newest.createdAt,
      bytes: expect.any(Number),
      durationMs: expect.any(Number),
      ageMs: expect.any(Number),
      maxAgeMs: undefined,
      assertions: [],
      comparison: undefined,
    })
  })

  it('says why the newest state cannot be restored, whatever verify found', async () => {
    await tamper((await newestFile()).key, (pages) => {
      // Under a right checksum, a page of no known kind.
      const { pgno, data } = pages.at(-1) as LtxPage
      return [...pages.slice(0, -1), { pgno, data: Uint8Array.from(data).fill(0x77, 0, 8) }]
    })
    expect(await verifyReplica(client)).toMatchObject({ verdict: 'good' })
    const trial = await trialRestore(client)
    expect(trial).toMatchObject({ restored: false, code: 'IntegrityCheckFailed' })
  })

  it('throws what is not about the replica', async () => {
    store.beforeGet = (key) => {
      throw new StoreError('Unavailable', 'no', { op: 'get', key })
    }
    await expect(trialRestore(client)).rejects.toMatchObject({ code: 'Unavailable' })
    store.beforeGet = () => {}
    const header = headerOf({ level: 0, min: 3, max: 3 }, 65536, 0xffff_fffe)
    const page = { pgno: 1, data: new Uint8Array(65536) }
    const id = txid((await newestFile()).maxTxid + 1n)
    const body = encodeLtx({ ...header, minTxid: id, maxTxid: id }, [page])
    await client.put(0, id, id, body, { createdAt: timeOfTxid(3) })
    const error = trialRestore(client)
    await expect(error).rejects.toMatchObject({
      code: 'NoSpace',
      hint: expect.stringMatching('TMPDIR'),
    })
  })
})

describe('compared with the live database', () => {
  const compare = (patienceMs = 3000) => trialRestore(client, { database: rig.path, patienceMs })

  it('finds the database identical at a known common TXID while a watcher is running', async () => {
    insert(20)
    const trial = await compare()
    const pages = (db.prepare('PRAGMA page_count').get() as { page_count: number }).page_count
    expect(trial).toMatchObject({
      restored: true,
      comparison: { outcome: 'identical', pages, differing: 0, first: [] },
    })
    insert(1)
    await rig.synced()
    expect(rig.count('continuity-lost')).toBe(0)
  })

  it('while the application continues to write during the comparison', async () => {
    const writing = setInterval(() => insert(1), 25)
    try {
      // The first moment at which both are equal is found between two commits.
      const trial = await compare(10_000)
      expect(trial).toMatchObject({ restored: true, comparison: { outcome: 'identical' } })
    } finally {
      clearInterval(writing)
    }
    await rig.synced()
    expect(rig.count('continuity-lost')).toBe(0)
  })

  it('releases the WAL afterwards', async () => {
    await compare()
    await rig.stop()
    expect(db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()).toMatchObject({ busy: 0, log: 0 })
  })

  it('names pages that differ although every checksum is right', async () => {
    const { key, maxTxid } = await newestFile()
    let changed = 0
    await tamper(key, (pages) => {
      changed = (pages.at(-1) as LtxPage).pgno
      const data = Uint8Array.from((pages.at(-1) as LtxPage).data)
      // Free space of the page, which no integrity check looks at.
      data[200] = (data[200] as number) ^ 1
      return [...pages.slice(0, -1), { pgno: changed, data }]
    })
    expect(await verifyReplica(client)).toMatchObject({ verdict: 'good' })
    expect(await compare()).toMatchObject({
      restored: true,
      txid: maxTxid,
      comparison: { outcome: 'different', differing: 1, first: [changed] },
    })
  })

  it('does not claim success if nothing ships what the database has', async () => {
    await rig.stop()
    insert(1)
    const trial = await compare(300)
    expect(trial).toMatchObject({ comparison: { outcome: 'not-compared' } })
    expect(JSON.stringify(trial, (_, v) => (typeof v === 'bigint' ? String(v) : v))).toMatch(
      /no watcher ships its commits; \d+ of \d+ pages differ/,
    )
  })

  it('needs no WAL where all pages are equal', async () => {
    await rig.stop()
    db.close()
    expect(existsSync(`${rig.path}-wal`)).toBe(false)
    expect(await compare(0)).toMatchObject({ comparison: { outcome: 'identical' } })
    db = rig.open()
    insert(1)
    expect(await compare(0)).toMatchObject({
      comparison: { outcome: 'not-compared', reason: expect.stringContaining('pages differ') },
    })
  })
})
