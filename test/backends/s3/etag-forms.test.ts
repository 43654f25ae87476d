import { afterEach, describe, expect, it } from 'vitest'
import { etagVersion } from '../../../src/backends/s3/etag-forms.ts'
import { connectS3, type S3Connection } from '../../../src/backends/s3/s3-client.ts'
import { deleteOne } from '../../../src/backends/s3/s3-delete.ts'
import { S3Driver } from '../../../src/backends/s3/s3-driver.ts'
import { parseS3Options } from '../../../src/backends/s3/s3-options.ts'
import { DriverStore, readAll } from '../../../src/core/store/index.ts'
import {
  type RecordedRequest,
  type RecordingServer,
  type ScriptedAnswer,
  startRecordingServer,
} from '../../servers/recording-server.ts'

const ENV = { AWS_ACCESS_KEY_ID: 'access', AWS_SECRET_ACCESS_KEY: 'secret' }
const PART = 5 * 1024 * 1024
const text = (body: string) => new TextEncoder().encode(body)
const signal = new AbortController().signal

let server: RecordingServer | undefined
let store: DriverStore | undefined

afterEach(async () => {
  await store?.close()
  await server?.close()
})

type Demand = 'bare' | 'quoted'

interface Service {
  readonly demand: Demand | 'neither'
  /** What it says of the other form: that it does not match, or that it is none. */
  readonly otherwise: 412 | 400
  /** The ETags that it gives out. */
  readonly gives: Demand
}

/** One object in a service that understands one form of an ETag only. */
async function open(service: Service): Promise<S3Connection> {
  let count = 0
  let object: { body: Buffer; etag: string } | undefined
  const given = (etag: string) => (service.gives === 'quoted' ? `"${etag}"` : etag)
  const answer = ({ method, url, headers, body }: RecordedRequest): ScriptedAnswer => {
    if (url.includes('uploads')) {
      return {
        status: 200,
        body: '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>',
      }
    }
    if (method === 'PUT' && url.includes('partNumber'))
      return { status: 200, headers: { etag: 'p' } }
    const asked = headers['if-match'] as string | undefined
    if (asked !== undefined) {
      const refused = refusal(asked)
      if (refused !== undefined) return refused
    }
    if (method === 'PUT' || method === 'POST') {
      object = { body, etag: `e${++count}` }
      const etag = given(object.etag)
      if (method === 'PUT') return { status: 200, headers: { etag } }
      const xml = `<CompleteMultipartUploadResult><ETag>${etag}</ETag></CompleteMultipartUploadResult>`
      return { status: 200, body: xml }
    }
    if (method === 'DELETE') {
      object = undefined
      return { status: 204 }
    }
    if (object === undefined) return { status: 404 }
    return {
      status: 200,
      headers: { etag: given(object.etag), 'content-length': String(object.body.length) },
      body: object.body.toString(),
    }
  }
  const refusal = (asked: string): ScriptedAnswer | undefined => {
    const isQuoted = asked.startsWith('"')
    if (service.demand !== (isQuoted ? 'quoted' : 'bare')) return { status: service.otherwise }
    return asked.replaceAll('"', '') === object?.etag ? undefined : { status: 412 }
  }
  server = await startRecordingServer(answer)
  const url = new URL(`s3://bucket?endpoint=${encodeURIComponent(server.url)}`)
  const connection = await connectS3(parseS3Options(url, ENV, { partBytes: PART }))
  store = new DriverStore(new S3Driver(connection))
  return connection
}

/** What was sent since the last look, with the condition of each. */
function sent(): string[] {
  return server!.requests
    .splice(0)
    .map(({ method, headers }) => [method, headers['if-match']].filter(Boolean).join(' '))
}

const SERVICES: readonly Service[] = [
  { demand: 'bare', otherwise: 412, gives: 'quoted' },
  { demand: 'bare', otherwise: 400, gives: 'quoted' },
  { demand: 'quoted', otherwise: 412, gives: 'bare' },
  { demand: 'quoted', otherwise: 400, gives: 'bare' },
  { demand: 'bare', otherwise: 412, gives: 'bare' },
]

describe.each(SERVICES)(
  'a service that requires $demand ETags, returns $gives ones, and answers $otherwise to others',
  (service) => {
    const right = (etag: string) => (service.demand === 'bare' ? etag : `"${etag}"`)
    // The quoted form is tried first, however the service gives its ETags.
    const adapted = (method: string) =>
      service.demand === 'bare' ? [`${method} "e1"`, 'HEAD', `${method} e1`] : [`${method} "e1"`]

    it('is tried once with the other form, and gets its own form from then on', async () => {
      const connection = await open(service)
      const first = await store!.put('k', text('one'))
      sent()
      const second = await store!.put('k', text('two'), { ifMatch: first.version })
      expect(sent()).toEqual(adapted('PUT'))

      const third = await store!.put('k', text('three'), { ifMatch: second.version })
      const got = await store!.get('k', { ifMatch: third.version })
      expect(new TextDecoder().decode(await readAll(got.body))).toBe('three')
      await deleteOne(connection, 'k', { ifMatch: third.version, signal })
      const own = ['PUT', 'GET', 'DELETE'].map((verb, at) => `${verb} ${right(at ? 'e3' : 'e2')}`)
      expect(sent()).toEqual(own)
    })

    it.each(['get', 'delete'] as const)('adapts by a %s too', async (verb) => {
      const connection = await open(service)
      const { version } = await store!.put('k', text('one'))
      sent()
      if (verb === 'delete') await deleteOne(connection, 'k', { ifMatch: version, signal })
      else await readAll((await store!.get('k', { ifMatch: version })).body)
      const method = verb.toUpperCase()
      expect(sent()).toEqual(adapted(method))
    })

    it('has the same version whether an answer quotes it, marks it as weak or not', async () => {
      await open(service)
      const { version } = await store!.put('k', text('one'))
      expect(version).toBe('"e1"')
      expect((await store!.head('k'))?.version).toBe(version)
      expect(etagVersion('W/"e1"')).toBe(version)
    })

    it('adapts at the end of an upload in parts', async () => {
      await open(service)
      const { version } = await store!.put('k', text('one'))
      sent()
      await store!.put('k', new Uint8Array(PART + 1), { ifMatch: version })
      const last = sent().filter((line) => /e1|HEAD/.test(line))
      expect(last).toEqual(adapted('POST'))
    })

    it('does not try the other form where the version is not the present one', async () => {
      await open(service)
      const { version } = await store!.put('k', text('one'))
      await store!.put('k', text('two'))
      sent()
      const isUnderstood = service.otherwise === 412 || service.demand === 'quoted'
      const code = isUnderstood ? 'PreconditionFailed' : 'InvalidArgument'
      const stale = store!.put('k', text('lost'), { ifMatch: version })
      await expect(stale).rejects.toMatchObject({ code })
      expect(sent()).toEqual(['PUT "e1"', 'HEAD'])
    })

    it('refuses a stale version without a second look, once its form is known', async () => {
      await open(service)
      const { version } = await store!.put('k', text('one'))
      await store!.put('k', text('two'), { ifMatch: version })
      sent()
      const stale = store!.put('k', text('lost'), { ifMatch: version })
      await expect(stale).rejects.toMatchObject({ code: 'PreconditionFailed' })
      expect(sent()).toEqual([`PUT ${right('e1')}`])
    })
  },
)

it('if a service accepts neither form, its first answer is reported', async () => {
  await open({ demand: 'neither', otherwise: 400, gives: 'quoted' })
  const { version } = await store!.put('k', text('one'))
  sent()
  const never = store!.put('k', text('two'), { ifMatch: version })
  await expect(never).rejects.toMatchObject({ code: 'InvalidArgument', httpStatus: 400 })
  expect(sent()).toEqual(['PUT "e1"', 'HEAD', 'PUT e1'])
})
