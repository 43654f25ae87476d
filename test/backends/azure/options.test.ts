import { describe, expect, it } from 'vitest'
import { parseAzureOptions } from '../../../src/backends/azure/azure-options.ts'
import { provider } from '../../../src/backends/azure/index.ts'

const parse = (url: string, env: Record<string, string> = {}, options = {}) =>
  parseAzureOptions(new URL(url), env, options)
const CONNECTION = {
  AZURE_STORAGE_CONNECTION_STRING:
    'AccountName=one;AccountKey=a2V5;EndpointSuffix=core.windows.net',
}

describe('options of an Azure store', () => {
  it('reads container, prefix and account from every form of the URL', () => {
    for (const url of ['az://box/a/b?account=acc', 'az://acc@box/a/b', 'abs://acc@box/a/b/']) {
      const options = parse(url)
      expect(options).toMatchObject({ container: 'box', prefix: 'a/b' })
      expect(options.access).toMatchObject({ kind: 'identity' })
      expect(options.access).toHaveProperty(
        'endpoint',
        new URL('https://acc.blob.core.windows.net'),
      )
    }
    expect(parse('az://box', { AZURE_STORAGE_ACCOUNT: 'acc' }).access.kind).toBe('identity')
  })

  it('a connection string counts unless another account is named', () => {
    expect(parse('az://box', CONNECTION).access.kind).toBe('connectionString')
    expect(parse('az://one@box', CONNECTION).access.kind).toBe('connectionString')
    expect(parse('az://two@box', CONNECTION).access.kind).toBe('identity')
  })

  it('a key comes before a SAS token, both before the default credential', () => {
    const key = { AZURE_STORAGE_KEY: 'a2V5' }
    const sas = { AZURE_STORAGE_SAS_TOKEN: '?sv=1&sig=x' }
    expect(parse('az://acc@box', { ...key, ...sas }).access).toMatchObject({
      kind: 'key',
      account: 'acc',
      accountKey: 'a2V5',
    })
    expect(parse('az://acc@box', sas).access.kind).toBe('sas')
    expect(parse('az://acc@box').access.kind).toBe('identity')
  })

  it('no secret is in the description or in the refusal of a connection string', async () => {
    const env = { AZURE_STORAGE_SAS_TOKEN: 'sv=1&sig=verysecret' }
    const store = await provider.open(new URL('az://acc@box/p'), env, {})
    expect(store.description).toBe('az://box/p at acc.blob.core.windows.net')
    await store.close()
    const broken = { AZURE_STORAGE_CONNECTION_STRING: 'AccountKey=verysecret' }
    const refused = provider.open(new URL('az://box'), broken, {})
    await expect(refused).rejects.toMatchObject({ code: 'InvalidArgument' })
    await expect(refused).rejects.not.toThrow(/verysecret/)
  })

  it('names the part that a connection string lacks', async () => {
    const text = 'DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5'
    const env = { AZURE_STORAGE_CONNECTION_STRING: text }
    await expect(provider.open(new URL('az://box'), env, {})).rejects.toThrow(/its EndpointSuffix/)
  })

  it('refuses a key that is not Base64, and does not repeat it', () => {
    const open = () => parse('az://acc@box', { AZURE_STORAGE_KEY: 'hush-hush' })
    expect(open).toThrow(/AZURE_STORAGE_KEY is not an account key/)
    expect(open).not.toThrow(/hush/)
  })

  it.each([
    ['az://acc:key@box', /credentials/],
    ['az:///x', /no container/],
    ['az://box', /account is unknown/],
    ['az://acc@box?region=eu', /region/],
  ])('refuses %s', (url, message) => {
    expect(() => parse(url)).toThrow(message)
  })
})
