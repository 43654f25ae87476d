import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeLtx,
  EMPTY_DATABASE_CHECKSUM,
  encodeLtx,
  LtxDecoder,
  pageChecksum,
  toggleChecksum,
  txid,
} from '../../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'

describe('a start after the application has closed its database', () => {
  it('continues without a copy if the checksum of all pages is the replica’s', async () => {
    await using rig = new ReplicaRig()
    await replicated(rig)
    const before = await rig.files()
    for (let start = 0; start < 3; start++) {
      await rig.start()
      await rig.synced()
      await rig.stop()
    }
    expect(await rig.files()).toEqual(before)
    expect(rig.count('base')).toBe(1)
    const proofs = rig.events.flatMap((event) => (event.type === 'resumed' ? [event.proof] : []))
    expect(proofs).toEqual(['checksum', 'checksum', 'checksum'])
    const db = rig.open()
    await rig.start()
    db.exec("INSERT INTO t (a) VALUES ('again')")
    await rig.synced()
    expect((await rig.files()).length).toBe(before.length + 1)
    db.close()
    await rig.stop()
    await expectRestores(rig)
    expect(rig.count('base')).toBe(1)
  })

  it('takes a base where one byte is another', async () => {
    await using rig = new ReplicaRig()
    await replicated(rig)
    const db = rig.open()
    db.exec("UPDATE t SET a = 'b' WHERE rowid = 1")
    db.close()
    await rig.start()
    await rig.synced()
    await rig.stop()
    expect(rig.count('base')).toBe(2)
    await expectRestores(rig)
  })
})

it.each([
  ['a change that is the same in two pages', 'DELETE FROM t WHERE id % 2 = 0'],
  ['a change in one page that leaves its CRC', 'UPDATE t SET a = a + 16, b = b + 27 WHERE id = 1'],
])('a start sees %s', async (_, change) => {
  await using rig = new ReplicaRig()
  const db = rig.open()
  db.exec(`PRAGMA journal_mode = DELETE; PRAGMA page_size = 8192; VACUUM; PRAGMA journal_mode = WAL;
    CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c);
    INSERT INTO t SELECT value, 1700000000000000, 1700000000000000, zeroblob(3900)
      FROM json_each('[1, 2, 3, 4]')`)
  await rig.start()
  await rig.synced()
  await rig.stop()
  const emptied = () => {
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return readFileSync(rig.path)
  }
  const before = emptied()
  db.exec(change)
  const after = emptied()
  expect(after.equals(before)).toBe(false)
  // The checksum that LTX defines does not see it.
  expect(plainChecksum(after)).toBe(plainChecksum(before))
  await rig.start()
  await rig.synced()
  await rig.stop()
  expect(rig.count('base')).toBe(2)
  const restored = await rig.restore()
  expect(contents(restored)).toBe(contents(db))
  for (const each of [restored, db]) each.close()
})

function plainChecksum(database: Buffer): bigint {
  let value = EMPTY_DATABASE_CHECKSUM
  for (let at = 0; at < database.length; at += 8192) {
    value = toggleChecksum(value, pageChecksum(at / 8192 + 1, database.subarray(at, at + 8192)))
  }
  return value
}

describe('a start with commits that are still to be shipped', () => {
  it('knows the checksums when it has shipped them', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open('PRAGMA wal_autocheckpoint = 0;')
    fill(db)
    await rig.start()
    await rig.synced()
    await rig.stop()
    fill(db)
    await rig.start()
    await rig.synced()
    fill(db)
    await rig.synced()
    await rig.stop()
    expect(rig.count('base')).toBe(1)
    const client = new ReplicaClient(rig.store, 'ltx')
    const files = (await rig.files()).filter(({ level }) => level === 0)
    expect(files).toHaveLength(2)
    const noted = await Promise.all(files.map((file) => client.readChecksums(file)))
    expect(noted[0], 'it had no commits to ship').toBeUndefined()
    expect(noted[1]).toBeDefined()
    // The file says what the database is: the restore holds its pages against that.
    ;(await rig.restore()).close()
    db.close()
  })
})

describe('a restore', () => {
  it('refuses files that are sound and are not of one history', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open('PRAGMA wal_autocheckpoint = 0;')
    fill(db)
    await rig.start()
    await rig.synced()
    for (let i = 1; i <= 3; i++) {
      db.exec(`UPDATE t SET a = hex(randomblob(100)) WHERE rowid = ${i * 40}`)
      await rig.synced()
    }
    await rig.stop()
    const files = (await rig.files()).filter(({ level }) => level === 0)
    const middle = files.at(-2)!
    const client = new ReplicaClient(rig.store, 'ltx')
    const { header, pages, checksums } = await read(client, middle)
    expect(checksums).toBeDefined()
    // Another history's file of the same TXID: page 1 alone, without what the other page became.
    await rig.store.put(
      middle.key,
      encodeLtx(
        header,
        pages.slice(0, 1).map(({ pgno }) => ({ pgno, data: randomBytes(header.pageSize) })),
      ),
    )
    await expect(rig.restore()).rejects.toMatchObject({ code: 'ChecksumMismatch' })
    const target = { kind: 'txid' as const, txid: txid(Number(files.at(-3)!.maxTxid)) }
    ;(await rig.restore(target)).close()
    db.close()
  })
})

describe('the checksum that each file carries', () => {
  it('is that of the database, and continues the one before (random histories)', async () => {
    const step = fc.constantFrom(
      'insert',
      'delete',
      'vacuum',
      'checkpoint',
      'restart',
      'truncate',
      'stop',
    )
    let files = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async (steps) => {
        await using rig = new ReplicaRig()
        const db = rig.open('PRAGMA wal_autocheckpoint = 0;')
        fill(db)
        await rig.start()
        await rig.synced()
        for (const each of steps) {
          await act(each, db, rig)
          await rig.synced()
        }
        await rig.stop()
        const client = new ReplicaClient(rig.store, 'ltx')
        let last: bigint | undefined
        for (const file of await rig.files()) {
          const { checksums } = await read(client, file)
          if (file.level === 0) {
            expect(checksums, file.key).toBeDefined()
            if (last !== undefined) expect(checksums!.before).toBe(last)
          }
          expect(await client.readChecksums(file)).toEqual(checksums)
          last = checksums!.after
          files++
          // A restore holds its result against the checksum.
          ;(await rig.restore({ kind: 'txid', txid: file.maxTxid })).close()
        }
        db.close()
      }),
      { numRuns: 8, endOnFailure: true },
    )
    expect(files).toBeGreaterThan(12)
  }, 60_000)
})

async function act(step: string, db: DatabaseSync, rig: ReplicaRig): Promise<void> {
  if (step === 'insert') fill(db)
  else if (step === 'delete') db.exec('DELETE FROM t WHERE rowid % 3 = 0')
  else if (step === 'vacuum') db.exec('DELETE FROM t WHERE rowid > 50; VACUUM')
  else if (step === 'checkpoint') db.exec('PRAGMA wal_checkpoint(PASSIVE)')
  else {
    await rig.stop()
    // Under a held read mark it would wait for its busy timeout.
    if (step !== 'stop') db.exec(`PRAGMA wal_checkpoint(${step})`)
    await rig.start()
  }
}

function fill(db: DatabaseSync): void {
  db.exec('CREATE TABLE IF NOT EXISTS t (a TEXT)')
  db.exec(
    'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO t SELECT hex(randomblob(100)) FROM n',
  )
}

/** A replica of a database that its application has closed afterwards: there is no WAL any more. */
async function replicated(rig: ReplicaRig): Promise<void> {
  const db = rig.open()
  fill(db)
  await rig.start()
  await rig.synced()
  fill(db)
  await rig.synced()
  db.close()
  await rig.stop()
}

async function expectRestores(rig: ReplicaRig): Promise<void> {
  const db = await rig.restore()
  const path = (db.prepare('PRAGMA database_list').get() as { file: string }).file
  expect(readFileSync(path).equals(readFileSync(rig.path))).toBe(true)
  db.close()
}

async function read(client: ReplicaClient, file: Parameters<ReplicaClient['open']>[0]) {
  const chunks: Uint8Array[] = []
  for await (const chunk of client.open(file)) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  const decoder = new LtxDecoder()
  decoder.write(bytes)
  decoder.end()
  return { ...decodeLtx(bytes), checksums: decoder.databaseChecksums }
}
