import { describe, expect, it } from 'vitest'
import { parseGcsOptions } from '../../../src/backends/gcs/gcs-options.ts'
import { provider } from '../../../src/backends/gcs/index.ts'

const parse = (url: string, env: Record<string, string> = {}, options = {}) =>
  parseGcsOptions(new URL(url), env, options)

describe('options of a GCS store', () => {
  it('reads bucket, prefix and where the credentials are', () => {
    expect(parse('gs://bkt/a/b/')).toMatchObject({ bucket: 'bkt', prefix: 'a/b', emulator: false })
    expect(parse('gs://bkt').endpoint.href).toBe('https://storage.googleapis.com/')
    expect(parse('gs://bkt', { GOOGLE_APPLICATION_CREDENTIALS: '/k.json' }).keyFile).toBe('/k.json')
  })

  it('an emulator is used without credentials, and an endpoint beats it', () => {
    const env = { STORAGE_EMULATOR_HOST: 'localhost:4443' }
    expect(parse('gs://bkt', env)).toMatchObject({ emulator: true })
    expect(parse('gs://bkt', env).endpoint.href).toBe('http://localhost:4443/')
    const given = parse('gs://bkt', env, { endpoint: 'https://private.example' })
    expect(given).toMatchObject({ emulator: false })
    expect(given.endpoint.host).toBe('private.example')
  })

  it('conditional deletes are declared for the service and not for an emulator', async () => {
    const emulated = await provider.open(
      new URL('gs://bkt/p'),
      { STORAGE_EMULATOR_HOST: 'localhost:1' },
      {},
    )
    expect(emulated.capabilities.deleteIfMatch).toBe('none')
    const real = await provider.open(new URL('gs://bkt/p'), {}, {})
    expect(real.capabilities.deleteIfMatch).toBe('atomic')
    expect(real.description).toBe('gs://bkt/p')
    await Promise.all([emulated.close(), real.close()])
  })

  it.each([
    ['gs://user:pass@b', {}, /credentials/],
    ['gs:///x', {}, /no bucket/],
    ['gs://b?region=eu', {}, /region/],
    ['gs://b', { partBytes: 300_000 }, /partBytes/],
  ])('refuses %s %o', (url, options, message) => {
    expect(() => parse(url, {}, options)).toThrow(message)
  })
})
