import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'
import { provider } from '../../../src/backends/s3/index.ts'
import { startRecordingServer } from '../../servers/recording-server.ts'

const folder = mkdtempSync(join(tmpdir(), 'walsync-keys-'))
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true, force: true })
})

it('Keys that are rotated in the credentials file take effect without a restart.', async () => {
  const file = join(folder, 'credentials')
  const write = (id: string) =>
    writeFileSync(file, `[default]\naws_access_key_id = ${id}\naws_secret_access_key = secret\n`)
  write('FIRST')
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file)
  vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'none'))
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) {
    vi.stubEnv(name, undefined)
  }
  const server = await startRecordingServer(() => ({ status: 404 }))
  const url = new URL(`s3://bucket?endpoint=${server.url}&region=us-east-1`)
  await using store = await provider.open(url, {}, { timeoutMs: 5000 })
  const keyOf = async (): Promise<string | undefined> => {
    await store.head('some/key').catch(() => undefined)
    const authorization = String(server.requests.at(-1)?.headers.authorization)
    return /Credential=(\w+)\//.exec(authorization)?.[1]
  }
  expect(await keyOf()).toBe('FIRST')
  write('SECOND')
  expect(await keyOf()).toBe('FIRST')
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 120_000 })
  // The SDK answers with the keys that it has while it asks for new ones.
  await keyOf()
  await vi.waitFor(async () => expect(await keyOf()).toBe('SECOND'))
  await server.close()
})
