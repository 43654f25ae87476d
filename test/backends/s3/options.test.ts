import { describe, expect, it } from 'vitest'
import { provider } from '../../../src/backends/s3/index.ts'
import { mapS3Error } from '../../../src/backends/s3/s3-errors.ts'
import { parseS3Options } from '../../../src/backends/s3/s3-options.ts'
import type { StoreError } from '../../../src/core/store/index.ts'

const ENV = { AWS_ACCESS_KEY_ID: 'access', AWS_SECRET_ACCESS_KEY: 'secret' }
const parse = (url: string, env: Record<string, string> = ENV, options = {}) =>
  parseS3Options(new URL(url), env, options)

function refusal(url: string, env = {}, options = {}): StoreError {
  try {
    parse(url, env, options)
  } catch (error) {
    return error as StoreError
  }
  throw new Error(`${url} was accepted`)
}

describe('options of an S3 store', () => {
  it('reads bucket and prefix', () => {
    expect(parse('s3://bkt')).toMatchObject({ bucket: 'bkt', prefix: '', scheme: 's3' })
    expect(parse('s3://bkt/a/b/')).toMatchObject({ bucket: 'bkt', prefix: 'a/b' })
    expect(parse('tigris://bkt/a')).toMatchObject({ scheme: 'tigris', region: 'auto' })
  })

  it('an option beats the URL, which beats the environment', () => {
    const env = { ...ENV, AWS_REGION: 'env', AWS_ENDPOINT_URL: 'http://env' }
    expect(parse('s3://b', env).region).toBe('env')
    expect(parse('s3://b?region=url', env).region).toBe('url')
    expect(parse('s3://b?region=url', env, { region: 'option' }).region).toBe('option')
    expect(parse('s3://b', env).endpoint?.host).toBe('env')
    expect(parse('s3://b', { ...env, AWS_ENDPOINT_URL_S3: 'http://s3' }).endpoint?.host).toBe('s3')
    expect(parse('s3://b?endpoint=http://url', env).endpoint?.host).toBe('url')
  })

  it('tigris:// is Tigris whatever endpoint is left in the environment', () => {
    const elsewhere = { ...ENV, AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9000' }
    expect(parse('tigris://b', elsewhere).endpoint?.host).toBe('t3.storage.dev')
    const fly = { ...ENV, AWS_ENDPOINT_URL_S3: 'https://fly.storage.tigris.dev' }
    expect(parse('tigris://b', fly).endpoint?.host).toBe('fly.storage.tigris.dev')
    expect(parse('tigris://b', ENV, { endpoint: 'http://127.0.0.1:1' }).endpoint?.port).toBe('1')
  })

  it('a named profile beats keys in the environment', () => {
    expect(parse('s3://b').credentials).toEqual({
      accessKeyId: 'access',
      secretAccessKey: 'secret',
    })
    expect(parse('s3://b', { ...ENV, AWS_SESSION_TOKEN: 't' }).credentials?.sessionToken).toBe('t')
    expect(parse('s3://b?profile=p')).toMatchObject({ awsProfile: 'p', credentials: undefined })
    expect(parse('s3://b', { ...ENV, AWS_PROFILE: 'q' })).toMatchObject({ awsProfile: 'q' })
  })

  it('Tigris is consistent within one region only, unless the bucket is declared strongly consistent', async () => {
    expect(parse('tigris://b').consistency).toBe('same-region')
    expect(parse('tigris://b?consistency=strong').consistency).toBe('strong')
    const store = await provider.open(new URL('tigris://b/p'), ENV, {})
    expect(store.capabilities.consistency).toBe('same-region')
    expect(store.description).toBe('tigris://b/p at t3.storage.dev')
    await store.close()
  })

  it('B2 supports no conditions, and only AWS and Tigris support conditional deletes', () => {
    const at = (endpoint: string) => parse(`s3://b?endpoint=${endpoint}`).profile.conditions
    expect(at('https://s3.us-west-004.backblazeb2.com')).toMatchObject({
      ifAbsent: 'none',
      ifMatch: 'none',
    })
    expect(at('http://127.0.0.1:9000').deleteIfMatch).toBe('none')
    expect(at('https://x.r2.cloudflarestorage.com').deleteIfMatch).toBe('none')
    expect(parse('s3://b').profile.conditions.deleteIfMatch).toBe('atomic')
    expect(parse('tigris://b').profile.conditions.deleteIfMatch).toBe('atomic')
  })

  it.each([
    ['s3://user:pass@b', /credentials/],
    ['s3:///x', /no bucket/],
    ['s3://b?colour=red', /colour/],
    ['s3://b/a/../b/..%2fc', /dotted/],
    ['s3://b//x//y', /empty/],
    ['s3://b--x-s3', /Express/],
    ['tigris://a.b', /dot/],
    ['s3://b?endpoint=ftp://x', /http/],
    ['s3://b?endpoint=https://storage.googleapis.com', /Google/],
    ['s3://b?consistency=maybe', /consistency/],
    ['s3://b?forcePathStyle=maybe', /not a boolean/],
    ['s3://b?region=eu%20west', /not the name of a region/],
  ])('refuses %s', (url, message) => {
    const error = refusal(url)
    expect(error.code).toBe('InvalidArgument')
    expect(error.message).toMatch(message)
    expect(error.hint).toBeTruthy()
    expect(error.message).not.toContain('pass@')
  })

  it('refuses options that make no sense', () => {
    expect(refusal('s3://b', {}, { partBytes: 1024 }).message).toMatch(/partBytes/)
    expect(refusal('s3://b', {}, { maxSockets: 0 }).message).toMatch(/maxSockets/)
    expect(refusal('s3://b', {}, { nonsense: 1 }).message).toMatch(/nonsense/)
    const { message } = refusal('s3://b', {}, { endpoint: 'https://u:secret@h' })
    expect(message).toContain('carries credentials')
    expect(message).not.toMatch(/secret/)
  })
})

describe('an S3 error about a profile', () => {
  const options = parse('s3://b?profile=nope', { ...ENV, AWS_CONFIG_FILE: '/etc/aws' })

  it('names the profile and the files that were looked in', () => {
    const cause = Object.assign(new Error('no'), { name: 'CredentialsProviderError' })
    const { hint } = mapS3Error(cause, { op: 'list', options })
    expect(hint).toMatch(/The AWS profile nope .* in \/etc\/aws or .*\.aws\/credentials/)
  })

  it('names the profile that gives no region', () => {
    const { hint, message } = mapS3Error(new Error('Region is missing'), { op: 'list', options })
    expect(hint).toContain('The AWS profile nope gives none.')
    expect(message).toBe('The bucket b: list failed, InvalidArgument.')
  })
})
