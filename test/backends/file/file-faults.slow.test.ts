import { execFileSync, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileObjectStore } from '../../../src/backends/file/index.ts'
import { type DurableFs, nodeFs } from '../../../src/core/fs/index.ts'
import { readAll } from '../../../src/core/store/index.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const worker = fileURLToPath(new URL('./put-worker.ts', import.meta.url))
const isRoot = process.getuid?.() === 0
let base: string
let root: string

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'walsync-file-'))
  root = join(base, 'root')
})
afterEach(() => rm(base, { recursive: true, force: true }))

/** Node's calls, recorded by name; `fail` may throw instead, or hold one up. */
function recording(fail: (call: string) => void | Promise<void> = () => {}) {
  const calls: string[] = []
  const note = async (call: string) => {
    calls.push(call)
    await fail(call)
  }
  const short = (path: string) => path.replace(root, '').replace(/\.walsync-[0-9a-f].*$/, 'TEMP')
  const fs: DurableFs = {
    async create(path, mode) {
      await note(`create ${short(path)}`)
      const handle = await nodeFs.create(path, mode)
      const sync = handle.sync.bind(handle)
      handle.sync = async () => {
        await note('fsync TEMP')
        await sync()
      }
      return handle
    },
    async openDir(path) {
      await note(`fsync ${short(path) || '/'}`)
      return nodeFs.openDir(path)
    },
    async mkdir(path, mode) {
      await nodeFs.mkdir(path, mode)
      await note(`mkdir ${short(path) || '/'}`)
    },
    async link(from, to) {
      await note(`link ${short(to)}`)
      await nodeFs.link(from, to)
    },
    async rename(from, to) {
      await note(`rename ${short(to)}`)
      await nodeFs.rename(from, to)
    },
    unlink: nodeFs.unlink,
  }
  return { fs, calls }
}

describe('the calls of a put (FS04, FS12)', () => {
  it('make and flush each new folder, stage under the root, and flush file and folder', async () => {
    await mkdir(root)
    const { fs, calls } = recording()
    const store = new FileObjectStore({ root, fs })
    await store.put('a/b/k', bytes('x'), { ifAbsent: true })
    const wanted = ['mkdir /a', 'fsync /', 'mkdir /a/b', 'fsync /a', 'create /.walsync-tmp/TEMP']
    wanted.push('fsync TEMP', 'link /a/b/k', 'fsync /a/b')
    const at = wanted.map((call) => calls.lastIndexOf(call))
    expect(at).not.toContain(-1)
    expect(calls.indexOf('mkdir /a')).toBeLessThan(calls.indexOf('link /a/b/k'))
    const last = calls.slice(calls.indexOf('link /a/b/k'))
    expect(last[1]).toBe('fsync /a/b')
    await store.close()
  })

  it('confirm no put while a flush of its new folder is running for another one', async () => {
    await mkdir(root)
    const gate = Promise.withResolvers<void>()
    const { fs, calls } = recording((call) => (call === 'fsync /a' ? gate.promise : undefined))
    const store = new FileObjectStore({ root, fs })
    const first = store.put('a/b/1', bytes('x'), { ifAbsent: true })
    await expect.poll(() => calls).toContain('fsync /a')
    let isConfirmed = false
    const second = store.put('a/b/2', bytes('x'), { ifAbsent: true }).then(() => {
      isConfirmed = true
    })
    await expect.poll(() => calls.filter((call) => call === 'fsync /a/b')).toHaveLength(2)
    await sleep(50)
    expect(isConfirmed).toBe(false)
    gate.resolve()
    await Promise.all([first, second])
    await store.close()
  })

  it('flush a new folder again after that has failed', async () => {
    await mkdir(root)
    let failures = 1
    const { fs, calls } = recording((call) => {
      if (call === 'fsync /a' && failures-- > 0) throw new Error('EIO')
    })
    const store = new FileObjectStore({ root, fs })
    await expect(store.put('a/b/k', bytes('x'))).rejects.toThrow('EIO')
    await store.put('a/b/k', bytes('x'))
    expect(calls.filter((call) => call === 'fsync /a')).toHaveLength(2)
    await store.close()
  })

  it('are two flushes once the folder is known', async () => {
    const { fs, calls } = recording()
    const store = new FileObjectStore({ root, fs })
    await store.put('a/1', bytes('x'))
    for (const options of [{}, { ifAbsent: true } as const]) {
      calls.length = 0
      await store.put(`a/2${options.ifAbsent ?? ''}`, bytes('x'), options)
      expect(calls.filter((call) => call.startsWith('fsync'))).toEqual(['fsync TEMP', 'fsync /a'])
    }
    await store.close()
  })

  it('flush the folders above again when another process has recreated the folder', async () => {
    const { fs, calls } = recording()
    const store = new FileObjectStore({ root, fs })
    await store.put('a/1', bytes('x'))
    await rm(join(root, 'a'), { recursive: true })
    await mkdir(join(root, 'a'))
    calls.length = 0
    await store.put('a/2', bytes('x'))
    expect(calls).toContain('fsync /')
    await store.close()
  })
})

describe('errors of the disk (FS07)', () => {
  it.each([
    ['ENOSPC', 'NoSpace'],
    ['EDQUOT', 'NoSpace'],
    ['EIO', 'Unavailable'],
    ['EROFS', 'PermissionDenied'],
    ['EMFILE', 'Unavailable'],
  ])('%s in fsync or rename is %s, the old bytes stay, nothing is left', async (errno, code) => {
    const plain = new FileObjectStore({ root })
    await plain.put('k', bytes('old'))
    for (const failing of ['fsync TEMP', 'rename /k']) {
      const { fs } = recording((call) => {
        if (call === failing) throw Object.assign(new Error(errno), { code: errno })
      })
      const store = new FileObjectStore({ root, fs })
      const put = store.put('k', bytes('new'))
      await expect(put).rejects.toMatchObject({ code, key: 'k', outcome: 'not-applied' })
      await store.close()
    }
    expect(Buffer.from(await readAll((await plain.get('k')).body)).toString()).toBe('old')
    await plain.close()
    expect(await readdir(root)).toEqual(['k'])
  })

  it('in the last flush is an unknown outcome', async () => {
    await mkdir(join(root, 'd'), { recursive: true })
    const { fs } = recording((call) => {
      if (call === 'fsync /d') throw Object.assign(new Error('EIO'), { code: 'EIO' })
    })
    const store = new FileObjectStore({ root, fs })
    const put = store.put('d/k', bytes('new'))
    await expect(put).rejects.toMatchObject({ code: 'Unavailable', outcome: 'unknown' })
    await store.close()
  })

  it.each(['EPERM', 'ENOTSUP'])('%s in link says that there are no hard links', async (errno) => {
    const { fs } = recording((call) => {
      if (call.startsWith('link')) throw Object.assign(new Error(errno), { code: errno })
    })
    const store = new FileObjectStore({ root, fs })
    const put = store.put('k', bytes('x'), { ifAbsent: true })
    await expect(put).rejects.toMatchObject({ code: 'Unsupported' })
    await store.close()
  })
})

describe.skipIf(!isRoot || !canMount())('on a full disk (needs root and a tmpfs mount)', () => {
  it('a put is NoSpace, the old object stays, and room helps', async () => {
    await mkdir(root)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', root])
    try {
      const store = new FileObjectStore({ root })
      await store.put('k', bytes('old'))
      await store.put('ballast', new Uint8Array(600_000))
      const big = store.put('k', new Uint8Array(700_000))
      await expect(big).rejects.toMatchObject({ code: 'NoSpace', outcome: 'not-applied' })
      expect(Buffer.from(await readAll((await store.get('k')).body)).toString()).toBe('old')
      expect(await readdir(join(root, '.walsync-tmp'))).toEqual([])
      await store.delete('ballast')
      await store.put('k', new Uint8Array(700_000))
      await store.close()
    } finally {
      execFileSync('umount', [root])
    }
  })
})

describe.skipIf(!isRoot)('without permission (needs root, to drop it)', () => {
  const asNobody = (...args: string[]) => {
    const own = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath]
    return execFileSync('setpriv', [...own, worker, ...args], { encoding: 'utf8' })
  }

  it('a root that cannot be written: check is fine, put is PermissionDenied (FS16)', async () => {
    const store = new FileObjectStore({ root })
    await store.put('k', bytes('x'))
    await store.close()
    execFileSync('chmod', ['-R', 'a+rX,go-w', base])
    expect(asNobody('check', root)).toBe('ok')
    expect(asNobody('put', root)).toBe('PermissionDenied')
  })

  it('a file that cannot be read is PermissionDenied (FS13)', async () => {
    const store = new FileObjectStore({ root })
    await store.put('k', bytes('x'))
    await store.close()
    execFileSync('chmod', ['-R', 'a+rX,go-w', base])
    execFileSync('chmod', ['600', join(root, 'k')])
    expect(asNobody('get', root)).toBe('PermissionDenied')
  })
})

describe('many at once', () => {
  it('5,000 gets and puts finish (FS10)', { timeout: 120_000 }, async () => {
    const store = new FileObjectStore({ root })
    await store.put('k', bytes('x'))
    const gets = Array.from({ length: 5000 }, () => store.get('k').then((r) => readAll(r.body)))
    expect((await Promise.all(gets)).every((got) => got.byteLength === 1)).toBe(true)
    await Promise.all(Array.from({ length: 1000 }, (_, i) => store.put(`p/${i}`, bytes('x'))))
    await store.close()
  })

  it('puts into a folder that deletes keep emptying succeed (FS14)', {
    timeout: 60_000,
  }, async () => {
    const store = new FileObjectStore({ root })
    const cycle = async (n: number) => {
      for (let i = 0; i < 60; i++) {
        await store.put(`d/e/${n}`, bytes(`${i}`))
        expect((await store.head(`d/e/${n}`))?.size).toBeGreaterThan(0)
        await store.delete(`d/e/${n}`)
      }
    }
    await Promise.all([0, 1, 2, 3].map(cycle))
    await store.close()
    expect(await readdir(root)).toEqual([])
  })
})

describe('a writer that is killed', () => {
  it('at any moment leaves whole objects, keeps what it acknowledged, and is swept (FS06)', {
    timeout: 240_000,
  }, async () => {
    const acknowledged = new Map<string, number>()
    const store = new FileObjectStore({ root, create: true })
    for (let round = 0; round < 40; round++) {
      const child = spawn(process.execPath, [worker, 'loop', root, String(round)])
      let output = ''
      child.stdout.on('data', (chunk) => {
        output += chunk
      })
      await new Promise((resolve) => child.stdout.once('data', resolve))
      await sleep((round * 7) % 45)
      child.kill('SIGKILL')
      await new Promise((resolve) => child.once('close', resolve))
      for (const line of output.split('\n').slice(0, -1)) {
        const [key, value] = line.split(' ')
        if (value !== undefined) acknowledged.set(key!, Number(value))
      }
      const seen = new Map<string, number>()
      for await (const { key } of store.list()) {
        const got = await readAll((await store.get(key)).body)
        expect(got.byteLength % 1000, `${key} is whole`).toBe(0)
        expect(
          got.every((byte) => byte === got[0]),
          `${key} is one write`,
        ).toBe(true)
        seen.set(key, got[0]!)
      }
      for (const [key, value] of acknowledged) {
        const found = seen.get(key) ?? -1
        expect(found, `${key} was acknowledged as ${value}`).toBeGreaterThanOrEqual(value)
      }
    }
    expect(acknowledged.size).toBeGreaterThan(40)
    await store.put('last', bytes('x'))
    expect(await readdir(join(root, '.walsync-tmp'))).toEqual([])
    await store.close()
  })
})

function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], {
      stdio: 'ignore',
    })
    return true
  } catch {
    return false
  }
}
