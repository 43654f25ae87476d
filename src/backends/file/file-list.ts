import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type DirEntry, isSegment, MAX_KEY_BYTES, type ObjectInfo } from '../../core/store/index.ts'
import { errnoOf, notAFile, notAFolder } from './file-errors.ts'
import { fileInfo, statPath } from './file-info.ts'

/** The names of a replica's files. */
const LTX_NAME = /^[0-9a-f]{16}-[0-9a-f]{16}\.ltx$/
/** The names of a replica's folders, with the folders above them. */
const LEVEL_PATH = /(^|\/)(ltx(\/[0-9])?|000[0-9])$/
/** Maximum number of files whose stats are read at once. */
const STAT_BATCH = 64

export interface Walk {
  readonly real: string
  readonly prefix: string
  readonly startAfter: string
  readonly signal: AbortSignal
}

/** Every object that matches, ascending by key. */
export async function* walkObjects(walk: Walk): AsyncGenerator<ObjectInfo> {
  const base = listBase(walk.prefix)
  if (base === undefined) return
  let batch: string[] = []
  // Batches grow from one, so that asking for the first entry does not read many.
  let limit = 1
  for await (const key of walkKeys(walk, base)) {
    batch.push(key)
    if (batch.length < limit) continue
    yield* statAll(walk, batch)
    batch = []
    limit = Math.min(limit * 2, STAT_BATCH)
  }
  yield* statAll(walk, batch)
}

/** One level: objects, and folders with at least one matching object. */
export async function* walkDir(walk: Walk): AsyncGenerator<DirEntry> {
  const base = listBase(walk.prefix)
  if (base === undefined) return
  for (const entry of await readSorted(walk, base)) {
    const key = base + entry.name
    if (!entry.isDirectory()) {
      if (!isWanted(walk, key)) continue
      for await (const object of statAll(walk, [key])) yield { kind: 'object', object }
      continue
    }
    const dir = `${key}/`
    if (!dir.startsWith(walk.prefix)) continue
    if (await holdsObject({ ...walk, prefix: dir })) yield { kind: 'prefix', prefix: dir }
  }
}

async function holdsObject(walk: Walk): Promise<boolean> {
  for await (const key of walkKeys(walk, walk.prefix)) {
    for await (const _ of statAll(walk, [key])) return true
  }
  return false
}

async function* walkKeys(walk: Walk, dir: string): AsyncGenerator<string> {
  for (const entry of await readSorted(walk, dir)) {
    walk.signal.throwIfAborted()
    const key = dir + entry.name
    if (!entry.isDirectory()) {
      if (isWanted(walk, key)) yield key
    } else if (mayHold(walk, `${key}/`)) {
      yield* walkKeys(walk, `${key}/`)
    }
  }
}

/**
 * Entries of one folder in the order of the keys below them: `a-` sorts before `a/b`, so a folder
 * sorts as if its name ended with the slash. Links, pipes, sockets and names that are not valid in
 * a key are left out.
 *
 * @throws StoreError `InvalidKey` if the name of a replica's object or folder belongs to something
 *   else: a listing without it would look complete
 */
async function readSorted(walk: Walk, dir: string): Promise<readonly Dirent[]> {
  walk.signal.throwIfAborted()
  let entries: Dirent[]
  try {
    entries = await readdir(join(walk.real, dir), { withFileTypes: true })
  } catch (error) {
    const errno = errnoOf(error)
    // Gone since its parent was read: pruned after the delete of its last object.
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return []
    throw error
  }
  const taken = entries.find((entry) => LTX_NAME.test(entry.name) && !entry.isFile())
  if (taken !== undefined) throw notAFile('list', join(walk.real, dir, taken.name))
  const replaced = entries.find((entry) => isLeftOut(entry) && LEVEL_PATH.test(dir + entry.name))
  if (replaced !== undefined) throw notAFolder('list', join(walk.real, dir, replaced.name))
  const order = (entry: Dirent) => (entry.isDirectory() ? `${entry.name}/` : entry.name)
  return entries
    .filter((entry) => !isLeftOut(entry) && isSegment(entry.name))
    .filter((entry) => dir.length + entry.name.length <= MAX_KEY_BYTES)
    .sort((a, b) => (order(a) < order(b) ? -1 : 1))
}

/** Links, pipes, sockets and devices. */
function isLeftOut(entry: Dirent): boolean {
  return !entry.isFile() && !entry.isDirectory()
}

async function* statAll(walk: Walk, keys: readonly string[]): AsyncGenerator<ObjectInfo> {
  walk.signal.throwIfAborted()
  const found = await Promise.all(keys.map((key) => statPath(join(walk.real, key))))
  for (const [i, stats] of found.entries()) {
    if (stats?.isFile()) yield fileInfo(keys[i]!, stats)
  }
}

function isWanted(walk: Walk, key: string): boolean {
  return key.startsWith(walk.prefix) && key > walk.startAfter
}

function mayHold({ prefix, startAfter }: Walk, dir: string): boolean {
  if (!dir.startsWith(prefix) && !prefix.startsWith(dir)) return false
  return dir > startAfter || startAfter.startsWith(dir)
}

/** Folder part of the prefix, with its slash; `undefined` if no key can start with it. */
export function listBase(prefix: string): string | undefined {
  const base = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  const segments = base.split('/').slice(0, -1)
  return segments.every(isSegment) ? base : undefined
}
