import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { openStore } from '../../../src/api/index.ts'

it('a put leaves bytes in memory alone, even those that a get has given away', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'walsync bytes '))
  const { store } = await openStore(pathToFileURL(folder).href)
  await store.put('a', new Uint8Array(200_000).fill(7))
  const { body } = await store.get('a')
  let chunk: Uint8Array | undefined
  for await (const each of body) chunk = each
  const length = chunk?.length ?? 0
  expect(length).toBeGreaterThan(64 * 1024)
  await store.put('b', chunk!)
  expect(chunk!.length).toBe(length)
  rmSync(folder, { recursive: true })
})
