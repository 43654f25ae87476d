import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import os, { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HandOverLock } from '../../../src/core/db/index.ts'

let folder: string
let database: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync lock '))
  database = join(folder, 'app.db')
  writeFileSync(database, '')
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('a hand-over lock', () => {
  it('has a different name for each replica', () => {
    const names = ['a', 'a', 'b'].map((replica) => new HandOverLock(database, replica).name)
    expect(names[0]).toBe(names[1])
    expect(names[0]).not.toBe(names[2])
  })

  it('knows whether another process waits for it', () => {
    const holder = new HandOverLock(database, 'a')
    const newcomer = new HandOverLock(database, 'a')
    expect(holder.tryTake()).toBe(true)
    expect(newcomer.tryTake()).toBe(false)
    expect(holder.isAwaited).toBe(false)
    newcomer.keepPlace()
    expect(holder.isAwaited).toBe(true)
    newcomer.leavePlace()
    expect(holder.isAwaited).toBe(false)
    holder.release()
    newcomer.release()
  })

  it('ignores a process that has not renewed its place, and removes what it left behind', () => {
    const holder = new HandOverLock(database, 'a')
    holder.tryTake()
    new HandOverLock(database, 'a').keepPlace()
    const place = readdirSync(folder).find((name) => name.endsWith('.waiting'))!
    const recently = new Date(Date.now() - 3000)
    utimesSync(join(folder, place), recently, recently)
    expect(holder.isAwaited).toBe(true)
    const past = new Date(Date.now() - 60_000)
    utimesSync(join(folder, place), past, past)
    expect(holder.isAwaited).toBe(false)
    holder.release()
    expect(existsSync(join(folder, place))).toBe(false)
  })

  it('is released even if the files next to it cannot be removed', () => {
    const holder = new HandOverLock(database, 'a')
    const newcomer = new HandOverLock(database, 'a')
    const beside = (ending: string) => holder.path.replace(/lock$/, ending)
    holder.tryTake()
    for (const ending of ['json', 'waiting']) {
      mkdirSync(beside(ending))
      expect(() => rmSync(beside(ending), { force: true })).toThrow()
    }
    newcomer.keepPlace()
    newcomer.leavePlace()
    holder.release()
    expect(newcomer.tryTake()).toBe(true)
    newcomer.release()
  })

  it('leaves no file beside a database that was never replicated', () => {
    const holder = new HandOverLock(database, 'a')
    expect(holder.tryTake()).toBe(true)
    expect(existsSync(holder.path)).toBe(true)
    holder.announce('preparing')
    holder.release()
    expect(readdirSync(folder)).toEqual(['app.db'])
  })

  it('is described to others in each phase, also when the machine gets a shorter name in between', () => {
    const holder = new HandOverLock(database, 'a')
    const host = 'long-name.example'
    const name = vi.spyOn(os, 'hostname').mockReturnValue(host)
    try {
      syncBuiltinESMExports()
      holder.tryTake()
      holder.announce('preparing')
      name.mockReturnValue('host')
      syncBuiltinESMExports()
      holder.announce('ready')
      const seen = new HandOverLock(database, 'a').holder()
      expect(seen).toMatchObject({ host, phase: 'ready' })
    } finally {
      name.mockRestore()
      syncBuiltinESMExports()
      holder.release()
    }
  })

  it('leaves its file for a process that waits, and for the next one after a replicated database', () => {
    const holder = new HandOverLock(database, 'a')
    const newcomer = new HandOverLock(database, 'a')
    holder.tryTake()
    newcomer.tryTake()
    newcomer.keepPlace()
    holder.release()
    expect(existsSync(holder.path)).toBe(true)
    expect(newcomer.tryTake()).toBe(true)
    newcomer.leavePlace()
    newcomer.keepFile()
    newcomer.release()
    expect(existsSync(holder.path)).toBe(true)
  })
})
