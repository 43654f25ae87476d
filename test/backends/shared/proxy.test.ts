import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { provider as azure } from '../../../src/backends/azure/index.ts'
import { provider as gcs } from '../../../src/backends/gcs/index.ts'
import { provider as s3 } from '../../../src/backends/s3/index.ts'
import type { ObjectStoreProvider } from '../../../src/core/store/index.ts'

const KEYS = {
  AWS_ACCESS_KEY_ID: 'id',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_REGION: 'us-east-1',
  AZURE_STORAGE_KEY: Buffer.from('key').toString('base64'),
}

interface Case {
  readonly name: string
  readonly provider: ObjectStoreProvider
  readonly url: (endpoint: string) => string
  readonly env: (endpoint: string) => Record<string, string>
}

/** An emulator is what asks for no token of Google's, so its host names the endpoint. */
const CASES: readonly Case[] = [
  {
    name: 's3',
    provider: s3,
    url: (endpoint) => `s3://bucket?endpoint=${endpoint}`,
    env: () => ({}),
  },
  {
    name: 'gcs',
    provider: gcs,
    url: () => 'gs://bucket',
    env: (endpoint) => ({ STORAGE_EMULATOR_HOST: endpoint }),
  },
  {
    name: 'azure',
    provider: azure,
    url: (endpoint) => `az://bucket?account=acc&endpoint=${endpoint}`,
    env: () => ({}),
  },
]

let proxy: Server
let address: string
let asked: string[]

beforeEach(async () => {
  asked = []
  proxy = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.writeHead(403).end()
  })
  proxy.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url}`)
    socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n')
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
})
afterEach(async () => {
  proxy.closeAllConnections()
  proxy.close()
})

describe.each(CASES)('The store of $name', ({ provider, url, env }) => {
  async function check(endpoint: string, proxies: Record<string, string>): Promise<void> {
    const own = { ...KEYS, ...env(endpoint), ...proxies }
    await using store = await provider.open(new URL(url(endpoint)), own, { timeoutMs: 5000 })
    await store.head('some/key').catch(() => undefined)
  }

  it('sends requests to an http endpoint through HTTP_PROXY.', async () => {
    await check('http://store.invalid:9000', { HTTP_PROXY: address })
    expect(asked).not.toEqual([])
    for (const line of asked) expect(line).toMatch(/^\w+ http:\/\/(bucket\.)?store\.invalid:9000\//)
  })

  it('asks https_proxy for a tunnel to an https endpoint.', async () => {
    await check('https://store.invalid:9443', { https_proxy: address })
    expect(asked.join()).toMatch(/CONNECT (bucket\.)?store\.invalid:9443/)
  })

  it('does not ask the proxy for what NO_PROXY names.', async () => {
    await check('http://store.invalid:9000', {
      HTTP_PROXY: address,
      NO_PROXY: 'store.invalid,.store.invalid',
    })
    expect(asked).toEqual([])
  })

  it.each([
    'socks5://user:hush@proxy:1080',
    'http://user:hush@proxy:port',
    'http://',
    'hush',
    'hush:0',
    'user:hush@proxy',
  ])(
    'refuses the proxy %s, which it cannot use, and does not repeat a password.',
    async (proxy) => {
      const opened = check('http://store.invalid', { HTTP_PROXY: proxy })
      await expect(opened).rejects.toMatchObject({
        code: 'InvalidArgument',
        message: expect.stringMatching(/^(?!.*hush).*HTTP_PROXY/),
      })
    },
  )

  it('takes a proxy without a scheme for an HTTP proxy.', async () => {
    await check('http://store.invalid:9000', { HTTP_PROXY: address.replace('http://', '') })
    expect(asked).not.toEqual([])
  })
})
