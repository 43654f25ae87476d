import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  DurableFile,
  type DurableFs,
  DurableWriteError,
  durableWrite,
  isStaleTemp,
  nodeFs,
  tempName,
} from '../../../src/core/fs/index.ts'
import { CrashFs, PowerFailure } from './crash-fs.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const tempDir = '/root/.tmp'

describe('the order of a durable write', () => {
  it.each([
    ['create', 'link'],
    ['replace', 'rename'],
  ] as const)(
    'to %s: temp written, flushed and closed, parents flushed, then %s, then the folder flushed',
    async (how, call) => {
      const fs = new CrashFs()
      await durableWrite('/root/a/b', [bytes('hello')], { how, tempDir, fs })
      const temp = fs.calls.find((c) => c.startsWith('create /root/.tmp/'))!.slice('create '.length)
      const calls = fs.calls.map((c) => c.replace(temp, 'TEMP'))
      const steps = ['create TEMP', 'write TEMP', 'fsync TEMP', 'close TEMP']
      const [root, parents] = [
        ['mkdir /root', 'fsync /'],
        ['mkdir /root/a', 'fsync /root'],
      ]
      const order = [...root, ...steps, ...parents, `${call} /root/a/b`, 'fsync /root/a']
      let from = 0
      for (const step of order) {
        const at = calls.indexOf(step, from)
        expect(at, `${step} after ${from} in ${calls.join(', ')}`).toBeGreaterThanOrEqual(from)
        from = at + 1
      }
    },
  )
})

describe('a power failure after any call', () => {
  it.each(['create', 'replace'] as const)('leaves old or new, whole, for %s', async (how) => {
    const target = '/root/a/b'
    const old = how === 'replace' ? 'old bytes' : undefined
    let cut = 0
    for (let acknowledged = false; !acknowledged; cut++) {
      const before = new CrashFs()
      if (old !== undefined) await durableWrite(target, [bytes(old)], { tempDir, fs: before })
      const start = before.calls.length
      const fs = new CrashFs(start + cut)
      if (old !== undefined) await durableWrite(target, [bytes(old)], { tempDir, fs })
      acknowledged = await durableWrite(target, [bytes('new'), bytes(' bytes')], {
        how,
        tempDir,
        fs,
      })
        .then(() => true)
        .catch((error: unknown) => {
          const cause = error instanceof DurableWriteError ? error.cause : error
          expect(cause).toBeInstanceOf(PowerFailure)
          return false
        })
      for (const kept of ['flushed', 'names'] as const) {
        const found = fs.afterCrash(target, kept)
        expect([old, 'new bytes'], `after ${cut} calls, ${kept}`).toContain(found)
        if (acknowledged) expect(found).toBe('new bytes')
      }
      expect(cut).toBeLessThan(100)
    }
    const whole = new CrashFs()
    if (old !== undefined) await durableWrite(target, [bytes(old)], { tempDir, fs: whole })
    const before = whole.calls.length
    await durableWrite(target, [bytes('new'), bytes(' bytes')], { how, tempDir, fs: whole })
    // After each of its calls the power failed once, and then not at all.
    expect(cut).toBe(whole.calls.length - before + 1)
  })
})

describe('the model of power failures', () => {
  const target = '/root/a'

  it('notices a file that is not flushed', async () => {
    const fs = new CrashFs()
    const create = fs.create.bind(fs)
    fs.create = async (path) => ({ ...(await create(path)), sync: async () => {} })
    await durableWrite(target, [bytes('new')], { tempDir, fs })
    expect(fs.afterCrash(target, 'names')).toBe('')
  })

  it('notices a folder that is not flushed', async () => {
    const fs = new CrashFs()
    const openDir = fs.openDir.bind(fs)
    fs.openDir = async (path) => ({ ...(await openDir(path)), sync: async () => {} })
    await durableWrite(target, [bytes('new')], { tempDir, fs })
    expect(fs.afterCrash(target, 'flushed')).toBeUndefined()
  })
})

describe('folders that another process removes because they are empty', () => {
  it.each(['staging', 'target'] as const)('are made again: %s', async (which) => {
    const base = await mkdtemp(join(tmpdir(), 'walsync-durable-'))
    const [staging, folder] = [join(base, 'staging'), join(base, 'folder')]
    let removals = 0
    const remove = async (path: string) => {
      if (removals === 3) return
      removals += 1
      await rm(path, { recursive: true, force: true })
    }
    const fs: DurableFs = {
      ...nodeFs,
      create: async (path, mode) => {
        if (which === 'staging') await remove(staging)
        return await nodeFs.create(path, mode)
      },
      link: async (from, to) => {
        if (which === 'target') await remove(folder)
        await nodeFs.link(from, to)
      },
    }
    const target = join(folder, 'a')
    await durableWrite(target, [bytes('whole')], { how: 'create', tempDir: staging, fs })
    expect(await readFile(target, 'utf8')).toBe('whole')
    expect(removals).toBe(3)
    await rm(base, { recursive: true })
  })
})

describe('failures', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'walsync-durable-'))
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  /** Node's own calls, one of which fails; counts the flushes of files. */
  function failing(call: 'write' | 'sync' | 'close' | 'rename' | 'dir', code: string) {
    const seen = { syncs: 0 }
    const fail = async (): Promise<never> => {
      throw Object.assign(new Error(`${code}: injected`), { code })
    }
    const fs: DurableFs = {
      ...nodeFs,
      async create(path, mode) {
        const handle = await nodeFs.create(path, mode)
        return {
          write: (...args) => (call === 'write' ? fail() : handle.write(...args)),
          sync: () => {
            seen.syncs++
            return call === 'sync' ? fail() : handle.sync()
          },
          close: async () => {
            await handle.close()
            if (call === 'close') await fail()
          },
          utimes: (...args) => handle.utimes(...args),
          chmod: (mode) => handle.chmod(mode),
          stat: (options) => handle.stat(options),
        }
      },
      rename: (from, to) => (call === 'rename' ? fail() : nodeFs.rename(from, to)),
      openDir: (path) => (call === 'dir' ? fail() : nodeFs.openDir(path)),
    }
    return { fs, seen }
  }

  it.each(['write', 'sync', 'close', 'rename'] as const)(
    'of %s keep the old bytes and remove the staged file',
    async (call) => {
      const target = join(dir, `old-${call}`)
      await writeFile(target, 'old')
      for (const code of ['ENOSPC', 'EDQUOT', 'EIO']) {
        const { fs, seen } = failing(call, code)
        const write = durableWrite(target, [bytes('new')], { fs })
        await expect(write).rejects.toMatchObject({ code: 'NotWritten', cause: { code } })
        expect(await readFile(target, 'utf8')).toBe('old')
        expect(seen.syncs, 'a failed fsync is not repeated').toBeLessThanOrEqual(1)
      }
      expect((await readdir(dir)).filter((name) => name.endsWith('.tmp'))).toEqual([])
    },
  )

  it('of the last flush say that the file may be there', async () => {
    const target = join(dir, 'maybe')
    const write = durableWrite(target, [bytes('new')], { fs: failing('dir', 'EIO').fs })
    await expect(write).rejects.toMatchObject({ code: 'MaybeWritten', path: target })
    expect(await readFile(target, 'utf8')).toBe('new')
  })

  it('of the chunks come out as they are', async () => {
    const failure = new Error('source')
    const chunks = (function* () {
      yield bytes('half')
      throw failure
    })()
    await expect(durableWrite(join(dir, 'half'), chunks)).rejects.toBe(failure)
    expect(await readdir(dir)).not.toContain('half')
    expect((await readdir(dir)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it('of an existing name fails with EEXIST, and the old file stays', async () => {
    const target = join(dir, 'taken')
    await durableWrite(target, [bytes('first')], { how: 'create' })
    const write = durableWrite(target, [bytes('second')], { how: 'create' })
    await expect(write).rejects.toMatchObject({ code: 'NotWritten', cause: { code: 'EEXIST' } })
    expect(await readFile(target, 'utf8')).toBe('first')
  })

  it('by abort: the reason, and nothing is left', async () => {
    const controller = new AbortController()
    const chunks = (function* () {
      yield bytes('half')
      controller.abort(new Error('why'))
      yield bytes('more')
    })()
    const write = durableWrite(join(dir, 'aborted'), chunks, { signal: controller.signal })
    await expect(write).rejects.toThrow('why')
    expect((await readdir(dir)).filter((name) => /aborted|\.tmp$/.test(name))).toEqual([])
  })

  it('keeps a modification time to the millisecond and never rounds up', async () => {
    const target = join(dir, 'time')
    for (let ms = 1_700_000_000_000; ms < 1_700_000_000_400; ms += 1) {
      const file = await DurableFile.open(target)
      const stats = await file.seal({ mtime: new Date(ms) })
      await file.discard()
      const ns = BigInt(ms) * 1_000_000n
      expect(stats.mtimeNs <= ns && ns - stats.mtimeNs < 500_000n, `${ms}`).toBe(true)
    }
  })

  it('keeps a long name stageable', async () => {
    const target = join(dir, 'x'.repeat(255))
    await durableWrite(target, [bytes('x')])
    expect((await stat(target)).size).toBe(1)
  })
})

describe('isStaleTemp', () => {
  const now = Date.now()
  const DAY = 24 * 60 * 60 * 1000

  it('keeps what this process is writing', () => {
    expect(isStaleTemp(tempName(), now)).toBe(false)
  })

  it('removes what is older than a day, whoever made it', () => {
    expect(isStaleTemp(tempName(), now - DAY - 1000)).toBe(true)
    const elsewhere = tempName().replace(/-[0-9a-f]{8}-/, '-00000000-')
    expect(isStaleTemp(elsewhere, now - DAY - 1000)).toBe(true)
    expect(isStaleTemp(elsewhere, now - 1000)).toBe(false)
  })

  it('removes what a process of this machine left behind that has ended', () => {
    const gone = tempName().replace(`-${process.pid}-`, '-4194304-')
    expect(isStaleTemp(gone, now)).toBe(true)
  })

  it('removes what an earlier process with the same pid left behind, as in a container', () => {
    expect(isStaleTemp(tempName(), now - process.uptime() * 1000 - 5000)).toBe(true)
  })

  it('leaves all other names alone', () => {
    expect(isStaleTemp('data.tmp', 0)).toBe(false)
    expect(isStaleTemp('.walsync-x.tmp', 0)).toBe(false)
  })
})
