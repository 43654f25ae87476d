import { describe, expect, it } from 'vitest'
import {
  ConditionalWrites,
  type StoredWrite,
} from '../../../src/backends/shared/conditional-write.ts'
import { type PutResult, StoreError, type Version } from '../../../src/core/store/index.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const lost = () => new StoreError('Unavailable', 'lost', { op: 'put', outcome: 'unknown' })
const exists = () => new StoreError('AlreadyExists', 'exists', { op: 'put', httpStatus: 412 })
const busy = () => new StoreError('Throttled', 'busy', { op: 'put' })

/** A store of one object whose answers fail as told. */
class OneObject {
  stored: StoredWrite | undefined
  readonly writes = new ConditionalWrites()
  readonly ids: string[] = []
  reads = 0

  put(
    body: Uint8Array,
    answers: ((commit: () => PutResult) => PutResult)[],
    signal = new AbortController().signal,
  ): Promise<PutResult> {
    return this.writes.write({
      key: 'k',
      body,
      condition: { ifAbsent: true },
      signal,
      send: async (writeId) => {
        this.ids.push(writeId)
        const commit = (): PutResult => {
          if (this.stored !== undefined) throw exists()
          this.stored = { size: body.length, version: 'v' as Version, writeId }
          return this.stored
        }
        const answer = answers.shift()
        if (answer === undefined) throw new Error('no more answers')
        return answer(commit)
      },
      readBack: async () => {
        this.reads++
        return this.stored
      },
    })
  }
}

const answered = (commit: () => PutResult) => commit()
const committedThenLost = (commit: () => PutResult): PutResult => {
  commit()
  throw lost()
}
const neverArrived = (): PutResult => {
  throw lost()
}
const refusedForLoad = (): PutResult => {
  throw busy()
}

describe('conditional writes', () => {
  it('an answer that came is believed without a read', async () => {
    const one = new OneObject()
    await one.put(bytes('a'), [answered])
    await expect(one.put(bytes('b'), [answered])).rejects.toMatchObject({ code: 'AlreadyExists' })
    expect(one.reads).toBe(0)
  })

  it('a committed write whose answer was lost is a success', async () => {
    const one = new OneObject()
    expect(await one.put(bytes('a'), [committedThenLost])).toEqual({ size: 1, version: 'v' })
  })

  it('a lost answer with another writer in place is a lost race', async () => {
    const one = new OneObject()
    await one.put(bytes('theirs'), [answered])
    await expect(one.put(bytes('ours'), [neverArrived])).rejects.toMatchObject({
      code: 'AlreadyExists',
    })
  })

  it('a lost answer with nothing in place stays unknown, and its repetition knows its own object', async () => {
    const one = new OneObject()
    const body = bytes('a')
    await expect(one.put(body, [neverArrived])).rejects.toMatchObject({ outcome: 'unknown' })
    // The first write lands late, between the read-back and the repetition.
    one.stored = { size: 1, version: 'late' as Version, writeId: one.ids[0] }
    expect(await one.put(body, [answered])).toEqual({ size: 1, version: 'late' })
    expect(new Set(one.ids).size).toBe(1)
  })

  it('a repetition that is turned away keeps the question open', async () => {
    const one = new OneObject()
    const body = bytes('a')
    await expect(one.put(body, [neverArrived])).rejects.toThrow()
    await expect(one.put(body, [refusedForLoad])).rejects.toMatchObject({ code: 'Throttled' })
    one.stored = { size: 1, version: 'late' as Version, writeId: one.ids[0] }
    expect(await one.put(body, [answered])).toMatchObject({ version: 'late' })
  })

  it('an aborted write is open as well', async () => {
    const one = new OneObject()
    const body = bytes('a')
    const abort = new AbortController()
    const committedThenAborted = (commit: () => PutResult): PutResult => {
      commit()
      abort.abort(new Error('enough'))
      throw abort.signal.reason
    }
    await expect(one.put(body, [committedThenAborted], abort.signal)).rejects.toThrow('enough')
    expect(await one.put(body, [answered])).toMatchObject({ version: 'v' })
  })

  it('the same body twice is two writes once the first is decided', async () => {
    const one = new OneObject()
    const body = bytes('a')
    await one.put(body, [answered])
    await expect(one.put(body, [answered])).rejects.toMatchObject({ code: 'AlreadyExists' })
    expect(new Set(one.ids).size).toBe(2)
  })

  it('two puts of one body at the same time have one winner', async () => {
    const one = new OneObject()
    const body = bytes('a')
    const both = await Promise.allSettled([one.put(body, [answered]), one.put(body, [answered])])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  it('a read-back that fails leaves the outcome unknown', async () => {
    const writes = new ConditionalWrites()
    const write = writes.write({
      key: 'k',
      body: bytes('a'),
      condition: { ifAbsent: true },
      signal: new AbortController().signal,
      send: async () => {
        throw lost()
      },
      readBack: async () => {
        throw busy()
      },
    })
    await expect(write).rejects.toMatchObject({ outcome: 'unknown', retryable: true })
  })

  it('a compare-and-swap whose object has changed meanwhile has lost', async () => {
    const writes = new ConditionalWrites()
    const write = (current: string) =>
      writes.write({
        key: 'k',
        body: bytes('a'),
        condition: { ifMatch: 'mine' as Version },
        signal: new AbortController().signal,
        send: async () => {
          throw lost()
        },
        readBack: async () => ({ size: 1, version: current as Version, writeId: undefined }),
      })
    await expect(write('other')).rejects.toMatchObject({ code: 'PreconditionFailed' })
    await expect(write('mine')).rejects.toMatchObject({ code: 'Unavailable', outcome: 'unknown' })
  })
})
