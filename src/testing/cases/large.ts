import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { CaseContext } from '../case-context.ts'
import type { ContractCase, Facet } from '../contract-case.ts'
import {
  bytes,
  keysOf,
  read,
  rejection,
  rejectsWith,
  sameBytes,
  text,
  untilDecided,
} from '../expect.ts'

const MIB = 1024 * 1024
/**
 * Allowed growth of resident memory during a big transfer: what is streamed must not be held in
 * memory.
 */
const MEMORY_SLACK = 96 * MIB

const cases: readonly ContractCase[] = [
  {
    id: 'LG01',
    promise: 'sizes around the limits of one part come back exactly',
    timeoutMs: 300_000,
    async run(context) {
      const part = context.harness.limits?.partBytes ?? MIB
      const all = bytes(2 * part + 1)
      for (const size of [part - 1, part, part + 1, 2 * part, 2 * part + 1]) {
        const body = all.subarray(0, size)
        const result = await context.store.put('part', chunked(body, 300_001, true))
        assert.equal(result.size, size)
        sameBytes(await read(context.store, 'part'), body, `${size} bytes`)
      }
    },
  },
  {
    id: 'LG02',
    promise: 'a big object of known size is streamed, not held in memory',
    timeoutMs: 300_000,
    run: (context) => streamsBig(context, true),
  },
  {
    id: 'LG03',
    promise: 'a big object of unknown size is streamed, not held in memory',
    timeoutMs: 300_000,
    run: (context) => streamsBig(context, false),
  },
  {
    id: 'LG04',
    promise: 'one of two big puts to the same key wins completely',
    timeoutMs: 300_000,
    async run(context) {
      const size = bigger(context)
      const bodies = [bytes(size, 1), bytes(size, 2)] as const
      await Promise.all(
        bodies.map((body) => untilDecided(() => context.store.put('k', chunked(body, 1_000_000)))),
      )
      const got = await read(context.store, 'k')
      const winner = bodies.find((body) => Buffer.compare(body, got) === 0)
      assert.ok(winner, 'the stored object is neither of the two')
    },
  },
  {
    id: 'LG05',
    promise: 'a big create-only put loses to an existing object and leaves nothing behind',
    needs: ['ifAbsent'],
    timeoutMs: 300_000,
    async run(context) {
      const { store } = context
      await store.put('k', text('first'))
      const body = chunked(bytes(bigger(context)), 1_000_000)
      await rejectsWith('AlreadyExists', store.put('k', body, { ifAbsent: true }), { key: 'k' })
      sameBytes(await read(store, 'k'), text('first'))
      await leavesNothing(context)
    },
  },
  {
    id: 'LG06',
    promise: 'a big put with a stale version fails and leaves nothing behind',
    needs: ['ifMatch'],
    timeoutMs: 300_000,
    async run(context) {
      const { store } = context
      const stale = await store.put('k', text('first'))
      await store.put('k', text('second'))
      const body = chunked(bytes(bigger(context)), 1_000_000)
      const put = store.put('k', body, { ifMatch: stale.version })
      await rejectsWith('PreconditionFailed', put, { key: 'k' })
      sameBytes(await read(store, 'k'), text('second'))
      await leavesNothing(context)
    },
  },
  {
    id: 'LG07',
    promise: 'a big put whose source throws leaves nothing behind',
    needs: ['residue'],
    timeoutMs: 300_000,
    async run(context) {
      const size = bigger(context)
      const body = {
        size,
        async *open() {
          yield* slices(bytes(size - 10), 1_000_000)
          throw new Error('the source broke')
        },
      }
      await rejection(context.store.put('k', body))
      assert.deepEqual(await keysOf(context.store), [])
      await leavesNothing(context)
    },
  },
  {
    id: 'LG08',
    promise: 'one failed part does not fail the put',
    needs: ['uploads in parts', 'faults', 'retry'],
    timeoutMs: 300_000,
    async run(context) {
      const body = bytes(bigger(context))
      context.faults.answer(500, { on: 'part', skip: 1 })
      await context.store.put('k', chunked(body, 1_000_000))
      sameBytes(await read(context.store, 'k'), body)
      await leavesNothing(context)
    },
  },
  {
    id: 'LG09',
    promise: 'a lost answer to the completion of a create-only put in parts is resolved',
    needs: ['uploads in parts', 'faults', 'retry', 'ifAbsent'],
    timeoutMs: 300_000,
    async run(context) {
      const body = bytes(bigger(context))
      context.faults.dropResponse({ on: 'commit' })
      const result = await context.store.put('k', chunked(body, 1_000_000), { ifAbsent: true })
      assert.equal(result.version, (await context.store.head('k'))?.version)
      sameBytes(await read(context.store, 'k'), body)
    },
  },
  {
    id: 'LG10',
    promise: 'an error in the answer to a completion is an error, and is retried',
    needs: ['uploads in parts', 'faults', 'retry'],
    timeoutMs: 300_000,
    async run(context) {
      const body = bytes(bigger(context))
      context.faults.answer(500, { on: 'commit' })
      await context.store.put('k', chunked(body, 1_000_000))
      sameBytes(await read(context.store, 'k'), body)
    },
  },
]

async function streamsBig(context: CaseContext, sized: boolean): Promise<void> {
  const total = context.limit('bigObjectBytes')
  const block = bytes(MIB)
  const hash = createHash('sha256')
  const body = {
    ...(sized ? { size: total } : {}),
    *open() {
      for (let at = 0; at < total; at += block.byteLength) {
        block[0] = (at / block.byteLength) & 0xff
        const chunk = block.subarray(0, Math.min(block.byteLength, total - at))
        hash.update(chunk)
        yield chunk
      }
    },
  }
  const meter = memoryMeter(context)
  const result = await context.store.put('big', body)
  assert.equal(result.size, total)
  const got = createHash('sha256')
  for await (const chunk of (await context.store.get('big')).body) got.update(chunk)
  const peak = meter()
  assert.equal(got.digest('hex'), hash.digest('hex'), 'SHA-256 of what came back')
  if (peak !== undefined) {
    const limit = MEMORY_SLACK + total / 4
    assert.ok(peak < limit, `memory grew by ${Math.round(peak / MIB)} MiB`)
  }
}

/**
 * Measures the growth of resident memory; not for stores that keep their objects in this process.
 */
function memoryMeter(context: CaseContext): () => number | undefined {
  if (context.store.description.startsWith('mem:')) return () => undefined
  const start = process.memoryUsage().rss
  let peak = start
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss)
  }, 20)
  return () => {
    clearInterval(timer)
    return Math.max(peak, process.memoryUsage().rss) - start
  }
}

function bigger(context: CaseContext): number {
  return 2 * (context.harness.limits?.partBytes ?? MIB) + 12_345
}

function chunked(body: Uint8Array, step: number, sized = false) {
  return { ...(sized ? { size: body.byteLength } : {}), open: () => slices(body, step) }
}

function* slices(body: Uint8Array, step: number): Generator<Uint8Array> {
  for (let at = 0; at < body.byteLength; at += step) yield body.subarray(at, at + step)
}

async function leavesNothing(context: CaseContext): Promise<void> {
  const left = await context.harness.residue?.(context.prefix)
  if (left !== undefined) assert.deepEqual([...left], [], 'half-written things left behind')
}

export const large: Facet = { name: 'large objects', cases }
