import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { durableWrite, isOnLocalDisk, localFs } from '../../../src/core/fs/index.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walsync local '))
})
afterEach(() => rm(folder, { recursive: true }))

it.each([0, 1, 64 << 10, (64 << 10) + 1, 3 << 20])('writes %d bytes as a whole', async (size) => {
  const [target, mtime] = [join(folder, 'made', 'a'), new Date(1_700_000_000_123)]
  const bytes = new Uint8Array(size).map((_, i) => i)
  await durableWrite(target, [bytes], { how: 'create', mtime, fs: localFs })
  expect(Buffer.compare(await readFile(target), bytes)).toBe(0)
  expect((await stat(target)).mtimeMs).toBeCloseTo(mtime.getTime(), 0)
  expect(await readdir(join(folder, 'made'))).toEqual(['a'])
})

it('does not replace what must be created, and leaves nothing behind', async () => {
  const target = join(folder, 'a')
  const write = (text: string, how: 'create' | 'replace') =>
    durableWrite(target, [Buffer.from(text)], { how, fs: localFs })
  await write('first', 'create')
  await expect(write('second', 'create')).rejects.toMatchObject({ cause: { code: 'EEXIST' } })
  expect(await readFile(target, 'utf8')).toBe('first')
  await write('third', 'replace')
  expect(await readFile(target, 'utf8')).toBe('third')
  expect(await readdir(folder)).toEqual(['a'])
})

it('is not for file systems that are not on its list, or not there', async () => {
  expect(await isOnLocalDisk('/proc')).toBe(false)
  expect(await isOnLocalDisk(join(folder, 'missing'))).toBe(false)
})
