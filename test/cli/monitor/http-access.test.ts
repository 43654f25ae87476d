import { describe, expect, it } from 'vitest'
import { httpAccess, readTokenFile, refusal } from '../../../src/cli/monitor/http-access.ts'

const NONE = undefined
const TOKEN = '0123456789abcdef'

describe('the address of the HTTP interface', () => {
  it.each([
    ['9090', '127.0.0.1', 9090],
    [':9090', '127.0.0.1', 9090],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['localhost:80', 'localhost', 80],
    ['[::1]:9090', '::1', 9090],
  ])('reads %s', (address, host, port) => {
    expect(httpAccess(address, NONE)).toEqual({ host, port, token: undefined })
  })

  it.each(['', 'x', '1:2:3', '127.0.0.1', '127.0.0.1:70000', 'http://127.0.0.1:80', '[x]:80'])(
    'refuses %j',
    (address) => {
      expect(() => httpAccess(address, NONE)).toThrow(/is not an address and a port/)
    },
  )

  it.each(['0.0.0.0:9090', '[::]:9090', '10.0.0.1:9090', 'example.com:9090'])(
    'needs a token for %s',
    (address) => {
      expect(() => httpAccess(address, NONE)).toThrow(/there is no token/)
      expect(httpAccess(address, TOKEN).token).toBe(TOKEN)
    },
  )

  it('refuses a token that could be guessed, and a token file that is missing', async () => {
    expect(() => httpAccess('9090', 'short')).toThrow(/fewer than 16/)
    await expect(readTokenFile('/nowhere/token')).rejects.toThrow(/cannot be read/)
    await expect(readTokenFile('/')).rejects.toThrow('The token file / is a folder.')
  })
})

describe('a request to the HTTP interface', () => {
  const open = httpAccess('9090', NONE)
  const closed = httpAccess('0.0.0.0:9090', TOKEN)

  it.each(['localhost:9090', '127.0.0.1:9090', '[::1]:9090', 'LOCALHOST'])(
    'without a token is answered under the loopback name %s',
    (host) => expect(refusal({ headers: { host } }, open)).toBeUndefined(),
  )

  it.each(['evil.example:9090', 'localhost.evil.example', '127.0.0.1.evil.example', undefined])(
    'without a token is refused under the name %s, to which a DNS server may give any address',
    (host) => expect(refusal({ headers: { host } }, open)).toBe(403),
  )

  it('needs the token, as bearer or as password', () => {
    const ask = (authorization?: string) =>
      refusal({ headers: { host: 'app:9090', authorization } }, closed)
    expect(ask()).toBe(401)
    expect(ask(`Bearer ${TOKEN}x`)).toBe(401)
    expect(ask(`Bearer ${TOKEN}`)).toBeUndefined()
    expect(ask(`Basic ${Buffer.from(`me:${TOKEN}`).toString('base64')}`)).toBeUndefined()
    expect(ask(`Basic ${Buffer.from(`${TOKEN}:me`).toString('base64')}`)).toBe(401)
  })
})
