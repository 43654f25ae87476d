import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { provider as azure } from '../../../src/backends/azure/index.ts'
import { provider as gcs } from '../../../src/backends/gcs/index.ts'
import { provider as s3 } from '../../../src/backends/s3/index.ts'
import { ANSWER_BYTES, ERROR_BYTES } from '../../../src/backends/shared/answer-bounds.ts'
import { isStoreError, type ObjectStore, type StoreError } from '../../../src/core/store/index.ts'

type Backend = 's3' | 'gcs' | 'azure'
const BACKENDS: readonly Backend[] = ['s3', 'gcs', 'azure']
/** Silence is never what ends a drip: pieces come far more often. */
const TIMEOUT_MS = 800
const DRIP_MS = 20

let server: Server | undefined
let store: ObjectStore | undefined

afterEach(async () => {
  await store?.close()
  server?.closeAllConnections()
  server?.close()
})

async function open(
  backend: Backend,
  answer: RequestListener,
  timeoutMs = TIMEOUT_MS,
): Promise<ObjectStore> {
  server = createServer((request, response) => {
    request.resume()
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const options = { timeoutMs }
  if (backend === 's3') {
    const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' }
    store = await s3.open(new URL('s3://bucket'), env, { ...options, endpoint })
  } else if (backend === 'gcs') {
    store = await gcs.open(new URL('gs://bucket'), { STORAGE_EMULATOR_HOST: endpoint }, options)
  } else {
    const url = new URL('az://container?account=acc')
    const env = { AZURE_STORAGE_KEY: 'a2V5' }
    store = await azure.open(url, env, { ...options, endpoint: `${endpoint}/acc` })
  }
  return store
}

async function failure(call: Promise<unknown>): Promise<StoreError> {
  const error: unknown = await call.then(
    () => new Error('it resolved'),
    (thrown: unknown) => thrown,
  )
  if (isStoreError(error)) return error
  throw error
}

async function names(listing: ObjectStore): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of listing.list()) keys.push(key)
  return keys
}

/** One page of a listing in the backend's own words. */
function page(backend: Backend, keys: readonly string[], token: string): string {
  if (backend === 'gcs') {
    const items = keys.map((name) => ({ name, size: '1', generation: '1', updated: '2026-01-01' }))
    return JSON.stringify({ items, ...(token === '' ? {} : { nextPageToken: token }) })
  }
  if (backend === 's3') {
    const contents = keys.map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`)
    const more = `<IsTruncated>${token !== ''}</IsTruncated>`
    const next = token === '' ? '' : `<NextContinuationToken>${token}</NextContinuationToken>`
    return `<ListBucketResult>${more}${next}${contents.join('')}</ListBucketResult>`
  }
  const properties = '<Properties><Content-Length>1</Content-Length></Properties>'
  const blobs = keys.map((key) => `<Blob><Name>${key}</Name>${properties}</Blob>`)
  return `<EnumerationResults><Blobs>${blobs.join('')}</Blobs><NextMarker>${token}</NextMarker></EnumerationResults>`
}

function headOf(backend: Backend): Record<string, string> {
  if (backend === 'gcs') return { 'content-type': 'application/json' }
  return { 'content-type': 'application/xml', 'x-ms-request-id': 'r' }
}

/** Sends without an end; tells how much had gone out when the other side hung up. */
function endless(response: ServerResponse, sent: { bytes: number; closed: boolean }): void {
  const chunk = Buffer.alloc(256 * 1024, ' ')
  response.on('close', () => {
    sent.closed = true
  })
  const push = () => {
    while (!sent.closed) {
      sent.bytes += chunk.length
      if (!response.write(chunk)) break
    }
  }
  response.on('drain', push)
  push()
}

function drip(response: ServerResponse, sent: { pieces: number }): void {
  const timer = setInterval(() => {
    sent.pieces++
    response.write(' ')
  }, DRIP_MS)
  response.on('close', () => clearInterval(timer))
}

describe.each(BACKENDS)('an endpoint of %s that is broken or hostile', (backend) => {
  it('a listing without an end is cut', { timeout: 30_000 }, async () => {
    const sent = { bytes: 0, closed: false }
    const listing = await open(
      backend,
      (_request, response) => {
        response.writeHead(200, headOf(backend))
        endless(response, sent)
      },
      20_000,
    )
    const error = await failure(names(listing))
    expect(error.code).toBe('Unavailable')
    await expect.poll(() => sent.closed).toBe(true)
    // What lies in the buffers of the sockets comes on top.
    expect(sent.bytes).toBeGreaterThan(ANSWER_BYTES)
    expect(sent.bytes).toBeLessThan(ANSWER_BYTES + 16 * 1024 * 1024)
  })

  it('the text of an error without an end is cut, and its status counts', async () => {
    const sent = { bytes: 0, closed: false }
    const listing = await open(
      backend,
      (_request, response) => {
        response.writeHead(503, headOf(backend))
        endless(response, sent)
      },
      20_000,
    )
    const error = await failure(names(listing))
    expect(error).toMatchObject({ code: 'Unavailable', httpStatus: 503 })
    await expect.poll(() => sent.closed).toBe(true)
    expect(sent.bytes).toBeGreaterThan(ERROR_BYTES)
    expect(sent.bytes).toBeLessThan(ERROR_BYTES + 16 * 1024 * 1024)
  })

  it.for([
    ['a listing', (open: ObjectStore) => names(open)],
    ['a head', (open: ObjectStore) => open.head('k')],
    ['a small put', (open: ObjectStore) => open.put('k', Buffer.from('x'))],
    ['a delete', (open: ObjectStore) => open.delete('k')],
  ] as const)('%s that only drips ends', async ([what, call], { skip }) => {
    // S3 and Azure answer a HEAD without a body.
    if (backend !== 'gcs' && what === 'a head') skip()
    const sent = { pieces: 0 }
    const dripping = await open(backend, (_request, response) => {
      response.writeHead(200, { ...headOf(backend), 'content-length': '100000' })
      drip(response, sent)
    })
    const error = await failure(call(dripping))
    expect(error.code).toBe('Timeout')
    expect(sent.pieces).toBeGreaterThan(0)
    expect((error.cause as Error).message).toMatch(/took over|bytes came in/)
  })

  it('the head of an answer that only drips ends', async () => {
    const sent = { pieces: 0 }
    const dripping = await open(backend, (_request, response) => {
      response.socket?.write('HTTP/1.1 200 OK\r\nx-drip: ')
      const timer = setInterval(() => {
        sent.pieces++
        response.socket?.write('x')
      }, DRIP_MS)
      response.on('close', () => clearInterval(timer))
    })
    const error = await failure(dripping.head('k'))
    expect(error.code).toBe('Timeout')
    expect(sent.pieces).toBeGreaterThan(0)
    expect((error.cause as Error).message).toMatch(/took over|bytes came in/)
  })

  it.each([
    ['small', 1000],
    ['large', 10_000_000],
  ])('the body of a %s object that only drips ends', async (_size, length) => {
    const sent = { pieces: 0 }
    const dripping = await open(backend, (_request, response) => {
      response.writeHead(200, {
        'content-length': String(length),
        etag: '"1"',
        'x-goog-generation': '1',
        'x-ms-request-id': 'r',
        'last-modified': new Date(0).toUTCString(),
      })
      drip(response, sent)
    })
    const got = await dripping.get('k')
    const read = async () => {
      for await (const _chunk of got.body);
    }
    const error = await failure(read())
    expect(error.code).toBe('Timeout')
    expect(sent.pieces).toBeGreaterThan(0)
    expect((error.cause as Error).message).toMatch(/took over|bytes came in/)
  })

  it.each([
    ['repeats a page', ['a'], ['same', 'same', 'same']],
    ['repeats an empty page', [], ['same', 'same']],
    ['goes round in a circle', [], ['x', 'y', 'z', 'x', 'y', 'z', 'x', 'y', 'z']],
    ['descends in a page', ['b', 'a'], ['']],
    ['names a key twice', ['a', 'a'], ['']],
    ['descends between pages', ['b'], ['x', '']],
  ])('a listing that %s is an error', async (_what, keys, tokens) => {
    let requests = 0
    const listing = await open(backend, (_request, response) => {
      response.writeHead(200, headOf(backend))
      response.end(page(backend, keys, tokens[requests % tokens.length] as string))
      requests++
    })
    const error = await failure(names(listing))
    expect(error).toMatchObject({ code: 'Corrupted', retryable: false })
    expect(requests).toBeLessThan(10)
  })

  it('empty pages in between are skipped', async () => {
    const pages: [string[], string][] = [
      [['a', 'b'], '1'],
      [[], '2'],
      [[], '3'],
      [['b-', 'b/c', 'bc'], ''],
    ]
    let requests = 0
    const listing = await open(backend, (_request, response) => {
      const [keys, token] = pages[requests++] as [string[], string]
      response.writeHead(200, headOf(backend))
      response.end(page(backend, keys, token))
    })
    expect(await names(listing)).toEqual(['a', 'b', 'b-', 'b/c', 'bc'])
    expect(requests).toBe(4)
  })
})
