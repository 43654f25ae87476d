import { afterEach, describe, expect, it } from 'vitest'
import { provider as azure } from '../../../src/backends/azure/index.ts'
import { provider as gcs } from '../../../src/backends/gcs/index.ts'
import type { ObjectStore } from '../../../src/core/store/index.ts'
import {
  type RecordingServer,
  type ScriptedAnswer,
  startRecordingServer,
} from '../../servers/recording-server.ts'

const PART = 256 * 1024
const BACKENDS = ['gcs', 'azure'] as const
/** Successes of a login page, of another JSON API, and of a server that answers everything. */
const FOREIGN: readonly ScriptedAnswer[] = [
  { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Log in</html>' },
  { status: 200, body: '{}' },
  { status: 201, body: '[]' },
  { status: 202, body: '' },
]
const CALLS: readonly [string, (store: ObjectStore) => Promise<unknown>][] = [
  ['a listing', (store) => drain(store.list())],
  ['a listing of one level', (store) => drain(store.listDir())],
  ['a check', (store) => store.check()],
  ['a get', (store) => store.get('k')],
  ['a head', (store) => store.head('k')],
  ['a put', (store) => store.put('k', Buffer.from('x'))],
  ['a put in parts', (store) => store.put('k', Buffer.alloc(PART + 1))],
  ['a delete', (store) => store.delete('k')],
]

async function drain(entries: AsyncIterable<unknown>): Promise<void> {
  for await (const _entry of entries);
}

let server: RecordingServer | undefined
let store: ObjectStore | undefined

afterEach(async () => {
  await store?.close()
  await server?.close()
})

async function open(
  backend: (typeof BACKENDS)[number],
  answer: ScriptedAnswer,
): Promise<ObjectStore> {
  server = await startRecordingServer(() => answer)
  const options = { partBytes: PART }
  if (backend === 'gcs') {
    store = await gcs.open(new URL('gs://bucket'), { STORAGE_EMULATOR_HOST: server.url }, options)
  } else {
    const url = new URL('az://container?account=acc')
    const env = { AZURE_STORAGE_KEY: 'a2V5' }
    store = await azure.open(url, env, { ...options, endpoint: `${server.url}/acc` })
  }
  return store
}

describe.each(BACKENDS)('a success that %s does not send', (backend) => {
  it.each(CALLS)('is no result of %s', async (what, call) => {
    for (const answer of FOREIGN) {
      const opened = await open(backend, answer)
      const error = await call(opened).then(
        (value) => ({ value, answer }),
        (thrown: unknown) => thrown,
      )
      expect(error).toMatchObject({ code: 'Unavailable', retryable: true })
      expect(error).toHaveProperty('hint', expect.stringMatching(/between here and the service/))
      if (what === 'a put') expect(error).toHaveProperty('outcome', 'unknown')
      expect(server!.requests.length).toBeGreaterThan(0)
      await opened.close()
      await server!.close()
      server = undefined
    }
  })
})
