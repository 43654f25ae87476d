import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { provider as azure } from '../../../src/backends/azure/index.ts'
import { provider as gcs } from '../../../src/backends/gcs/index.ts'
import { provider as s3 } from '../../../src/backends/s3/index.ts'
import { transportFailure } from '../../../src/backends/shared/transport-error.ts'
import { isStoreError, type ObjectStore } from '../../../src/core/store/index.ts'

/** A self-signed certificate that is made for the run: nothing here expires in the repository. */
function makeCertificate(): { readonly key: Buffer; readonly cert: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), 'walsync-cert-'))
  const key = join(folder, 'key.pem')
  const cert = join(folder, 'cert.pem')
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  const files = ['-keyout', key, '-out', cert]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync('openssl', ['req', '-x509', ...kind, '-days', '1', ...subject, ...files], {
    stdio: 'ignore',
  })
  try {
    return { key: readFileSync(key), cert: readFileSync(cert) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('a service with a certificate of a private authority', () => {
  let server: Server
  let endpoint: string
  let connections = 0
  let requests = 0

  beforeAll(async () => {
    server = createServer(makeCertificate(), (_request, answer) => {
      requests++
      answer.end()
    })
    server.on('connection', () => connections++)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  })

  afterAll(() => {
    server.close()
  })

  const stores: Record<string, () => Promise<ObjectStore>> = {
    s3: async () =>
      s3.open(
        new URL('s3://bucket'),
        { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' },
        {
          endpoint,
        },
      ),
    gcs: async () => gcs.open(new URL('gs://bucket'), { STORAGE_EMULATOR_HOST: endpoint }, {}),
    azure: async () =>
      azure.open(
        new URL('az://container?account=acc'),
        { AZURE_STORAGE_KEY: 'a2V5' },
        {
          endpoint: `${endpoint}/acc`,
        },
      ),
  }

  it.each(Object.keys(stores))('is named with the cure and not tried again: %s', async (name) => {
    await using store = await (stores[name] as () => Promise<ObjectStore>)()
    const before = connections
    const error: unknown = await store.put('k', Buffer.from('x')).catch((thrown) => thrown)
    expect(connections).toBeGreaterThan(before)
    expect(requests).toBe(0)
    if (!isStoreError(error)) throw error
    expect(error).toMatchObject({ code: 'Unavailable', retryable: false, outcome: 'not-applied' })
    expect(error.hint).toContain('NODE_EXTRA_CA_CERTS')
    expect(error.message).toContain('DEPTH_ZERO_SELF_SIGNED_CERT')
  })
})

describe('transportFailure', () => {
  it.each([
    ['SELF_SIGNED_CERT_IN_CHAIN', /NODE_EXTRA_CA_CERTS/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /NODE_EXTRA_CA_CERTS/],
    ['UNABLE_TO_GET_ISSUER_CERT', /NODE_EXTRA_CA_CERTS/],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /NODE_EXTRA_CA_CERTS/],
    ['CERT_HAS_EXPIRED', /clock/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /host name/],
  ])('says what to do about %s, also as a cause', (code, hint) => {
    const cause = Object.assign(new Error('tls'), { code })
    const failure = transportFailure(new Error('request failed', { cause }))
    expect(failure).toMatchObject({ sent: false, retryable: false })
    expect(failure?.hint).toMatch(hint)
    if (!String(hint).includes('NODE')) expect(failure?.hint).not.toContain('NODE_EXTRA')
  })
})
