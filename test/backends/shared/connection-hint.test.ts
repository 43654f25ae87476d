import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createSocketServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { provider as azure } from '../../../src/backends/azure/index.ts'
import { provider as gcs } from '../../../src/backends/gcs/index.ts'
import { provider as s3 } from '../../../src/backends/s3/index.ts'
import { connectionHint } from '../../../src/backends/shared/connection-hint.ts'
import { peerAt } from '../../../src/backends/shared/peer.ts'
import { transportFailure } from '../../../src/backends/shared/transport-error.ts'
import { isStoreError, type ObjectStore, type StoreError } from '../../../src/core/store/index.ts'

type Env = Record<string, string>

const STORES: Record<string, (endpoint: string, env: Env) => Promise<ObjectStore>> = {
  s3: (endpoint, env) =>
    s3.open(
      new URL('s3://bucket'),
      { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', ...env },
      { endpoint },
    ),
  gcs: (endpoint, env) =>
    gcs.open(new URL('gs://bucket'), { STORAGE_EMULATOR_HOST: endpoint, ...env }, {}),
  azure: (endpoint, env) =>
    azure.open(
      new URL('az://container?account=acc'),
      { AZURE_STORAGE_KEY: 'a2V5', ...env },
      { endpoint: `${endpoint}/acc` },
    ),
}

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function portOf(server: Server): Promise<number> {
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** A port that was free a moment ago. */
async function closedPort(): Promise<number> {
  const port = await portOf(createSocketServer())
  const server = servers.pop()!
  server.close()
  await once(server, 'close')
  return port
}

describe.each(Object.keys(STORES))('A connection of %s that fails', (name) => {
  async function failure(endpoint: string, env: Env = {}): Promise<StoreError> {
    await using store = await STORES[name]!(endpoint, env)
    const error: unknown = await store.put('k', Buffer.from('x')).catch((thrown) => thrown)
    if (!isStoreError(error)) throw error
    expect(error.outcome).toBe('not-applied')
    return error
  }

  it('names the host and port that nothing listens at.', async () => {
    const port = await closedPort()
    const { hint } = await failure(`http://127.0.0.1:${port}`)
    expect(hint).toContain(`Nothing accepts connections at 127.0.0.1:${port}.`)
  })

  it('says that a plain server does not speak TLS, and is not tried again.', async () => {
    const port = await portOf(createServer())
    const { hint, retryable } = await failure(`https://127.0.0.1:${port}`)
    expect(hint).toContain(`127.0.0.1:${port} does not speak TLS.`)
    expect(retryable).toBe(false)
  })

  it('names a proxy that does not listen, and its variable.', async () => {
    const port = await closedPort()
    const env = { HTTPS_PROXY: `http://user:hush@127.0.0.1:${port}` }
    const { hint, message } = await failure('https://store.invalid:9443', env)
    expect(hint).toContain(`Nothing accepts connections at the proxy 127.0.0.1:${port}.`)
    expect(hint).toContain('HTTPS_PROXY')
    expect(`${message} ${hint}`).not.toContain('hush')
  })

  it('says that a proxy wants a password, and does not try again.', async () => {
    const proxy = createServer().on('connect', (_request, socket) => {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    })
    const port = await portOf(proxy)
    const { code, hint, retryable } = await failure('https://store.invalid:9443', {
      https_proxy: `http://127.0.0.1:${port}`,
    })
    expect({ code, retryable }).toEqual({ code: 'Unavailable', retryable: false })
    expect(hint).toMatch(/asks for a user and a password.*https_proxy/)
  })
})

describe('connectionHint', () => {
  const peer = peerAt(new URL('https://minio.example:9000'), undefined)
  const through = peerAt(new URL('https://minio.example:9000'), {
    HTTPS_PROXY: 'http://proxy:3128',
  })

  it.each([
    ['ECONNREFUSED', /Nothing accepts connections at minio\.example:9000/],
    ['EAI_AGAIN', /minio\.example could not be looked up/],
    ['EHOSTUNREACH', /no route .* to minio\.example:9000/],
    ['ENETUNREACH', /no route .* to minio\.example:9000/],
    ['ETIMEDOUT', /minio\.example:9000 did not answer in time/],
    ['ECONNRESET', /connection to minio\.example:9000 broke off/],
    ['HPE_INVALID_CONSTANT', /minio\.example:9000 does not speak HTTP/],
  ])('names host and port for %s.', (code, hint) => {
    expect(connectionHint({ code }, peer)).toMatch(hint)
  })

  it('takes the address from the error if the request is not known.', () => {
    const error = { code: 'ECONNREFUSED', address: '::1', port: 9000 }
    expect(connectionHint(error, undefined)).toContain('[::1]:9000')
  })

  it('tells an unknown proxy from an unknown store.', () => {
    const about = (hostname: string) => connectionHint({ code: 'ENOTFOUND', hostname }, through)
    expect(about('proxy')).toMatch(/name of the proxy, proxy, is unknown.*HTTPS_PROXY/)
    expect(about('minio.example')).toMatch(
      /host name minio\.example is unknown\. Check the spelling/,
    )
  })

  it('mentions a proxy that may be the reason for silence.', () => {
    expect(connectionHint({ code: 'ETIMEDOUT' }, through)).toContain('proxy:3128')
  })
})

describe('transportFailure', () => {
  it('lets a look-up that failed for the moment be tried again.', () => {
    const error = Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' })
    expect(transportFailure(error)).toMatchObject({ code: 'Unavailable', sent: false })
    expect(transportFailure(error)?.retryable).toBeUndefined()
  })
})

describe('A bucket in the host name of a server of one’s own', () => {
  it('is the reason to suggest the path style.', async () => {
    await using store = await STORES.s3!('http://store.invalid:9000', {})
    const error: unknown = await store.head('k').catch((thrown) => thrown)
    if (!isStoreError(error)) throw error
    expect(error.hint).toMatch(/bucket\.store\.invalid.*forcePathStyle=true/)
  })
})
