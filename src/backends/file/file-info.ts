import type { BigIntStats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ObjectInfo, Version } from '../../core/store/index.ts'
import { errnoOf } from './file-errors.ts'

/** Coarsest resolution of file times on Linux: one tick at 100 Hz. */
const TICK_MS = 10

type VersionStats = Pick<BigIntStats, 'ino' | 'birthtimeNs' | 'mtimeNs' | 'size'>

/**
 * Inode and birth time identify a file for good, given `waitForTick`; mtime and size detect
 * in-place writes by other programs. Not ctime: link and unlink change it while a put is being
 * finished.
 */
export function fileVersion(stats: VersionStats): Version {
  return `${stats.ino}-${stats.birthtimeNs}-${stats.mtimeNs}-${stats.size}` as Version
}

export function fileInfo(key: string, stats: BigIntStats): ObjectInfo {
  const born = stats.birthtimeNs > 0n ? stats.birthtimeNs : stats.ctimeNs
  return {
    key,
    size: Number(stats.size),
    lastModified: new Date(Number(born / 1_000_000n)),
    version: fileVersion(stats),
    createdAt: new Date(Math.round(Number(stats.mtimeNs) / 1e6)),
  }
}

/** Stats of a path, without following links; `undefined` if nothing exists there. */
export async function statPath(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true })
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined
    throw error
  }
}

/**
 * Call this before removing a file: ext4 reuses its inode for the next new file at once, which
 * within the same clock tick would get the same birth time and so possibly the same version.
 */
export async function waitForTick(stats: BigIntStats): Promise<void> {
  const age = Date.now() - Number(stats.birthtimeNs / 1_000_000n)
  if (age >= 0 && age < TICK_MS) await sleep(TICK_MS - age)
}
