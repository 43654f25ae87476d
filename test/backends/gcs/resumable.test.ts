import { afterEach, describe, expect, it } from 'vitest'
import { GcsClient } from '../../../src/backends/gcs/gcs-client.ts'
import { GcsDriver } from '../../../src/backends/gcs/gcs-driver.ts'
import { parseGcsOptions } from '../../../src/backends/gcs/gcs-options.ts'
import { DriverStore } from '../../../src/core/store/index.ts'
import {
  type RecordedRequest,
  type RecordingServer,
  type ScriptedAnswer,
  startRecordingServer,
} from '../../servers/recording-server.ts'

const CHUNK = 256 * 1024
const body = Buffer.from(Array.from({ length: 2 * CHUNK + 100 }, (_, index) => index % 251))

let server: RecordingServer | undefined
let store: DriverStore | undefined
afterEach(async () => {
  await store?.close()
  await server?.close()
})

/**
 * A resumable session as Google documents it. `fault` may answer a chunk in its place, after keeping
 * as many of its bytes as it says.
 * @see https://cloud.google.com/storage/docs/performing-resumable-uploads
 */
class Session {
  data = Buffer.alloc(0)
  done = false
  readonly fault: (put: number) => { keep: number; answer: ScriptedAnswer } | undefined
  #puts = 0

  constructor(fault: Session['fault']) {
    this.fault = fault
  }

  answer({ method, url, headers, body: sent }: RecordedRequest): ScriptedAnswer {
    if (method === 'DELETE') return { status: 499 }
    if (method === 'POST') return { status: 200, headers: { location: `${url}&upload_id=u` } }
    const [, from, to, total] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(
      String(headers['content-range']),
    ) as unknown as (string | undefined)[]
    if (from === undefined) return this.#progress()
    const fault = this.fault(++this.#puts)
    const kept = sent.subarray(0, fault?.keep ?? sent.length)
    expect(Number(from)).toBe(this.data.length)
    expect(Number(to) - Number(from) + 1).toBe(sent.length)
    this.data = Buffer.concat([this.data, kept])
    this.done = total !== '*' && this.data.length === Number(total)
    return fault?.answer ?? this.#progress()
  }

  #progress(): ScriptedAnswer {
    const { length } = this.data
    if (this.done) return { status: 200, body: resource(length) }
    return { status: 308, headers: length === 0 ? {} : { range: `bytes=0-${length - 1}` } }
  }
}

function resource(size: number): string {
  const updated = '2026-01-01T00:00:00Z'
  return JSON.stringify({ name: 'k', size: String(size), generation: '7', updated })
}

async function open(answer: (request: RecordedRequest) => ScriptedAnswer): Promise<DriverStore> {
  server = await startRecordingServer(answer)
  const url = new URL(`gs://bucket?endpoint=${encodeURIComponent(server.url)}`)
  store = new DriverStore(
    new GcsDriver(new GcsClient(parseGcsOptions(url, {}, { partBytes: CHUNK }), undefined)),
  )
  return store
}

const unavailable = { status: 503, body: '{}' }

describe('resumable uploads', () => {
  it.each([
    ['nothing fails', () => undefined],
    [
      'a chunk is refused',
      (put: number) => (put === 2 ? { keep: 0, answer: unavailable } : undefined),
    ],
    [
      'half of a chunk arrives',
      (put: number) => (put === 2 ? { keep: 999, answer: unavailable } : undefined),
    ],
    [
      'the answer to a chunk is lost',
      (put: number) => (put === 1 ? { keep: CHUNK, answer: unavailable } : undefined),
    ],
    [
      'the last chunk is refused',
      (put: number) => (put === 3 ? { keep: 0, answer: unavailable } : undefined),
    ],
    [
      'the answer to the last chunk is lost',
      (put: number) => (put === 3 ? { keep: 100, answer: unavailable } : undefined),
    ],
  ])('end with every byte in place when %s', async (_, fault) => {
    const session = new Session(fault)
    const gcs = await open((request) => session.answer(request))
    const result = await gcs.put('k', {
      open: () => [body.subarray(0, 300_000), body.subarray(300_000)],
    })
    expect(result).toEqual({ size: body.length, version: '7' })
    expect(session.data.equals(body)).toBe(true)
    expect(server!.requests.some(({ method }) => method === 'DELETE')).toBe(false)
  })

  it('a session that ends too early is a failure', async () => {
    const early = new Session((put) =>
      put === 2 ? { keep: 0, answer: { status: 200, body: resource(CHUNK) } } : undefined,
    )
    const gcs = await open((request) => early.answer(request))
    await expect(gcs.put('k', body)).rejects.toMatchObject({ code: 'Corrupted', retryable: true })
  })

  it('a session whose last response names another size is a failure', async () => {
    const short = new Session((put) =>
      put === 3 ? { keep: 0, answer: { status: 200, body: resource(2 * CHUNK) } } : undefined,
    )
    const gcs = await open((request) => short.answer(request))
    await expect(gcs.put('k', body)).rejects.toMatchObject({
      code: 'Corrupted',
      outcome: 'unknown',
    })
  })

  it('a chunk that fails for good cancels the session and ends the put', async () => {
    const session = new Session((put) => (put >= 2 ? { keep: 0, answer: unavailable } : undefined))
    const gcs = await open((request) => session.answer(request))
    await expect(gcs.put('k', body)).rejects.toMatchObject({
      code: 'Unavailable',
      outcome: 'not-applied',
    })
    expect(server!.requests.at(-1)?.method).toBe('DELETE')
  })

  it('a session that is gone is retryable', async () => {
    const session = new Session(() => undefined)
    const gcs = await open((request) =>
      request.method === 'PUT' && session.data.length > 0
        ? { status: 410 }
        : session.answer(request),
    )
    await expect(gcs.put('k', body)).rejects.toMatchObject({ code: 'Unavailable', retryable: true })
  })
})
