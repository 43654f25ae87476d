import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { encodeLtx, txid } from '../../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { type RestoreResult, restoreReplica } from '../../../src/core/restore/restore.ts'
import { planFor } from '../../../src/core/restore/restore-attempts.ts'
import { RestoreError } from '../../../src/core/restore/restore-error.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { type ChainFile, databaseStates, headerOf, level0, putChain } from './chain.ts'
import { FailingStore, notFound } from './store-wrappers.ts'

const PAGE_SIZE = 512
const states = databaseStates(
  [
    // A page that is never written again keeps the first file necessary.
    (database) => database.exec('CREATE TABLE t (x); CREATE TABLE once AS SELECT 1'),
    (database) => database.exec("INSERT INTO t VALUES ('one')"),
    (database) => database.exec("INSERT INTO t VALUES ('two'), (zeroblob(900))"),
    (database) => database.exec("UPDATE t SET x = 'three' WHERE x = 'one'"),
  ],
  PAGE_SIZE,
)
const newest = states[3] as Buffer

let folder: string
let output: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-damage-'))
})
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(() => {
  output = join(folder, 'app.db')
  rmSync(output, { force: true })
})

type Outcome = { readonly result: RestoreResult } | { readonly error: unknown }

async function outcomeOf(client: ReplicaClient): Promise<Outcome> {
  rmSync(output, { force: true })
  try {
    const result = await restoreReplica(client, { kind: 'latest' }, output, {
      integrityCheck: 'none',
    })
    return { result }
  } catch (error) {
    return { error }
  }
}

/** Never wrong: either exact, or a typed error that names the object and leaves nothing behind. */
function expectRightOrNamed(outcome: Outcome, key: string): 'exact' | 'avoided' | 'refused' {
  if ('result' in outcome) {
    expect(readFileSync(output).equals(newest)).toBe(true)
    const avoided = outcome.result.avoided.map((object) => object.key)
    if (avoided.length === 0) return 'exact'
    expect(avoided).toEqual([key])
    return 'avoided'
  }
  expect(outcome.error).toBeInstanceOf(RestoreError)
  const error = outcome.error as RestoreError
  expect(error.code).toBe('DamagedObject')
  expect(error.key).toBe(key)
  expect(error.message).toContain(key)
  expect(readdirSync(folder)).toEqual([])
  return 'refused'
}

async function filesOf(files: readonly ChainFile[]): Promise<MemoryObjectStore> {
  const store = new MemoryObjectStore()
  await putChain(new ReplicaClient(store, 'ltx'), states, PAGE_SIZE, files)
  return store
}

async function bytesOf(store: MemoryObjectStore, key: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of (await store.get(key)).body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function flipBytes(
  files: readonly ChainFile[],
  stride: number,
): Promise<Record<string, number>> {
  const store = await filesOf(files)
  const client = new ReplicaClient(store, 'ltx')
  const tally: Record<string, number> = { exact: 0, avoided: 0, refused: 0 }
  for (const { key } of await client.list()) {
    const good = await bytesOf(store, key)
    for (let at = 0; at < good.length; at += stride) {
      const bad = Uint8Array.from(good)
      bad[at] = (bad[at] as number) ^ (1 << (at % 8))
      await store.put(key, bad)
      const kind = expectRightOrNamed(await outcomeOf(client), key)
      tally[kind] = (tally[kind] as number) + 1
    }
    await store.put(key, good)
  }
  return tally
}

describe('damage', () => {
  it('with a bit flipped in any byte of a bare chain: exact or refused by name', async () => {
    const tally = await flipBytes(level0(1, 4), 1)
    expect(tally.avoided).toBe(0)
    expect(tally.refused).toBeGreaterThan(500)
    // Only a payload bit that decompresses to the same page may pass.
    expect(tally.exact).toBeLessThan((tally.refused as number) / 50)
  }, 120_000)

  it('with a bit flipped where other files make the same state: exact, and the object is reported', async () => {
    const tally = await flipBytes([...level0(1, 4), { level: 9, min: 1, max: 4 }], 5)
    expect(tally.refused).toBe(0)
    expect(tally.avoided).toBeGreaterThan(50)
  }, 120_000)

  it('with an object cut anywhere, or longer: refused by name', async () => {
    const store = await filesOf(level0(1, 4))
    const client = new ReplicaClient(store, 'ltx')
    for (const { key } of await client.list()) {
      const good = await bytesOf(store, key)
      for (let length = 0; length < good.length; length += 7) {
        await store.put(key, good.subarray(0, length))
        expect(expectRightOrNamed(await outcomeOf(client), key)).toBe('refused')
      }
      await store.put(key, Buffer.concat([good, Buffer.of(0)]))
      expect(expectRightOrNamed(await outcomeOf(client), key)).toBe('refused')
      await store.put(key, good)
    }
  }, 60_000)

  it('with the right bytes under a wrong name: refused by name', async () => {
    const store = await filesOf(level0(1, 4))
    const client = new ReplicaClient(store, 'ltx')
    const [, second, third] = await client.list()
    await store.put(third?.key as string, await bytesOf(store, second?.key as string))
    const outcome = await outcomeOf(client)
    expect(expectRightOrNamed(outcome, third?.key as string)).toBe('refused')
    const { restorableTo } = (outcome as { error: RestoreError }).error
    expect(restorableTo?.txid).toBe(2n)
  })
})

describe('an archived object', () => {
  const archive = (store: FailingStore, key: string) => {
    let asked = 0
    store.beforeGet = (name) => {
      if (name !== key) return
      asked++
      const options = { op: 'get', key, archived: true, hint: 'Bring it back.' }
      throw new StoreError('Unsupported', `${key}: archived`, options)
    }
    return () => asked
  }

  it('is avoided if another chain produces the same state, and reported', async () => {
    const store = new FailingStore()
    const client = new ReplicaClient(store, 'ltx')
    await putChain(client, states, PAGE_SIZE, [...level0(1, 4), { level: 9, min: 1, max: 4 }])
    const key = (await client.list()).at(-1)?.key as string
    const asked = archive(store, key)
    const outcome = await outcomeOf(client)
    expect(asked()).toBeGreaterThan(0)
    expect(expectRightOrNamed(outcome, key)).toBe('avoided')
    const { avoided } = (outcome as { result: RestoreResult }).result
    expect(avoided[0]?.reason).toMatch(/is in an archive tier/)
  })

  it('without another chain is the error that the store gave, with how far a restore gets', async () => {
    const store = new FailingStore()
    const client = new ReplicaClient(store, 'ltx')
    await putChain(client, states, PAGE_SIZE, level0(1, 4))
    const key = (await client.list())[2]?.key as string
    archive(store, key)
    const { error } = (await outcomeOf(client)) as { error: StoreError }
    expect(error).toMatchObject({ name: 'StoreError', code: 'Unsupported', key, archived: true })
    expect(error).toMatchObject({ hint: 'Bring it back.' })
    expect(error.message).toMatch(/archive tier.*TXID 0+2 /)
    expect(readdirSync(folder)).toEqual([])
  })

  it('is not what every unsupported get is', async () => {
    const store = new FailingStore()
    const client = new ReplicaClient(store, 'ltx')
    await putChain(client, states, PAGE_SIZE, [...level0(1, 4), { level: 9, min: 1, max: 4 }])
    store.beforeGet = (key) => {
      throw new StoreError('Unsupported', '405', { op: 'get', key })
    }
    expect(await outcomeOf(client)).toMatchObject({
      error: { code: 'Unsupported', message: '405' },
    })
  })
})

describe('missing objects', () => {
  it('each object deleted in turn: a gap that says what is missing and how far a restore gets', async () => {
    for (let n = 1; n <= 4; n++) {
      const store = await filesOf(level0(1, 4).filter(({ min }) => min !== n))
      const outcome = await outcomeOf(new ReplicaClient(store, 'ltx'))
      if (n === 4) {
        // Nothing tells that a fourth file ever was: the third state is the latest.
        expect(outcome).toMatchObject({ result: { plan: { txid: 3n } } })
        expect(readFileSync(output).equals(states[2] as Buffer)).toBe(true)
        continue
      }
      const error = (outcome as { error: RestoreError }).error
      expect(error).toBeInstanceOf(RestoreError)
      expect(error.code).toBe('Gap')
      expect(error.message).toContain(`000000000000000${n} to 000000000000000${n}`)
      expect(error.restorableTo?.txid).toBe(n === 1 ? undefined : BigInt(n - 1))
      expect(existsSync(output)).toBe(false)
    }
  })

  it('listed and not there: MissingObject by name, with how far a restore gets', async () => {
    const store = new FailingStore()
    const client = new ReplicaClient(store, 'ltx')
    await putChain(client, states, PAGE_SIZE, level0(1, 4))
    const key = (await client.list())[2]?.key as string
    store.beforeGet = (asked) => {
      if (asked === key) throw notFound(key)
    }
    const error = await restoreReplica(client, { kind: 'latest' }, output).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'MissingObject', key, restorableTo: { txid: 2n } })
    expect(readdirSync(folder)).toEqual([])
  })

  it('taken by retention between listing and reading: a new listing, the same state', async () => {
    const store = new FailingStore()
    const client = new ReplicaClient(store, 'ltx')
    await putChain(client, states, PAGE_SIZE, level0(1, 4))
    const listed = await client.list()
    let compacted = false
    store.beforeGet = async () => {
      if (compacted) return
      compacted = true
      await putChain(client, states, PAGE_SIZE, [{ level: 1, min: 1, max: 4 }])
      await client.delete(listed)
    }
    const result = await restoreReplica(client, { kind: 'latest' }, output)
    expect(readFileSync(output).equals(newest)).toBe(true)
    expect(result.plan.files.map((file) => file.level)).toEqual([1])
    expect(result.avoided).toEqual([])
  })

  it('the newest file vanishing for good: MissingObject, not silently the state before', async () => {
    const store = new FailingStore()
    const client = new ReplicaClient(store, 'ltx')
    await putChain(client, states, PAGE_SIZE, level0(1, 4))
    const last = (await client.list()).slice(-1)
    store.beforeGet = async () => {
      await client.delete(last)
    }
    const error = await restoreReplica(client, { kind: 'latest' }, output).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'MissingObject', key: last[0]?.key })
  })

  it('a page that no file holds: MissingPage with its number', async () => {
    const client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
    const commit = (states[0] as Buffer).length / PAGE_SIZE
    await putChain(client, states, PAGE_SIZE, level0(1, 1))
    const grown = headerOf({ level: 0, min: 2, max: 2 }, PAGE_SIZE, commit + 2)
    const page = { pgno: commit + 2, data: new Uint8Array(PAGE_SIZE) }
    await client.put(0, txid(2), txid(2), encodeLtx(grown, [page]), { createdAt: new Date() })
    const error = await restoreReplica(client, { kind: 'latest' }, output).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'MissingPage' })
    expect((error as Error).message).toContain(`Page ${commit + 1} of ${commit + 2}`)
    expect(readdirSync(folder)).toEqual([])
  })

  it('pages cut off and grown again are never taken from before the cut', async () => {
    const client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
    const page = (pgno: number, fill: number) => ({
      pgno,
      data: new Uint8Array(PAGE_SIZE).fill(fill),
    })
    const put = (n: number, commit: number, pages: ReturnType<typeof page>[]) =>
      client.put(
        0,
        txid(n),
        txid(n),
        encodeLtx(headerOf({ level: 0, min: n, max: n }, PAGE_SIZE, commit), pages),
        { createdAt: new Date() },
      )
    await put(1, 4, [page(1, 1), page(2, 1), page(3, 1), page(4, 1)])
    await put(2, 2, [page(1, 2)])
    await put(3, 4, [page(4, 3)])
    const error = await restoreReplica(client, { kind: 'latest' }, output, {
      integrityCheck: 'none',
    }).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'MissingPage' })
    expect((error as Error).message).toContain('Page 3 of 4')
    await put(4, 4, [page(3, 4)])
    await restoreReplica(client, { kind: 'latest' }, output, { integrityCheck: 'none' })
    const bytes = readFileSync(output)
    expect([0, 1, 2, 3].map((i) => bytes[i * PAGE_SIZE])).toEqual([2, 1, 4, 3])
  })

  it('another page size further back: PageSizeMismatch by name', async () => {
    const client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
    await putChain(client, states, PAGE_SIZE, level0(1, 2))
    const header = headerOf({ level: 0, min: 3, max: 3 }, 1024, 2)
    const page = { pgno: 1, data: new Uint8Array(1024) }
    await client.put(0, txid(3), txid(3), encodeLtx(header, [page]), { createdAt: new Date() })
    const error = await restoreReplica(client, { kind: 'latest' }, output).catch((e: unknown) => e)
    const key = (await client.list())[1]?.key
    expect(error).toMatchObject({ code: 'PageSizeMismatch', key })
  })

  it('a header that claims 2^32 pages is refused before anything of that size is made', async () => {
    const client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
    await putChain(client, states, PAGE_SIZE, level0(1, 1))
    const header = headerOf({ level: 0, min: 2, max: 2 }, PAGE_SIZE, 0xffff_fffe)
    const page = { pgno: 1, data: new Uint8Array(PAGE_SIZE) }
    await client.put(0, txid(2), txid(2), encodeLtx(header, [page]), { createdAt: new Date() })
    const before = process.memoryUsage().arrayBuffers
    const error = await restoreReplica(client, { kind: 'latest' }, output).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'DamagedObject', key: expect.stringContaining('/0/') })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
  })

  it('a header with a wrong number of pages, seen before the end of its file: gone around', async () => {
    const store = new MemoryObjectStore()
    const client = new ReplicaClient(store, 'ltx')
    const noise = (n: number) => Uint8Array.from({ length: 200_000 }, (_, i) => (i * i * n) >> 5)
    const [state] = databaseStates([
      (database) => {
        database.exec('CREATE TABLE t (x)')
        database.prepare('INSERT INTO t VALUES (?)').run(noise(7919))
      },
    ])
    const chain = [
      { level: 9, min: 1, max: 1 },
      { level: 1, min: 1, max: 1 },
    ]
    await putChain(client, [state as Buffer], 4096, chain)
    const [planned] = (await planFor(client, { kind: 'latest' })).files
    const bytes = Buffer.from(await bytesOf(store, planned?.key as string))
    expect(bytes.length).toBeGreaterThan(128 * 1024)
    bytes.writeUInt8(0x40, 12)
    await store.put(planned?.key as string, bytes)
    const { avoided } = await restoreReplica(client, { kind: 'latest' }, output)
    expect(avoided.map(({ key }) => key)).toEqual([planned?.key])
    expect(readFileSync(output).equals(state as Buffer)).toBe(true)
  })
})

describe('integrity check', () => {
  const corrupt = (): Buffer => {
    const state = Buffer.from(newest)
    // The root page of the table becomes a page of no known kind, under right checksums.
    state.fill(0x77, PAGE_SIZE, PAGE_SIZE + 8)
    return state
  }

  it.each(['full', 'quick'] as const)(
    '%s: a damaged source is found, and nothing is left',
    async (integrityCheck) => {
      const client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
      await putChain(client, [corrupt()], PAGE_SIZE, level0(1, 1))
      const restoring = restoreReplica(client, { kind: 'latest' }, output, { integrityCheck })
      await expect(restoring).rejects.toMatchObject({ code: 'IntegrityCheckFailed' })
      expect(readdirSync(folder)).toEqual([])
    },
  )

  it('none: the same bytes are restored unseen', async () => {
    const client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
    await putChain(client, [corrupt()], PAGE_SIZE, level0(1, 1))
    await restoreReplica(client, { kind: 'latest' }, output, { integrityCheck: 'none' })
    expect(readFileSync(output).equals(corrupt())).toBe(true)
  })

  it('that needs a function of the application is distinguished from damage', async () => {
    const [state] = databaseStates([
      (database) => {
        database.function('f', { deterministic: true }, (x) => x)
        database.exec('CREATE TABLE t (x); CREATE INDEX i ON t (f(x)); INSERT INTO t VALUES (1)')
      },
    ])
    const client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
    await putChain(client, [state as Buffer], 4096, level0(1, 1))
    const error = await restoreReplica(client, { kind: 'latest' }, output).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'IntegrityCheckIncomplete' })
    expect((error as Error).message).toContain('unknown function: f()')
    expect(readdirSync(folder)).toEqual([])
  })

  it('an index that misses a row is found by full, not by quick', async () => {
    const [good] = databaseStates([
      (database) => {
        database.exec("CREATE TABLE t (x); CREATE INDEX i ON t (x); INSERT INTO t VALUES ('aaaa')")
      },
    ])
    const state = Buffer.from(good as Buffer)
    const root = state.lastIndexOf('aaaa')
    state.write('bbbb', root)
    const client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
    await putChain(client, [state], 4096, level0(1, 1))
    await restoreReplica(client, { kind: 'latest' }, output, { integrityCheck: 'quick' })
    const again = restoreReplica(client, { kind: 'latest' }, output, { force: true })
    await expect(again).rejects.toMatchObject({ code: 'IntegrityCheckFailed' })
  })

  describe('of rows that break a constraint', () => {
    /**
     * `rows` rows that lack a value, one that breaks a CHECK (SQLite does not look at those through a
     * connection that only reads), two that break a UNIQUE; `structural`: and an index that misses a row.
     */
    const broken = (rows: number, structural: boolean): Buffer => {
      const [made] = databaseStates([
        (database) => {
          database.exec(`CREATE TABLE t (a, b); CREATE TABLE u (x); CREATE INDEX ui ON u (x);
            INSERT INTO u VALUES ('same'), ('same'); CREATE TABLE z (x); CREATE INDEX i ON z (x);
            INSERT INTO z VALUES ('aaaa')`)
          const insert = database.prepare('INSERT INTO t VALUES (NULL, 1)')
          for (let i = 0; i < rows; i++) insert.run()
          database.exec('INSERT INTO t VALUES (1, -1)')
          database.enableDefensive(false)
          database.exec(`PRAGMA writable_schema = ON;
            UPDATE sqlite_master SET sql = 'CREATE TABLE t (a NOT NULL, b CHECK (b > 0))' WHERE name = 't';
            UPDATE sqlite_master SET sql = 'CREATE UNIQUE INDEX ui ON u (x)' WHERE name = 'ui'`)
        },
      ])
      const state = Buffer.from(made as Buffer)
      if (structural) state.write('bbbb', state.lastIndexOf('aaaa'))
      return state
    }
    const restoreOf = async (state: Buffer, integrityCheck: 'full' | 'quick' = 'full') => {
      const client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
      await putChain(client, [state], 4096, level0(1, 1))
      return await restoreReplica(client, { kind: 'latest' }, output, { integrityCheck })
    }

    it('is a warning: the application had them', async () => {
      const state = broken(2, false)
      const { warnings } = await restoreOf(state)
      expect([...warnings].sort()).toEqual([
        'NULL value in t.a',
        'NULL value in t.a',
        'non-unique entry in index ui',
      ])
      expect(readFileSync(output).equals(state)).toBe(true)
    })

    it.each(['full', 'quick'] as const)('%s: says how many more there are', async (check) => {
      const { warnings } = await restoreOf(broken(50, false), check)
      expect(warnings).toHaveLength(11)
      expect(warnings.at(-1)).toBe(`and ${check === 'full' ? 41 : 40} more`)
    })

    it.each([0, 9, 50])('damage behind %i of them is refused', async (rows) => {
      await expect(restoreOf(broken(rows, true))).rejects.toMatchObject({
        code: 'IntegrityCheckFailed',
        message: expect.stringContaining('missing from index i'),
      })
      expect(readdirSync(folder)).toEqual([])
    })

    it('a name that reads like a finding excuses no damage', async () => {
      const [made] = databaseStates([
        (database) =>
          database.exec(`CREATE TABLE t (x); CREATE INDEX "NULL value in t.x" ON t (x);
            INSERT INTO t VALUES ('aaaa')`),
      ])
      const state = Buffer.from(made as Buffer)
      state.write('bbbb', state.lastIndexOf('aaaa'))
      await expect(restoreOf(state)).rejects.toMatchObject({ code: 'IntegrityCheckFailed' })
    })
  })
})
