import type { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { runCompaction } from '../../../src/core/compaction/run-compaction.ts'
import { decodeLtx, encodeLtx, LtxDecoder, type TXID, txid } from '../../../src/core/ltx/index.ts'
import { type LtxFileInfo, ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'

const COMMITS = 6

describe('a replica into which a file of another history was put, with nothing else changed', () => {
  it('restores what comes before it, and refuses everything from it on', async () => {
    await using mine = new ReplicaRig()
    await using others = new ReplicaRig()
    const states = await replicated(mine, 'mine')
    await replicated(others, 'others')
    const files = await levelZero(mine)
    expect(files).toHaveLength(COMMITS)
    for (const file of files) {
      const own = await bytesOf(mine, file)
      const foreign = await bytesOf(others, file)
      expect(foreign.equals(own)).toBe(false)
      await mine.store.put(file.key, foreign)
      for (const [n, state] of states) {
        if (n < file.minTxid) await expectState(mine, n, state)
        else await expectRefusal(mine, n, 'ChecksumMismatch')
      }
      await mine.store.put(file.key, own)
    }
    await expectState(mine, txid(1 + COMMITS), states.get(txid(1 + COMMITS))!)
  })

  it('refuses every state after a base that was swapped', async () => {
    await using mine = new ReplicaRig()
    await using others = new ReplicaRig()
    const states = await replicated(mine, 'mine')
    await replicated(others, 'others')
    const base = (await mine.files()).find(({ level }) => level === 9)!
    const own = await bytesOf(mine, base)
    await mine.store.put(base.key, await bytesOf(others, base))
    for (let n = 2; n <= 1 + COMMITS; n++) await expectRefusal(mine, txid(n), 'ChecksumMismatch')
    await mine.store.put(base.key, own)
    for (const [n, state] of states) await expectState(mine, n, state)
  })

  it('refuses a swapped base of an older state of the same database', async () => {
    await using mine = new ReplicaRig()
    const db = mine.open()
    fill(db, 'early')
    await mine.start()
    await mine.synced()
    await mine.stop()
    const base = (await mine.files())[0]!
    const early = await bytesOf(mine, base)
    db.close()
    await using later = new ReplicaRig()
    const states = await replicated(later, 'later')
    await later.store.put(base.key, early)
    for (const n of states.keys()) {
      if (n > 1n) await expectRefusal(later, n, 'ChecksumMismatch')
    }
  })

  it('refuses a merged file of another history', async () => {
    await using mine = new ReplicaRig()
    await using others = new ReplicaRig()
    const states = await replicated(mine, 'mine')
    await replicated(others, 'others')
    const [merged] = await Promise.all([mine, others].map((rig) => merge(rig, 2, 4)))
    for (const file of await levelZero(mine)) {
      if (file.maxTxid <= 4n) await mine.store.delete(file.key)
    }
    await expectState(mine, txid(7), states.get(txid(7))!)
    await mine.store.put(merged!.key, await bytesOf(others, merged!))
    for (const n of [4, 5, 6, 7]) await expectRefusal(mine, txid(n), 'ChecksumMismatch')
    await expectState(mine, txid(1), states.get(txid(1))!)
  })
})

describe('a replica without one of its level-0 files', () => {
  it('refuses every state that needs it, and restores the others', async () => {
    await using rig = new ReplicaRig()
    const states = await replicated(rig, 'mine')
    for (const file of await levelZero(rig)) {
      const own = await bytesOf(rig, file)
      const isNewest = file.maxTxid === txid(1 + COMMITS)
      await rig.store.delete(file.key)
      for (const [n, state] of states) {
        if (n < file.minTxid) await expectState(rig, n, state)
        else await expectRefusal(rig, n, isNewest ? 'TargetNotReachable' : 'Gap')
      }
      await rig.store.put(file.key, own)
    }
  })

  it('refuses a chain that was closed up behind it by renaming', async () => {
    await using rig = new ReplicaRig()
    const states = await replicated(rig, 'mine')
    const files = await levelZero(rig)
    const bodies = await Promise.all(files.map((file) => bytesOf(rig, file)))
    // TXID 4 is gone, and each later file has the name of the one before it.
    for (let at = 2; at < files.length - 1; at++) {
      await rig.store.put(files[at]!.key, bodies[at + 1]!)
    }
    await rig.store.delete(files.at(-1)!.key)
    for (const n of [4, 5, 6]) await expectRefusal(rig, txid(n), 'DamagedObject')
    // Now by their headers, too: every file is sound, and the chain has no gap.
    for (let at = 2; at < files.length - 1; at++) {
      await rig.store.put(files[at]!.key, renumbered(bodies[at + 1]!, files[at]!.maxTxid))
    }
    for (const n of [4, 5, 6]) await expectRefusal(rig, txid(n), 'ChecksumMismatch')
    await expectState(rig, txid(3), states.get(txid(3))!)
  })
})

/** A base and so many commits, each of which changes another row; what the database was at each TXID. */
async function replicated(rig: ReplicaRig, word: string): Promise<Map<TXID, string>> {
  const db = rig.open()
  fill(db, word)
  const states = new Map<TXID, string>()
  await rig.start()
  await rig.synced()
  states.set(txid(1), contents(db))
  for (let n = 2; n <= 1 + COMMITS; n++) {
    db.exec(`UPDATE t SET a = '${word} ${n}' || substr(a, 10) WHERE rowid = ${n * 40}`)
    await rig.synced()
    states.set(txid(n), contents(db))
  }
  await rig.stop()
  db.close()
  return states
}

function fill(db: DatabaseSync, word: string): void {
  db.exec('CREATE TABLE t (a TEXT)')
  db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
    INSERT INTO t SELECT printf('%-10s', '${word}') || printf('%0190d', i) FROM n`)
}

async function expectState(rig: ReplicaRig, n: TXID, state: string): Promise<void> {
  const db = await rig.restore({ kind: 'txid', txid: n })
  expect(contents(db) === state, `TXID ${n}`).toBe(true)
  db.close()
}

async function expectRefusal(rig: ReplicaRig, n: TXID, code: string): Promise<void> {
  const restoring = rig.restore({ kind: 'txid', txid: n })
  await expect(restoring, `TXID ${n}`).rejects.toMatchObject({ code })
}

async function levelZero(rig: ReplicaRig): Promise<LtxFileInfo[]> {
  return (await rig.files()).filter(({ level }) => level === 0)
}

async function merge(rig: ReplicaRig, from: number, to: number): Promise<LtxFileInfo> {
  const files = (await levelZero(rig)).filter(({ maxTxid: n }) => n >= from && n <= to)
  const { signal } = new AbortController()
  const client = new ReplicaClient(rig.store, 'ltx')
  const range = { minTxid: txid(from), maxTxid: txid(to), bytes: 0, dueAt: 0 }
  const merged = await runCompaction(client, { level: 1, files, ...range }, { signal, nodeId: 1n })
  expect(merged).toHaveLength(1)
  return merged[0]!
}

/** What is there now: it may be of another size than it was listed with. */
async function bytesOf(rig: ReplicaRig, file: Pick<LtxFileInfo, 'key'>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of (await rig.store.get(file.key)).body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The same file as that of another TXID. */
function renumbered(bytes: Uint8Array, n: TXID): Uint8Array {
  const decoder = new LtxDecoder()
  decoder.write(bytes)
  decoder.end()
  const { header, pages } = decodeLtx(bytes)
  const checksums = decoder.databaseChecksums
  expect(checksums).toBeDefined()
  return encodeLtx({ ...header, minTxid: n, maxTxid: n }, pages, { checksums })
}
