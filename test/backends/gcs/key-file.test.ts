import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { noToken } from '../../../src/backends/gcs/gcs-errors.ts'
import { provider as gcs } from '../../../src/backends/gcs/index.ts'
import { readKeyFile } from '../../../src/backends/gcs/key-file.ts'

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})
const GOOD = {
  type: 'service_account',
  client_email: 'walsync@project.iam.gserviceaccount.com',
  private_key: privateKey,
  token_uri: 'https://oauth2.googleapis.com/token',
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-key-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

describe('readKeyFile', () => {
  it.each([
    ['is not JSON', 'hush'],
    ['is not JSON', '["hush"]'],
    ['is JSON, but not a key file', '{"a":"hush"}'],
    ['is the secret of an OAuth client', '{"installed":{"client_secret":"hush"}}'],
    ['has the unknown type "nonsense"', '{"type":"nonsense","private_key":"hush"}'],
    ['holds no usable private_key', JSON.stringify({ ...GOOD, private_key: 'hush' })],
  ])('refuses a file that %s, and shows nothing of it.', async (what, text) => {
    const path = join(folder, 'key.json')
    writeFileSync(path, text)
    const error: Error = await readKeyFile(path).then(
      () => expect.unreachable(),
      (thrown) => thrown,
    )
    expect(error.message).toContain(`${path} for Google Cloud Storage ${what}`)
    expect(error.message).not.toContain('hush')
    expect(error).toMatchObject({ code: 'InvalidArgument', exitCode: 2 })
  })

  it('refuses a missing file, a folder, and a pipe that nobody writes into.', async () => {
    await expect(readKeyFile(join(folder, 'none'))).rejects.toThrow('does not exist')
    mkdirSync(join(folder, 'sub'))
    await expect(readKeyFile(join(folder, 'sub'))).rejects.toThrow('is not a regular file')
    execFileSync('mkfifo', [join(folder, 'pipe')])
    await expect(readKeyFile(join(folder, 'pipe'))).rejects.toThrow('is not a regular file')
  })
})

describe('A store with a key file', () => {
  it('opens without a word on the console.', async () => {
    const path = join(folder, 'key.json')
    writeFileSync(path, JSON.stringify(GOOD))
    const warn = vi.spyOn(console, 'warn')
    // The SDK asks for a token by the process's own proxy: nothing leaves this machine.
    vi.stubEnv('HTTPS_PROXY', 'http://127.0.0.1:1')
    const env = { GOOGLE_APPLICATION_CREDENTIALS: path }
    await using store = await gcs.open(new URL('gs://bucket'), env, {})
    await expect(store.head('k')).rejects.toThrow("Google's token service could not be reached.")
    expect(warn).not.toHaveBeenCalled()
  })
})

describe('A token that Google does not give', () => {
  it('is a matter of the network if the service could not be reached.', () => {
    const cause = Object.assign(new Error('request failed'), {
      code: 'ECONNREFUSED',
      config: { url: new URL('https://oauth2.googleapis.com/token') },
    })
    const error = noToken(cause, '/key.json')
    expect(error.code).toBe('Unavailable')
    expect(error.hint).toContain('oauth2.googleapis.com:443')
  })

  it('is a matter of the key file otherwise.', () => {
    const error = noToken(new Error('invalid_grant'), '/key.json')
    expect(error).toMatchObject({
      code: 'Unauthenticated',
      message: expect.stringContaining('/key.json'),
    })
  })
})
