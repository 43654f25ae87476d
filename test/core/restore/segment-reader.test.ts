import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { txid } from '../../../src/core/ltx/index.ts'
import { type LtxFileInfo, ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { readSegments, SEGMENT_BYTES } from '../../../src/core/restore/segment-reader.ts'
import { type GetOptions, type GetResult, StoreError } from '../../../src/core/store/index.ts'

/** Bytes of file n at an offset; differs between files and positions. */
const byteAt = (n: number, at: number): number => (n * 31 + at * 7 + (at >> 12)) & 0xff

class SlowStore extends MemoryObjectStore {
  running = 0
  most = 0
  /** Key, number of the call for that key (from 1). */
  fail: (key: string, call: number) => void = () => {}
  readonly #calls = new Map<string, number>()

  override async get(key: string, options?: GetOptions): Promise<GetResult> {
    const call = (this.#calls.get(key) ?? 0) + 1
    this.#calls.set(key, call)
    this.most = Math.max(this.most, ++this.running)
    try {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5))
      options?.signal?.throwIfAborted()
      this.fail(key, call)
      return await super.get(key, options)
    } finally {
      this.running--
    }
  }
}

async function storeOf(sizes: readonly number[]): Promise<{
  store: SlowStore
  client: ReplicaClient
  files: LtxFileInfo[]
}> {
  const store = new SlowStore()
  const client = new ReplicaClient(store, 'ltx')
  for (const [n, size] of sizes.entries()) {
    const body = Uint8Array.from({ length: size }, (_, at) => byteAt(n, at))
    await client.put(0, txid(n + 1), txid(n + 1), body, { createdAt: new Date() })
  }
  return { store, client, files: await client.list() }
}

function errorFor(code: 'Unavailable' | 'Corrupted' | 'PermissionDenied', key: string): StoreError {
  return new StoreError(code, `${code} for ${key}.`, { op: 'get', key })
}

async function readAll(client: ReplicaClient, files: readonly LtxFileInfo[]): Promise<void> {
  for await (const { bytes } of readSegments(client, files, { parallelism: 1 })) {
    expect(bytes).toHaveLength(10)
  }
}

describe('readSegments', () => {
  it('gives all bytes of all files in order, within the limit, however the reads end', async () => {
    const sizes = [10, SEGMENT_BYTES, 0, 3 * SEGMENT_BYTES + 5, 1, 2 * SEGMENT_BYTES]
    const { store, client, files } = await storeOf(sizes)
    const pieces: { n: number; size: number; last: boolean }[] = []
    const read = sizes.map(() => 0)
    for await (const { file, bytes, last } of readSegments(client, files, { parallelism: 3 })) {
      const n = Number(file.maxTxid) - 1
      const start = read[n] as number
      for (let at = 0; at < bytes.length; at += 1009) expect(bytes[at]).toBe(byteAt(n, start + at))
      read[n] = start + bytes.length
      pieces.push({ n, size: bytes.length, last })
    }
    expect(read).toEqual(sizes)
    expect(pieces.map(({ n }) => n)).toEqual([0, 1, 2, 3, 3, 3, 3, 4, 5, 5])
    expect(pieces.map(({ last }) => last)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
      true,
      true,
      false,
      true,
    ])
    expect(store.most).toBe(3)
    expect(store.running).toBe(0)
  })

  it('retries a transient failure, and fails at the third', async () => {
    const { store, client, files } = await storeOf([10, 10])
    const key = files[1]?.key as string
    let failures = 2
    store.fail = (asked, call) => {
      if (asked === key && call <= failures) throw errorFor('Unavailable', key)
    }
    const sizes: number[] = []
    for await (const { bytes } of readSegments(client, files, { parallelism: 1 }))
      sizes.push(bytes.length)
    expect(sizes).toEqual([10, 10])
    failures = Number.POSITIVE_INFINITY
    const reading = readAll(client, files)
    await expect(reading).rejects.toMatchObject({ code: 'Unavailable' })
  })

  it('leaves bytes alone that the store keeps and hands out again', async () => {
    const { store, client, files } = await storeOf([SEGMENT_BYTES])
    const kept = new Uint8Array(SEGMENT_BYTES).fill(9)
    const { get } = store
    store.get = async (...args) => {
      const { body, ...rest } = await get.apply(store, args)
      for await (const _ of body);
      async function* whole(): AsyncGenerator<Uint8Array> {
        yield kept
      }
      return { ...rest, body: whole() }
    }
    for (let round = 0; round < 2; round++) {
      for await (const { bytes } of readSegments(client, files, { parallelism: 1 })) {
        expect(bytes).toHaveLength(SEGMENT_BYTES)
        expect(bytes.every((byte) => byte === 9)).toBe(true)
      }
    }
    expect(kept.buffer.detached).toBe(false)
  })

  it('calls an object damaged if its bytes never arrive intact', async () => {
    const { store, client, files } = await storeOf([10])
    const key = files[0]?.key as string
    store.fail = () => {
      throw errorFor('Corrupted', key)
    }
    const reading = readAll(client, files)
    await expect(reading).rejects.toMatchObject({
      name: 'ReplicaError',
      code: 'DamagedObject',
      key,
    })
  })

  it('does not retry what cannot succeed', async () => {
    const { store, client, files } = await storeOf([10])
    let calls = 0
    store.fail = (key) => {
      calls++
      throw errorFor('PermissionDenied', key)
    }
    const reading = readAll(client, files)
    await expect(reading).rejects.toMatchObject({ code: 'PermissionDenied' })
    expect(calls).toBe(1)
  })

  it('keeps the error of a file that is read ahead until that file is due', async () => {
    const { store, client, files } = await storeOf([10, 10, 10])
    const last = files[2]?.key
    store.fail = (key) => {
      if (key === last) throw errorFor('PermissionDenied', key)
    }
    let seen = 0
    for await (const segment of readSegments(client, files, { parallelism: 3 })) {
      expect(segment.bytes).toHaveLength(10)
      if (++seen === 2) break
    }
    expect(store.running).toBe(0)
  })

  it('an abort ends with its reason and no read running', async () => {
    const { store, client, files } = await storeOf([10, 10, 10])
    const abort = new AbortController()
    const reason = new Error('stop')
    const reading = (async () => {
      for await (const _ of readSegments(client, files, { parallelism: 2, signal: abort.signal })) {
        abort.abort(reason)
      }
    })()
    await expect(reading).rejects.toBe(reason)
    expect(store.running).toBe(0)
  })
})
