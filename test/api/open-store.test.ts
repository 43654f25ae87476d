import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openStore } from '../../src/api/open-store.ts'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'walsync api '))
})
afterEach(() => rmSync(cwd, { recursive: true }))

describe('openStore', () => {
  it('opens a folder with the layout of its kind, below the prefix that it is given', async () => {
    await using opened = await openStore('./replica', { cwd, create: true, prefix: 'app' })
    expect(opened).toMatchObject({ layout: 'ltx', backend: 'file' })
    await opened.store.put('key', new Uint8Array([1]))
    await using whole = await openStore(join(cwd, 'replica'))
    const keys: string[] = []
    for await (const { key } of whole.store.list()) keys.push(key)
    expect(keys).toEqual(['app/key'])
  })

  it('makes no folder unless it is asked to', async () => {
    await using opened = await openStore('./mistyped', { cwd })
    await expect(opened.store.check()).rejects.toMatchObject({ code: 'ContainerNotFound' })
  })

  it('takes the layout from the URL if the URL names one', async () => {
    const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_REGION: 'eu-west-1' }
    await using plain = await openStore('s3://bucket/prefix', { env })
    expect(plain).toMatchObject({ layout: 'hex', backend: 's3' })
    await using asked = await openStore('s3://bucket/prefix?layout=ltx', { env })
    expect(asked.layout).toBe('ltx')
  })

  it('refuses a scheme that no backend has', async () => {
    await expect(openStore('ftp://host/path')).rejects.toMatchObject({
      code: 'Usage',
      message: expect.stringContaining('No backend knows ftp:// URLs.'),
    })
  })
})
