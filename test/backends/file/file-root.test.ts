import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileObjectStore, provider } from '../../../src/backends/file/index.ts'
import { tempName } from '../../../src/core/fs/index.ts'
import { listReplicas } from '../../../src/core/replica/list-replicas.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { readAll } from '../../../src/core/store/index.ts'
import { ILLEGAL_KEYS } from '../../../src/testing/cases/keys.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
let base: string
let root: string
let store: FileObjectStore

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'walsync-file-'))
  root = join(base, 'root')
  store = new FileObjectStore({ root })
})
afterEach(async () => {
  await store.close()
  await rm(base, { recursive: true, force: true })
})

async function keys(prefix = ''): Promise<string[]> {
  const all: string[] = []
  for await (const { key } of store.list({ prefix })) all.push(key)
  return all
}

async function readText(key: string): Promise<string> {
  return Buffer.from(await readAll((await store.get(key)).body)).toString()
}

it('A root that is a file is called that, not missing.', async () => {
  await writeFile(root, 'x')
  await expect(store.check()).rejects.toMatchObject({
    code: 'ContainerNotFound',
    message: `${root} is not a folder.`,
  })
})

describe('nothing outside the root', () => {
  it('is written or read by any illegal key (FS01)', async () => {
    await store.put('k', bytes('x'))
    await writeFile(join(base, 'canary'), 'untouched')
    for (const key of [...ILLEGAL_KEYS, '../canary', 'k/../../canary', '..\\canary']) {
      await expect(store.put(key, bytes('evil'))).rejects.toMatchObject({ code: 'InvalidKey' })
      await expect(store.get(key)).rejects.toMatchObject({ code: 'InvalidKey' })
      await expect(store.delete(key)).rejects.toMatchObject({ code: 'InvalidKey' })
    }
    expect(await readFile(join(base, 'canary'), 'utf8')).toBe('untouched')
    expect((await readdir(base)).sort()).toEqual(['canary', 'root'])
  })

  it('is reached through a symbolic link to a folder (FS02)', async () => {
    await store.put('k', bytes('x'))
    const outside = join(base, 'outside')
    await mkdir(outside)
    await writeFile(join(outside, 'secret'), 'secret')
    await symlink(outside, join(root, 'way'))
    const refused = { code: 'InvalidKey' }
    await expect(store.get('way/secret')).rejects.toMatchObject(refused)
    await expect(store.head('way/secret')).rejects.toMatchObject(refused)
    await expect(store.put('way/new', bytes('x'))).rejects.toMatchObject(refused)
    await expect(store.put('way/new', bytes('x'), { ifAbsent: true })).rejects.toMatchObject(
      refused,
    )
    await expect(store.put('way/deep/new', bytes('x'))).rejects.toMatchObject(refused)
    await expect(store.delete('way/secret')).rejects.toMatchObject(refused)
    await expect(keys('way/')).rejects.toMatchObject(refused)
    expect(await keys()).toEqual(['k'])
    expect(await readdir(outside)).toEqual(['secret'])
  })

  it('is reached through a symbolic link to a file, and broken links are invisible (FS02)', async () => {
    await store.put('k', bytes('x'))
    await writeFile(join(base, 'secret'), 'secret')
    await symlink(join(base, 'secret'), join(root, 'link'))
    await symlink(join(base, 'gone'), join(root, 'broken'))
    for (const key of ['link', 'broken']) {
      await expect(store.get(key)).rejects.toMatchObject({ code: 'NotFound' })
      expect(await store.head(key)).toBeUndefined()
      await store.put(key, bytes('own'))
      expect(await readText(key)).toBe('own')
    }
    expect(await readFile(join(base, 'secret'), 'utf8')).toBe('secret')
    expect(existsSync(join(base, 'gone'))).toBe(false)
  })

  it('is created at the target of a dangling link', async () => {
    await store.put('k', bytes('x'))
    await symlink(join(base, 'nowhere'), join(root, 'way'))
    for (const key of ['way/x', 'way/deep/x']) {
      await expect(store.put(key, bytes('x'))).rejects.toMatchObject({ key })
      await expect(store.get(key)).rejects.toMatchObject({ code: 'NotFound' })
    }
    expect(existsSync(join(base, 'nowhere'))).toBe(false)
    expect(await keys()).toEqual(['k'])
  })

  it('is meant by a root that is itself a link', async () => {
    await mkdir(join(base, 'real'))
    await symlink(join(base, 'real'), root)
    await store.put('dir/k', bytes('x'))
    expect(await readText('dir/k')).toBe('x')
    expect(await keys()).toEqual(['dir/k'])
  })
})

describe('foreign files', () => {
  it('are not listed and not read, and a pipe does not block (FS03)', async () => {
    await store.put('k', bytes('x'))
    execFileSync('mkfifo', [join(root, 'pipe')])
    await mkdir(join(root, 'folder'))
    await writeFile(join(root, '.hidden'), 'x')
    await writeFile(join(root, 'with space'), 'x')
    await mkdir(join(root, '.git'))
    await writeFile(join(root, '.git', 'config'), 'x')
    const server = createServer().listen(join(root, 'socket'))
    try {
      expect(await keys()).toEqual(['k'])
      for (const key of ['pipe', 'socket', 'folder']) {
        await expect(store.get(key)).rejects.toMatchObject({ code: 'NotFound' })
        expect(await store.head(key)).toBeUndefined()
      }
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
  })

  it.each([
    ['a file', (path: string) => writeFile(path, 'x')],
    ['a dangling link', (path: string) => symlink('nowhere', path)],
    ['a link to a folder', (path: string) => symlink('.', path)],
    ['a pipe', async (path: string) => void execFileSync('mkfifo', [path])],
  ])('in the place of a folder are no empty listing: %s', async (_what, make) => {
    await mkdir(join(root, 'ltx'), { recursive: true })
    await make(join(root, 'ltx', '0'))
    for (const prefix of ['ltx/0/', 'ltx/0/deep/']) {
      const error = { code: 'InvalidKey', message: expect.stringMatching(/ltx\/0 is not a folder/) }
      await expect(keys(prefix)).rejects.toMatchObject(error)
    }
    const replica = new ReplicaClient(store, 'ltx')
    await expect(replica.list()).rejects.toMatchObject({ code: 'InvalidKey' })
  })

  it.each([
    ['a file', (path: string) => writeFile(path, 'x')],
    ['a link', (path: string) => symlink('elsewhere', path)],
  ])('in the place of the folder of all levels are no empty listing: %s', async (_what, make) => {
    await mkdir(root, { recursive: true })
    await make(join(root, 'ltx'))
    const error = { code: 'InvalidKey', message: expect.stringMatching(/ltx.* is not a folder/) }
    await expect(new ReplicaClient(store, 'ltx').list()).rejects.toMatchObject(error)
  })

  it('in the place of the only level do not hide a replica', async () => {
    await mkdir(join(root, 'app', 'ltx'), { recursive: true })
    await writeFile(join(root, 'app', 'ltx', '9'), 'x')
    expect(await listReplicas(store, 'ltx')).toEqual(['app'])
  })

  it.each([
    ['a folder', (path: string) => mkdir(path)],
    ['a dangling link', (path: string) => symlink('nowhere', path)],
    ['a pipe', async (path: string) => void execFileSync('mkfifo', [path])],
  ])('in the place of an object of a replica are not left out: %s', async (_what, make) => {
    await mkdir(join(root, 'ltx', '0'), { recursive: true })
    const name = '0000000000000001-0000000000000001.ltx'
    await make(join(root, 'ltx', '0', name))
    for (const prefix of ['', 'ltx/0/']) {
      await expect(keys(prefix)).rejects.toMatchObject({
        code: 'InvalidKey',
        message: expect.stringMatching(/0001.ltx is not a regular file/),
      })
    }
    await expect(store.get(`ltx/0/${name}`)).rejects.toMatchObject({ code: 'NotFound' })
  })

  it('in the staging folder: leftovers are swept at the first write, others stay', async () => {
    const staging = join(root, '.walsync-tmp')
    await mkdir(staging, { recursive: true })
    const gone = tempName().replace(`-${process.pid}-`, '-4194304-')
    const alive = tempName().replace(`-${process.pid}-`, `-${process.ppid}-`)
    for (const name of [gone, alive, 'notes.txt']) await writeFile(join(staging, name), 'half')
    expect(await keys()).toEqual([])
    expect(await readdir(staging)).toHaveLength(3)
    await store.put('k', bytes('x'))
    expect((await readdir(staging)).sort()).toEqual([alive, 'notes.txt'].sort())
  })

  it('of Litestream are read with its time, the modification time', async () => {
    const dir = join(root, 'ltx', '0')
    await mkdir(dir, { recursive: true })
    const name = '0000000000000001-0000000000000001.ltx'
    await writeFile(join(dir, name), 'LTX1')
    const time = new Date('2026-01-02T03:04:05.678Z')
    await utimes(join(dir, name), time, time)
    const info = await store.head(`ltx/0/${name}`)
    expect(info?.createdAt?.toISOString()).toBe(time.toISOString())
  })
})

describe('the root (FS17)', () => {
  const missing = {
    code: 'ContainerNotFound',
    hint: 'Check the path, and that its disk is mounted.',
  }

  it('is made by the first put; until then reads say that it is missing', async () => {
    await expect(store.check()).rejects.toMatchObject(missing)
    await expect(store.head('k')).rejects.toMatchObject(missing)
    await expect(keys()).rejects.toMatchObject(missing)
    await store.put('k', bytes('x'))
    await store.check()
    expect(await keys()).toEqual(['k'])
  })

  it('reads as empty with create, and check creates it', async () => {
    store = new FileObjectStore({ root, create: true })
    expect(await keys()).toEqual([])
    expect(await store.head('k')).toBeUndefined()
    await store.delete('k')
    expect(existsSync(root)).toBe(false)
    await store.check()
    expect(existsSync(root)).toBe(true)
  })

  it('is never made with create: false', async () => {
    store = new FileObjectStore({ root, create: false })
    await expect(store.put('k', bytes('x'))).rejects.toMatchObject(missing)
    expect(existsSync(root)).toBe(false)
  })

  it('that is a file is refused', async () => {
    await writeFile(root, 'x')
    await expect(store.check()).rejects.toMatchObject({ code: 'ContainerNotFound' })
    await expect(store.put('k', bytes('x'))).rejects.toMatchObject({ code: 'ContainerNotFound' })
  })

  it('that goes away is said to be missing, not empty', async () => {
    await store.put('k', bytes('x'))
    await rm(root, { recursive: true })
    await expect(keys()).rejects.toMatchObject(missing)
    await expect(store.get('k')).rejects.toMatchObject(missing)
  })

  it('keeps no trace of staging after close', async () => {
    await store.put('k', bytes('x'))
    await store.close()
    expect(await readdir(root)).toEqual(['k'])
  })
})

describe('modes (FS13)', () => {
  it('are 0640 and 0750 less the umask, and an overwrite keeps those of the file', async () => {
    const before = process.umask(0o027)
    try {
      await store.put('dir/k', bytes('x'))
    } finally {
      process.umask(before)
    }
    const mode = async (name: string) => (await stat(join(root, name))).mode & 0o777
    expect(await mode('dir/k')).toBe(0o640)
    expect(await mode('dir')).toBe(0o750)
    await chmod(join(root, 'dir/k'), 0o604)
    await store.put('dir/k', bytes('y'))
    expect(await mode('dir/k')).toBe(0o604)
  })
})

describe('the provider', () => {
  const open = (url: string, options = {}) => provider.open(new URL(url), {}, options)

  it('opens the path of the URL, decoded', async () => {
    const opened = await open(`${pathToFileURL(join(base, 'a b'))}?create=1`)
    await opened.check()
    expect(existsSync(join(base, 'a b'))).toBe(true)
    await opened.close()
  })

  it.each(['file://host/path', 'file:///p?creat=1', 'file:///p?create=maybe'])(
    'refuses %s',
    async (url) => {
      await expect(open(url)).rejects.toMatchObject({ code: 'InvalidArgument' })
    },
  )

  it('lets options win over the URL', async () => {
    const opened = await open(`${pathToFileURL(root)}?create=1`, { create: false })
    await expect(opened.check()).rejects.toMatchObject({ code: 'ContainerNotFound' })
  })

  it('refuses a relative root', () => {
    const make = () => new FileObjectStore({ root: 'relative' })
    expect(make).toThrow(expect.objectContaining({ code: 'InvalidArgument' }))
  })
})
