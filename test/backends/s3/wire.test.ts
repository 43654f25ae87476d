import { afterEach, describe, expect, it } from 'vitest'
import { provider } from '../../../src/backends/s3/index.ts'
import { connectS3 } from '../../../src/backends/s3/s3-client.ts'
import { parseS3Options } from '../../../src/backends/s3/s3-options.ts'
import type { ObjectStore, StoreError, Version } from '../../../src/core/store/index.ts'
import {
  type RecordedRequest,
  type RecordingServer,
  type ScriptedAnswer,
  startRecordingServer,
} from '../../servers/recording-server.ts'

const ENV = { AWS_ACCESS_KEY_ID: 'access', AWS_SECRET_ACCESS_KEY: 'secret' }
const PART = 5 * 1024 * 1024
const bytes = (length: number) => new Uint8Array(length).fill(7)

let server: RecordingServer | undefined
let store: ObjectStore | undefined

afterEach(async () => {
  await store?.close()
  await server?.close()
})

async function open(answer: (request: RecordedRequest) => ScriptedAnswer): Promise<ObjectStore> {
  server = await startRecordingServer(answer)
  const url = new URL(`s3://bucket/pre?endpoint=${encodeURIComponent(server.url)}`)
  store = await provider.open(url, ENV, { partBytes: PART })
  return store
}

function uploadAnswer({ method, url }: RecordedRequest): ScriptedAnswer {
  if (url.includes('uploads')) {
    return {
      status: 200,
      body: '<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>',
    }
  }
  if (method === 'POST' && url.includes('uploadId')) {
    return {
      status: 200,
      body: '<CompleteMultipartUploadResult><ETag>"e-2"</ETag></CompleteMultipartUploadResult>',
    }
  }
  return { status: 200, headers: { etag: '"e"' } }
}

const failing = (status: number, code?: string) => (): ScriptedAnswer => ({
  status,
  body: code === undefined ? '' : `<Error><Code>${code}</Code><Message>m</Message></Error>`,
})

async function caught(call: Promise<unknown>): Promise<StoreError> {
  return await call.then(
    () => {
      throw new Error('it resolved')
    },
    (error: unknown) => error as StoreError,
  )
}

/** The request as it would go out, for endpoints that cannot be reached from a test. */
async function addressed(
  url: string,
  env: Record<string, string> = {},
  options: Record<string, unknown> = {},
): Promise<{ host: string; path: string; headers: Record<string, string> }> {
  const parsed = parseS3Options(new URL(url), { ...ENV, ...env }, options)
  const connection = await connectS3({ ...parsed, region: parsed.region ?? 'eu-west-1' })
  let seen: { hostname: string; path: string; headers: Record<string, string> } | undefined
  connection.client.middlewareStack.add(
    () => async (args) => {
      seen = args.request as typeof seen
      throw new Error('not sent')
    },
    { step: 'finalizeRequest', priority: 'low' },
  )
  const command = new connection.sdk.GetObjectCommand({ Bucket: parsed.bucket, Key: 'k' })
  await connection.client.send(command).catch(() => {})
  connection.destroy()
  if (seen === undefined) throw new Error('no request was built')
  return { host: seen.hostname, path: seen.path, headers: seen.headers }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('S3 on the wire', () => {
  it('S301 a put has a length and a signed body: no aws-chunked, no trailer, no Expect', async () => {
    const s3 = await open(uploadAnswer)
    await s3.put('one', bytes(1000))
    await s3.put('two', { open: () => [bytes(3 * 1024 * 1024)] })
    await s3.put('parts', bytes(PART + 1))
    const bodies = server!.requests.filter(({ method }) => method === 'PUT')
    expect(bodies.map(({ body }) => body.length).sort((a, b) => a - b)).toEqual([
      1,
      1000,
      3 * 1024 * 1024,
      PART,
    ])
    for (const { headers, body } of bodies) {
      expect(headers['content-length']).toBe(String(body.length))
      expect(headers['x-amz-content-sha256']).toMatch(/^[0-9a-f]{64}$/)
      expect(headers).not.toHaveProperty('content-encoding')
      expect(headers).not.toHaveProperty('x-amz-trailer')
      expect(headers).not.toHaveProperty('transfer-encoding')
      expect(headers).not.toHaveProperty('expect')
    }
  })

  it('S302 uploads to services other than AWS have no checksum headers', async () => {
    const s3 = await open(uploadAnswer)
    await s3.put('one', bytes(10))
    await s3.put('parts', bytes(PART + 1))
    expect(server!.requests).toHaveLength(5)
    for (const { headers } of server!.requests) {
      const names = Object.keys(headers).filter((name) => /checksum/.test(name))
      expect(names).toEqual([])
    }
  })

  it('S303 a batch delete carries a CRC32, and falls back to single deletes where it is refused', async () => {
    const s3 = await open(({ method }) =>
      method === 'POST' ? failing(501, 'NotImplemented')() : { status: 204 },
    )
    const failures = await collect(s3.deleteMany(['a', 'b']))
    expect(failures).toEqual([])
    const [batch, ...singles] = server!.requests
    expect(batch?.headers).toHaveProperty('x-amz-checksum-crc32')
    expect(singles.map(({ method, url }) => `${method} ${url.split('?')[0]}`).sort()).toEqual([
      'DELETE /bucket/pre/a',
      'DELETE /bucket/pre/b',
    ])
  })

  it('S304 the bucket goes into the host or the path as the service wants it', async () => {
    const at = async (url: string, endpoint?: string, options = {}) => {
      const { host, path } = await addressed(url, {}, { endpoint, ...options })
      return `${host}${path}`
    }
    expect(await at('s3://bkt')).toBe('bkt.s3.eu-west-1.amazonaws.com/k')
    expect(await at('s3://dotted.bkt')).toBe('s3.eu-west-1.amazonaws.com/dotted.bkt/k')
    expect(await at('tigris://bkt')).toBe('bkt.t3.storage.dev/k')
    expect(await at('s3://bkt', 'https://fra1.digitaloceanspaces.com')).toBe(
      'bkt.fra1.digitaloceanspaces.com/k',
    )
    expect(await at('s3://bkt', 'https://s3.eu-central-003.backblazeb2.com')).toBe(
      's3.eu-central-003.backblazeb2.com/bkt/k',
    )
    for (const host of ['127.0.0.1', 'localhost', 'minio', 's3.localhost']) {
      expect(await at('s3://bkt', `http://${host}:9000`)).toBe(`${host}/bkt/k`)
    }
    expect(await at('s3://bkt', 'http://[::1]:9000')).toBe('[::1]/bkt/k')
    expect(await at('s3://bkt', 'https://s3.example.org')).toBe('bkt.s3.example.org/k')
    expect(await at('s3://bkt', 'https://s3.example.org', { forcePathStyle: true })).toBe(
      's3.example.org/bkt/k',
    )
  })

  it('S305 the service is recognised by the endpoint that is actually used, wherever it was set', async () => {
    const TIGRIS = 'https://t3.storage.dev'
    const tigris = [
      await addressed('tigris://bkt'),
      await addressed(`s3://bkt?endpoint=${TIGRIS}`),
      await addressed('s3://bkt', {}, { endpoint: TIGRIS }),
      await addressed('s3://bkt', { AWS_ENDPOINT_URL_S3: TIGRIS }),
      await addressed('s3://bkt', { AWS_ENDPOINT_URL: TIGRIS }),
    ]
    for (const { host, headers } of tigris) {
      expect(host).toBe('bkt.t3.storage.dev')
      expect(headers['x-tigris-consistent']).toBe('true')
    }
    const other = await addressed('s3://bkt')
    expect(other.headers).not.toHaveProperty('x-tigris-consistent')
  })

  it('S306 an ETag is quoted in a condition, except for DigitalOcean', async () => {
    const s3 = await open(uploadAnswer)
    await s3.put('k', bytes(1), { ifMatch: '"abc"' as Version })
    expect(server!.requests[0]?.headers['if-match']).toBe('"abc"')
    await s3.put('k', bytes(1), { ifAbsent: true })
    expect(server!.requests[1]?.headers['if-none-match']).toBe('*')
    const spaces = parseS3Options(
      new URL('s3://bkt?endpoint=https://fra1.digitaloceanspaces.com'),
      ENV,
      {},
    )
    expect(spaces.profile.bareEtags).toBe(true)
  })

  it.each([
    [304, undefined, { ifAbsent: true }, 'AlreadyExists'],
    [412, 'PreconditionFailed', { ifAbsent: true }, 'AlreadyExists'],
    [412, 'PreconditionFailed', { ifMatch: '"e"' as Version }, 'PreconditionFailed'],
    [404, 'NoSuchKey', { ifMatch: '"e"' as Version }, 'PreconditionFailed'],
    [404, 'NoSuchBucket', {}, 'ContainerNotFound'],
    [404, undefined, {}, 'ContainerNotFound'],
    [400, 'BadDigest', {}, 'Corrupted'],
    [400, 'InvalidRequest', {}, 'InvalidArgument'],
    [401, 'Unauthorized', {}, 'Unauthenticated'],
    [403, 'AccessDenied', {}, 'PermissionDenied'],
    [403, 'SignatureDoesNotMatch', {}, 'Unauthenticated'],
    [301, 'PermanentRedirect', {}, 'InvalidArgument'],
    [302, undefined, {}, 'InvalidArgument'],
    [408, 'RequestCanceled', {}, 'Unavailable'],
    [429, 'TooManyRequests', {}, 'Throttled'],
    [500, 'InternalError', {}, 'Unavailable'],
    [501, 'NotImplemented', {}, 'Unsupported'],
    [409, 'ObjectParentIsFile', { ifAbsent: true }, 'InvalidKey'],
    [503, 'SlowDown', {}, 'Throttled'],
    [503, 'ServiceUnavailable', {}, 'Unavailable'],
    [507, 'XMinioStorageFull', {}, 'NoSpace'],
  ] as const)('S307 %i %s on a put %o is %s', async (status, code, options, expected) => {
    const s3 = await open((request) =>
      request.method === 'HEAD' ? { status: 404 } : failing(status, code)(),
    )
    const error = await caught(s3.put('k', bytes(3), options))
    expect(error.code).toBe(expected)
    expect(error.httpStatus).toBe(status)
    const passing = ['Unavailable', 'Throttled', 'Corrupted'].includes(expected)
    expect(error.retryable).toBe(passing)
  })

  it('S307 a conflict (409) says nothing about the key, so the put is repeated', async () => {
    const s3 = await open(failing(409, 'ConditionalRequestConflict'))
    const error = await caught(s3.put('k', bytes(3), { ifAbsent: true }))
    expect(error).toMatchObject({ code: 'Unavailable', retryable: true, outcome: 'not-applied' })
    expect(server!.requests).toHaveLength(1)
  })

  it('S307 the error for a refused condition names the flag that sends no conditions', async () => {
    const s3 = await open(failing(501, 'NotImplemented'))
    const { hint } = await caught(s3.put('k', bytes(3), { ifAbsent: true }))
    expect(hint).toContain('--no-fencing')
  })

  it('S307 an archived object is named as such', async () => {
    const s3 = await open(failing(403, 'InvalidObjectState'))
    const error = await caught(s3.get('k'))
    expect(error).toMatchObject({
      code: 'Unsupported',
      retryable: false,
      archived: true,
      httpStatus: 403,
    })
    expect(error.hint).toMatch(/archived .*restore-object/)
  })

  it('S307 a range that cannot be is InvalidRange', async () => {
    const s3 = await open(failing(416, 'InvalidRange'))
    expect((await caught(s3.get('k', { range: { start: 9 } }))).code).toBe('InvalidRange')
  })

  it('S308 a look-alike host is not recognised', async () => {
    for (const host of [
      't3.storage.dev.evil.example',
      'evil-t3.storage.dev',
      'amazonaws.com.evil.example',
    ]) {
      const { profile } = parseS3Options(new URL(`s3://bkt?endpoint=https://${host}`), ENV, {})
      expect(profile.name).toBe('generic')
    }
  })

  it('S309 names are listed encoded and then decoded, and those of other programs are left out', async () => {
    const names = ['pre/a%3Db', 'pre/dir%2Fx', 'pre/marker%2F', 'pre/with+space']
    const s3 = await open(() => ({
      status: 200,
      body: `<ListBucketResult><IsTruncated>false</IsTruncated>${names
        .map((name) => `<Contents><Key>${name}</Key><Size>1</Size><ETag>"e"</ETag></Contents>`)
        .join('')}</ListBucketResult>`,
    }))
    const keys = (await collect(s3.list())).map(({ key }) => key)
    expect(keys).toEqual(['a=b', 'dir/x'])
    expect(server!.requests[0]?.url).toContain('encoding-type=url')
  })

  it('S310 a clock that is off is named in the hint', async () => {
    const s3 = await open(failing(403, 'RequestTimeTooSkewed'))
    const error = await caught(s3.get('k'))
    expect(error.code).toBe('Unauthenticated')
    expect(error.hint).toMatch(/clock/)
  })

  it('S311 a listing that is cut off without a continuation fails', async () => {
    const s3 = await open(() => ({
      status: 200,
      body: '<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>',
    }))
    expect((await caught(collect(s3.list()))).code).toBe('Unavailable')
  })

  it('S312 an upload that fails is aborted', async () => {
    const s3 = await open((request) =>
      request.method === 'PUT' ? failing(403, 'AccessDenied')() : uploadAnswer(request),
    )
    expect((await caught(s3.put('k', bytes(PART + 1)))).code).toBe('PermissionDenied')
    const last = server!.requests.at(-1)
    expect(`${last?.method} ${last?.url}`).toMatch(/^DELETE .*uploadId=u1/)
  })

  it('S313 createdAt is stored where Litestream looks for it', async () => {
    const s3 = await open(uploadAnswer)
    await s3.put('k', bytes(1), { createdAt: new Date('2026-01-02T03:04:05.678Z') })
    expect(server!.requests[0]?.headers['x-amz-meta-litestream-timestamp']).toBe(
      '2026-01-02T03:04:05.678Z',
    )
  })

  it.each(['<html><body>Log in</body></html>', ''])(
    'S314 a success that is no listing does not pass for an empty bucket: %j',
    async (body) => {
      const s3 = await open(() => ({ status: 200, body }))
      const calls = [() => collect(s3.list()), () => collect(s3.listDir()), () => s3.check()]
      for (const call of calls) {
        const error = await caught(call())
        expect(error.code).toBe('Unavailable')
        expect(error.hint).toMatch(/Check the endpoint/)
      }
    },
  )

  it('S315 a success without an ETag is no stored object, unless its bytes can be read back', async () => {
    const stored = new Map<string, Buffer>()
    const answer = ({ method, url, body }: RecordedRequest): ScriptedAnswer => {
      const key = url.split('?')[0]!
      if (method === 'PUT') {
        if (!key.endsWith('/lost')) stored.set(key, body)
        return { status: 200 }
      }
      const object = stored.get(key)
      if (object === undefined) return { status: 404 }
      const headers = { etag: '"e"', 'content-length': String(object.length) }
      return { status: 200, headers, body: object.toString() }
    }
    const s3 = await open(answer)
    expect(await s3.put('kept', Buffer.from('abc'))).toEqual({ size: 3, version: '"e"' })
    const error = await caught(s3.put('lost', Buffer.from('abc')))
    expect(error).toMatchObject({ code: 'Unavailable', outcome: 'unknown', retryable: true })
  })

  it('S319 an upload in parts ends before its first part if it has no id', async () => {
    const s3 = await open(() => ({ status: 200, body: '<html>Log in</html>' }))
    const error = await caught(s3.put('k', Buffer.alloc(PART + 1)))
    expect(error).toMatchObject({ code: 'Unavailable', outcome: 'not-applied', retryable: true })
    expect(server?.requests.map(({ method }) => method)).toEqual(['POST'])
  })

  it('S316 an answer without an ETag or a length is no object', async () => {
    const s3 = await open(() => ({ status: 200, body: '<html>Log in</html>' }))
    for (const call of [() => s3.get('k'), () => s3.head('k')]) {
      expect(await caught(call())).toMatchObject({ code: 'Unavailable', retryable: true })
    }
  })

  it('S316 an object whose ETag was stripped can be read', async () => {
    const headers = { 'last-modified': 'Sun, 29 Nov 2026 12:00:00 GMT', 'content-length': '3' }
    const s3 = await open(() => ({ status: 200, headers, body: 'abc' }))
    const { info, body } = await s3.get('k')
    expect(Buffer.concat(await collect(body)).toString()).toBe('abc')
    expect(info.version).toBe((await s3.head('k'))?.version)
  })

  it('S317 a listing continues by its token, whatever else it leaves out', async () => {
    const entry = (key: string) =>
      `<Contents><Key>${key}</Key><Size>1</Size><ETag>"e"</ETag></Contents>`
    const s3 = await open(({ url }) => ({
      status: 200,
      body: url.includes('continuation-token')
        ? `<ListBucketResult>${entry('pre/b')}</ListBucketResult>`
        : `<ListBucketResult>${entry('pre/100%')}${entry('pre/a')}<NextContinuationToken>t</NextContinuationToken></ListBucketResult>`,
    }))
    expect((await collect(s3.list())).map(({ key }) => key)).toEqual(['a', 'b'])
  })

  it('S318 a listing without sizes is refused instead of taken for empty objects', async () => {
    const body = '<ListBucketResult><Contents><Key>pre/a</Key></Contents></ListBucketResult>'
    const s3 = await open(() => ({ status: 200, body }))
    expect((await caught(collect(s3.list()))).code).toBe('Unsupported')
  })

  it.each(['<html>Log in</html>', '<Error><Code>InternalError</Code></Error>', ''])(
    'S320 a success that is no answer to a delete has deleted nothing: %j',
    async (body) => {
      const s3 = await open(() => ({ status: 200, body }))
      const unavailable = { code: 'Unavailable', retryable: true }
      expect(await caught(s3.delete('a'))).toMatchObject(unavailable)
      const failures = await collect(s3.deleteMany(['a', 'b']))
      expect(failures.map(({ key }) => key)).toEqual(['a', 'b'])
      for (const { error } of failures) expect(error).toMatchObject(unavailable)
    },
  )

  it('S320 a key that the answer to a batch leaves out is deleted on its own', async () => {
    const s3 = await open(({ method }) =>
      method === 'POST'
        ? {
            status: 200,
            body: '<DeleteResult><Deleted><Key>pre/a</Key></Deleted></DeleteResult>',
          }
        : { status: 204 },
    )
    expect(await collect(s3.deleteMany(['a', 'b']))).toEqual([])
    expect(server!.requests.map(({ method, url }) => `${method} ${url.split('?')[0]}`)).toEqual([
      'POST /bucket/',
      'DELETE /bucket/pre/b',
    ])
  })

  it('S320 a delete that is not answered with 204 counts if the object is gone', async () => {
    const s3 = await open(({ method }) => ({ status: method === 'HEAD' ? 404 : 200 }))
    await s3.delete('a')
    expect(server!.requests.map(({ method }) => method)).toEqual(['DELETE', 'HEAD'])
  })

  it('S321 a part without an ETag is sent again, and the upload is not completed', async () => {
    const s3 = await open((request) =>
      request.method === 'PUT' ? { status: 200, body: '<html></html>' } : uploadAnswer(request),
    )
    const error = await caught(s3.put('k', bytes(PART + 1)))
    expect(error).toMatchObject({ code: 'Unavailable', outcome: 'not-applied', retryable: true })
    expect(server!.requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
  })
})
