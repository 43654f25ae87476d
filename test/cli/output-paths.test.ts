import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { outputPaths } from '../../src/cli/commands/output-paths.ts'
import { encodeSegment } from '../../src/core/store/index.ts'

const options = { folder: '/out', bucket: 's3://bucket/backups', cwd: '/', foldsCase: false }
const pathOf = (prefix: string, more: Partial<typeof options> = {}) =>
  outputPaths([prefix], { ...options, ...more })[0]?.path

describe('the file of a replica in a folder', () => {
  it.each([
    ['app', '/out/app.db'],
    ['my.app', '/out/my.app.db'],
    ['app.db', '/out/app.db.db'],
    ['tenants/acme', '/out/tenants/acme.db'],
    [encodeSegment('Äpfel & Birnen'), '/out/Äpfel & Birnen.db'],
    [encodeSegment('.hidden'), '/out/.hidden.db'],
  ])('%s is %s', (prefix, path) => {
    expect(pathOf(prefix)).toBe(path)
  })

  it('of the replica at the URL itself is named after the end of the URL', () => {
    expect(pathOf('')).toBe('/out/backups.db')
    expect(pathOf('', { bucket: 's3://bucket' })).toBe('/out/bucket.db')
    expect(pathOf('', { bucket: './my replica/', cwd: '/srv' })).toBe('/out/my replica.db')
  })

  it.each(['..', '../etc/cron', '/etc/passwd', 'a/../../b', 'a\\b', 'a\0b', '.'])(
    '%j is refused',
    (name) => {
      const prefix = `x/${encodeSegment(name)}`
      const [refused] = outputPaths([prefix], options)
      expect(refused?.path).toBeUndefined()
      expect(refused?.error).toMatchObject({
        exitCode: 2,
        message: expect.stringContaining('would leave the folder'),
        hint: expect.stringContaining('-b s3://bucket/backups -o FILE'),
      })
    },
  )

  it('is not shared: replicas that mean the same file are both refused', () => {
    const problems = (prefixes: string[], foldsCase: boolean) =>
      outputPaths(prefixes, { ...options, foldsCase }).map(({ error }) => error?.message)
    expect(problems(['a', 'a.db', 'A'], false)).toEqual([undefined, undefined, undefined])
    const refused = expect.stringContaining('as would another one')
    expect(problems(['a', 'b', 'A'], true)).toEqual([refused, undefined, refused])
    expect(problems(['', 'backups'], false)).toEqual([refused, refused])
  })

  it('is not shared through a link that already exists in the folder', () => {
    const folder = mkdtempSync(join(tmpdir(), 'walsync-links-'))
    mkdirSync(join(folder, 'b'))
    symlinkSync('b', join(folder, 'a'))
    const prefixes = ['a/x', 'b/x', 'a/new/y', 'b/new/y', 'a/z']
    const paths = outputPaths(prefixes, { ...options, folder })
    rmSync(folder, { recursive: true })
    const refused = expect.stringContaining('as would another one')
    expect(paths.map(({ error }) => error?.message)).toEqual([...Array(4).fill(refused), undefined])
  })

  it.each(['-wal', '-shm', '-journal'])('has no folder next to it that ends in %s', (suffix) => {
    const [outer, inner] = outputPaths(['a', `a.db${suffix}/x`], options)
    expect(outer).toEqual({ path: '/out/a.db' })
    expect(inner?.error?.message).toContain(`needs the folder /out/a.db${suffix}`)
  })

  it('is never the folder of another one', () => {
    const [outer, inner] = outputPaths(['a', 'a.db/x/y'], options)
    expect(outer).toEqual({ path: '/out/a.db' })
    expect(inner?.error?.message).toContain('/out/a.db, which is the file of another one')
  })
})
