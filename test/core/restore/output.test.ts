import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { FileObjectStore } from '../../../src/backends/file/index.ts'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import {
  checkOutput,
  discardStaged,
  giveAccess,
  installOutput,
  stageOutput,
} from '../../../src/core/restore/output-file.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'
import type { RestoreTarget } from '../../../src/core/restore/restore-target.ts'
import { growingStates, level0, putChain } from './chain.ts'
import { FailingStore } from './store-wrappers.ts'

const LATEST: RestoreTarget = { kind: 'latest' }
const PAGE_SIZE = 1024
const states = growingStates(8, PAGE_SIZE)
const newest = states[7] as Buffer

let client: ReplicaClient
let folder: string
let output: string
beforeAll(async () => {
  client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
  await putChain(client, states, PAGE_SIZE, level0(1, 8))
})
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-output-'))
  output = join(folder, 'app.db')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const codeOf = (restoring: Promise<unknown>): Promise<unknown> =>
  restoring.then(
    () => 'restored',
    (error: { code?: unknown }) => error.code ?? error,
  )

describe('stale sidecars', () => {
  const grid = ['-wal', '-shm', '-journal'].flatMap((suffix) =>
    [true, false].map((exists) => ({ suffix, exists })),
  )

  it.each(grid)('$suffix with the database there: $exists', async ({ suffix, exists }) => {
    if (exists) writeFileSync(output, 'old')
    writeFileSync(output + suffix, 'stale')
    const before = readdirSync(folder)
    const refused = exists ? 'TargetExists' : 'StaleSidecar'
    expect(await codeOf(restoreReplica(client, LATEST, output))).toBe(refused)
    expect(readdirSync(folder)).toEqual(before)
    expect(readFileSync(output + suffix, 'utf8')).toBe('stale')

    await restoreReplica(client, LATEST, output, { force: true })
    expect(readdirSync(folder)).toEqual(['app.db'])
    expect(readFileSync(output).equals(newest)).toBe(true)
  })

  it('a real WAL of an older database is not replayed into the restored one', async () => {
    const path = join(folder, 'app.db')
    const old = new DatabaseSync(path)
    old.exec('PRAGMA journal_mode=WAL; CREATE TABLE old (x); INSERT INTO old VALUES (1)')
    const wal = readFileSync(`${path}-wal`)
    old.close()
    rmSync(path)
    writeFileSync(`${path}-wal`, wal)
    await restoreReplica(client, LATEST, output, { force: true })
    using database = new DatabaseSync(output)
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
    expect(tables).toEqual([{ name: 't' }])
  })

  it('a folder in the place of a sidecar is refused even with force', async () => {
    mkdirSync(`${output}-wal`)
    expect(await codeOf(restoreReplica(client, LATEST, output, { force: true }))).toBe('NotAFile')
  })
})

describe('targets that are not regular files', () => {
  it.each([true, false])(
    'a link is refused and what it points at kept (force: %s)',
    async (force) => {
      const other = join(folder, 'other')
      writeFileSync(other, 'precious')
      symlinkSync(other, output)
      expect(await codeOf(restoreReplica(client, LATEST, output, { force }))).toBe('NotAFile')
      expect(readFileSync(other, 'utf8')).toBe('precious')
      expect(lstatSync(output).isSymbolicLink()).toBe(true)
    },
  )

  it('a dangling link, a folder and a FIFO are refused', async () => {
    symlinkSync(join(folder, 'nothing'), join(folder, 'link'))
    mkdirSync(join(folder, 'dir'))
    execFileSync('mkfifo', [join(folder, 'fifo')])
    for (const name of ['link', 'dir', 'fifo']) {
      const restoring = restoreReplica(client, LATEST, join(folder, name), { force: true })
      expect(await codeOf(restoring)).toBe('NotAFile')
    }
    expect(readdirSync(folder)).toEqual(['dir', 'fifo', 'link'])
  })

  it('a missing parent is named, and not made', async () => {
    const path = join(folder, 'none', 'app.db')
    const error = await restoreReplica(client, LATEST, path).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'ParentMissing', path: join(folder, 'none') })
    expect(readdirSync(folder)).toEqual([])
  })

  it('a parent that is a file, and a path that ends in a slash', async () => {
    writeFileSync(join(folder, 'file'), '')
    const restoring = restoreReplica(client, LATEST, join(folder, 'file', 'app.db'))
    await expect(restoring).rejects.toMatchObject({
      code: 'ParentMissing',
      message: `${join(folder, 'file')} is not a folder.`,
    })
    for (const path of [`${folder}/app.db/`, `${folder}/\0`, '']) {
      expect(await codeOf(restoreReplica(client, LATEST, path))).toBe('NotAFile')
    }
  })
})

describe('what changes during the restore', () => {
  it('a target that appears during the restore is not overwritten', async () => {
    const store = new FailingStore()
    const slow = new ReplicaClient(store, 'ltx')
    await putChain(slow, states, PAGE_SIZE, level0(1, 8))
    store.beforeGet = () => {
      if (!existsSync(output)) writeFileSync(output, 'new work')
    }
    expect(await codeOf(restoreReplica(slow, LATEST, output))).toBe('TargetExists')
    expect(readFileSync(output, 'utf8')).toBe('new work')
    expect(readdirSync(folder)).toEqual(['app.db'])
  })

  it('an abort at any read ends with its reason, the old target and no leftovers', async () => {
    for (let at = 1; at <= 8; at++) {
      const store = new FailingStore()
      const slow = new ReplicaClient(store, 'ltx')
      await putChain(slow, states, PAGE_SIZE, level0(1, 8))
      writeFileSync(output, 'old')
      const abort = new AbortController()
      const reason = new Error('stop')
      let reads = 0
      store.beforeGet = () => {
        if (++reads === at) abort.abort(reason)
      }
      const restoring = restoreReplica(slow, LATEST, output, { force: true, signal: abort.signal })
      await expect(restoring).rejects.toBe(reason)
      expect(readFileSync(output, 'utf8')).toBe('old')
      expect(readdirSync(folder)).toEqual(['app.db'])
    }
  })

  it('an abort during the integrity check ends its process', async () => {
    const abort = new AbortController()
    const reason = new Error('stop')
    const restoring = restoreReplica(client, LATEST, output, {
      signal: abort.signal,
      onProgress: ({ phase }) => {
        if (phase === 'check') setImmediate(() => abort.abort(reason))
      },
    })
    await expect(restoring).rejects.toBe(reason)
    expect(readdirSync(folder)).toEqual([])
  })

  it('an aborted signal does nothing at all', async () => {
    const signal = AbortSignal.abort(new Error('before'))
    const restoring = restoreReplica(client, LATEST, output, { signal })
    await expect(restoring).rejects.toBe(signal.reason)
  })
})

describe('installOutput', () => {
  it('without force lets exactly one of several concurrent restores take the name', async () => {
    for (let round = 0; round < 10; round++) {
      const target = join(folder, `target ${round}`)
      const staged = await Promise.all(Array.from({ length: 8 }, () => stageOutput(target)))
      for (const { path } of staged) writeFileSync(path, path)
      const ends = await Promise.allSettled(
        staged.map((one) => installOutput(one, target, { force: false })),
      )
      const winner = ends.findIndex((end) => end.status === 'fulfilled')
      expect(ends.filter((end) => end.status === 'fulfilled')).toHaveLength(1)
      expect(readFileSync(target, 'utf8')).toBe(staged[winner]?.path)
      const codes = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason.code] : []))
      expect(new Set(codes)).toEqual(new Set(['TargetExists']))
      for (const one of staged) await discardStaged(one)
    }
  })

  it('that fails puts the old sidecars back', async () => {
    writeFileSync(output, 'old')
    for (const suffix of ['-wal', '-shm', '-journal']) writeFileSync(output + suffix, suffix)
    const staged = await stageOutput(output)
    await discardStaged(staged)
    const installing = installOutput(staged, output, { force: true })
    expect(await codeOf(installing)).toBe('WriteFailed')
    expect(readFileSync(output, 'utf8')).toBe('old')
    for (const suffix of ['-wal', '-shm', '-journal']) {
      expect(readFileSync(output + suffix, 'utf8')).toBe(suffix)
    }
    expect(readdirSync(folder)).toHaveLength(4)
  })
})

const isRoot = process.getuid?.() === 0

describe('who may use the restored file', () => {
  const modeOf = (path: string): number => lstatSync(path).mode & 0o777

  it.each([0o022, 0o077, 0o002])('a new file has the mode that umask %o leaves', async (umask) => {
    const before = process.umask(umask)
    try {
      await restoreReplica(client, LATEST, output)
    } finally {
      process.umask(before)
    }
    expect(modeOf(output)).toBe(0o666 & ~umask)
    expect(readdirSync(folder)).toEqual(['app.db'])
  })

  it.each([0o600, 0o640, 0o664, 0o444])(
    'a file that replaces one of mode %o has that',
    async (mode) => {
      writeFileSync(output, 'old')
      chmodSync(output, mode)
      await restoreReplica(client, LATEST, output, { force: true })
      expect(modeOf(output)).toBe(mode)
      expect(readFileSync(output).equals(newest)).toBe(true)
    },
  )

  it('is its owner alone until it is put in place', async () => {
    const seen = new Set<number>()
    const onProgress = (): void => {
      for (const name of readdirSync(folder)) seen.add(modeOf(join(folder, name)))
    }
    await restoreReplica(client, LATEST, output, { onProgress, mode: 0o644 })
    expect([...seen]).toEqual([0o600])
    expect(modeOf(output)).toBe(0o644)
  })

  it.runIf(isRoot)('the owner stays, or is the requested one', async () => {
    writeFileSync(output, 'old')
    chownSync(output, 1234, 2345)
    chmodSync(output, 0o660)
    const { warnings } = await restoreReplica(client, LATEST, output, { force: true })
    expect(warnings).toEqual([])
    expect(lstatSync(output)).toMatchObject({ uid: 1234, gid: 2345 })
    expect(modeOf(output)).toBe(0o660)
    await restoreReplica(client, LATEST, output, { force: true, owner: { uid: 7, gid: 8 } })
    expect(lstatSync(output)).toMatchObject({ uid: 7, gid: 8 })
    expect(modeOf(output)).toBe(0o660)
  })

  it('an owner that cannot be kept is a warning, and its group is not exchanged for another', async () => {
    writeFileSync(output, 'old')
    chmodSync(output, 0o664)
    const before = Object.assign(lstatSync(output), { uid: 4_000_001, gid: 4_000_002 })
    const staged = await stageOutput(output)
    const denied = Object.assign(new Error('EPERM'), { code: 'EPERM' })
    vi.spyOn(staged.handle, 'chown').mockRejectedValue(denied)
    const warnings = await giveAccess(staged.handle, staged.path, before, {})
    expect(warnings).toEqual([expect.stringContaining('4000001:4000002')])
    expect(modeOf(staged.path)).toBe(0o604)
    const asked = giveAccess(staged.handle, staged.path, before, { owner: { uid: 1, gid: 1 } })
    await expect(asked).rejects.toBe(denied)
    await discardStaged(staged)
  })

  it('refuses to put another file in place than the one it has staged', async () => {
    const staged = await stageOutput(output)
    writeFileSync(join(folder, 'other'), 'other')
    renameSync(join(folder, 'other'), staged.path)
    expect(await codeOf(installOutput(staged, output, { force: true }))).toBe('WriteFailed')
    expect(existsSync(output)).toBe(false)
    await discardStaged(staged)
  })
})

describe('a place that cannot be written', () => {
  it.skipIf(!isRoot)(
    'a full disk (needs root, for a small tmpfs): NoSpace, nothing left',
    async (context) => {
      const disk = join(folder, 'disk')
      mkdirSync(disk)
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk], { stdio: 'pipe' })
      } catch {
        context.skip('no permission to mount a tmpfs')
      }
      try {
        const path = join(disk, 'app.db')
        expect(await codeOf(restoreReplica(client, LATEST, path))).toBe('NoSpace')
        expect(readdirSync(disk)).toEqual([])
      } finally {
        execFileSync('umount', [disk])
      }
    },
  )

  it.skipIf(isRoot)('a read-only folder (not as root, who may write): NotWritable', async () => {
    chmodSync(folder, 0o500)
    expect(await codeOf(restoreReplica(client, LATEST, output))).toBe('NotWritable')
    chmodSync(folder, 0o700)
  })
})

/** More than a restore prints lines, so that its end is among the moments. */
const STEPS = 9
const KILLS = 2 * STEPS

describe('SIGKILL', () => {
  it('at any moment leaves the old target or the complete new one', async () => {
    const root = join(folder, 'replica')
    const stored = new ReplicaClient(new FileObjectStore({ root }), 'ltx')
    await putChain(stored, states, PAGE_SIZE, level0(1, 8))
    const target = join(folder, 'target')
    mkdirSync(target)
    const path = join(target, 'app.db')
    const script = fileURLToPath(new URL('./restore-child.ts', import.meta.url))
    const old = states[3] as Buffer
    let [kept, replaced] = [0, 0]
    for (let kill = 0; kill < KILLS; kill++) {
      writeFileSync(path, old)
      const child = spawn(process.execPath, ['--no-warnings', script, root, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      // Each line is a step of the restore, the last one its end: killed at or soon after each of them.
      const wanted = kill % STEPS
      let step = 0
      for await (const line of createInterface(child.stdout)) {
        if (step++ === wanted || line === 'end') break
      }
      await delay((kill * 7) % 30)
      child.kill('SIGKILL')
      await once(child, 'close')
      const now = readFileSync(path)
      if (now.equals(old)) kept++
      else if (now.equals(newest)) replaced++
      else throw new Error(`Kill ${kill} left a target of ${now.length} bytes.`)
    }
    expect(kept).toBeGreaterThan(KILLS / 4)
    expect(replaced).toBeGreaterThan(0)
    expect(kept + replaced).toBe(KILLS)
    // The next restore sweeps what the killed ones staged.
    await restoreReplica(stored, LATEST, path, { force: true })
    expect(readdirSync(target)).toEqual(['app.db'])
  }, 120_000)
})

describe('an empty file that a restore may replace', () => {
  it('is left alone if somebody has made a database of it before the restored one is put in place', async () => {
    const output = join(folder, 'made meanwhile.db')
    writeFileSync(output, '')
    await checkOutput(output, 'empty')
    const staged = await stageOutput(output)
    writeFileSync(output, 'rows')
    await staged.handle.close()
    await expect(installOutput(staged, output, { force: 'empty' })).rejects.toMatchObject({
      code: 'TargetExists',
    })
    expect(readFileSync(output, 'utf8')).toBe('rows')
  })

  it('is replaced, but refused next to a log that may hold commits', async () => {
    const output = join(folder, 'empty.db')
    writeFileSync(output, '')
    writeFileSync(`${output}-wal`, 'log')
    await expect(checkOutput(output, 'empty')).rejects.toMatchObject({ code: 'StaleSidecar' })
    rmSync(`${output}-wal`)
    const staged = await stageOutput(output)
    await staged.handle.write('restored')
    await staged.handle.close()
    await installOutput(staged, output, { force: 'empty' })
    expect(readFileSync(output, 'utf8')).toBe('restored')
  })
})
