import { mapParallel } from '../core/async/map-parallel.ts'
import type { CallOptions, ObjectStore } from '../core/store/index.ts'
import { parseLegacyKey, SEGMENT_FOLDER, SNAPSHOT_FOLDER } from './legacy-keys.ts'

/**
 * Formats of replicas other than LTX. `walsync-0.1`: snapshots and WAL segments, which walsync can
 * restore. `litestream-0.3`: generations, which only Litestream reads. `walsync-0.3`: LTX files of
 * walsync 0.2 and 0.3 with checksums of their own, which only those versions read.
 */
export type OtherFormat = 'walsync-0.1' | 'litestream-0.3' | 'walsync-0.3'

export interface DetectedReplica {
  /** Under the store's root, without a slash at the end; empty for the root itself. */
  readonly prefix: string
  readonly format: OtherFormat
}

/** How many folders are listed at a time. */
const PARALLEL_LISTINGS = 16

/**
 * Finds the replicas of other formats at the store's root, in its folders and one folder deeper, in
 * key order. A folder that also holds LTX files is included. Costs one or two listings per folder.
 *
 * @throws StoreError
 */
export async function detectAll(
  store: ObjectStore,
  options: CallOptions = {},
): Promise<DetectedReplica[]> {
  const root = await lookInto(store, '', options)
  const found = await mapParallel(root.folders, PARALLEL_LISTINGS, async (folder) => {
    const inside = await lookInto(store, folder, options)
    if (inside.formats.length > 0 || inside.isReplica) return inside.formats
    const nested: DetectedReplica[] = []
    for (const inner of inside.folders) {
      nested.push(...(await lookInto(store, inner, options)).formats)
    }
    return nested
  })
  return [...root.formats, ...found.flat()]
}

/**
 * Formats other than LTX of the replica at a prefix.
 *
 * @param prefix Under the store's root, without a slash at the end; empty for the root itself.
 * @throws StoreError
 */
export async function detectFormats(
  store: ObjectStore,
  prefix: string,
  options: CallOptions = {},
): Promise<OtherFormat[]> {
  const { formats } = await lookInto(store, prefix === '' ? '' : `${prefix}/`, options)
  return formats.map(({ format }) => format)
}

/**
 * Finds replicas of walsync 0.1 in folders whose names start with `start`. walsync 0.1 concatenated
 * the prefix of `-b s3://bucket/backups` and the name `app` without a slash: `app` is in `backupsapp`.
 *
 * @param start matched within one folder of the store
 * @throws StoreError
 */
export async function detectConcatenated(
  store: ObjectStore,
  start: string,
  options: CallOptions = {},
): Promise<DetectedReplica[]> {
  const folders: string[] = []
  for await (const entry of store.listDir({ prefix: start, signal: options.signal })) {
    if (entry.kind === 'prefix' && entry.prefix !== `${start}/`) folders.push(entry.prefix)
  }
  const found = await mapParallel(folders, PARALLEL_LISTINGS, async (folder) => {
    const { formats } = await lookInto(store, folder, options)
    return formats.filter(({ format }) => format === 'walsync-0.1')
  })
  return found.flat()
}

interface Inside {
  readonly formats: readonly DetectedReplica[]
  /** Folders that do not belong to a replica's layout, with a slash at the end. */
  readonly folders: readonly string[]
  /** Whether there are level folders of LTX files. */
  readonly isReplica: boolean
}

const GENERATION = /\/[0-9a-f]{16}\/$/
/** `<min>-<max>.ltx` in eight decimal digits each. */
const OLD_LTX = /(?:^|\/)\d{8}-\d{8}\.ltx$/
const LEVELS = /^(?:ltx|000[0-9])\/$/

/** @param folder with a slash at the end; empty for the root */
async function lookInto(
  store: ObjectStore,
  folder: string,
  { signal }: CallOptions,
): Promise<Inside> {
  const formats = new Set<OtherFormat>()
  const folders: string[] = []
  let isReplica = false
  for await (const entry of store.listDir({ prefix: folder, signal })) {
    if (entry.kind === 'object') {
      if (OLD_LTX.test(entry.object.key)) formats.add('walsync-0.3')
      continue
    }
    const name = entry.prefix.slice(folder.length)
    if (name === SNAPSHOT_FOLDER || name === SEGMENT_FOLDER) {
      const isOurs = (key: string): boolean =>
        parseLegacyKey(key.slice(folder.length)) !== undefined
      if (await holds(store, entry.prefix, isOurs, signal)) formats.add('walsync-0.1')
    } else if (name === 'generations/') {
      const isGeneration = (key: string): boolean => GENERATION.test(key)
      if (await holds(store, entry.prefix, isGeneration, signal)) formats.add('litestream-0.3')
    } else if (LEVELS.test(name)) isReplica = true
    else folders.push(entry.prefix)
  }
  const prefix = folder.slice(0, -1)
  return { formats: [...formats].map((format) => ({ prefix, format })), folders, isReplica }
}

/** Entries read in a folder whose name is only a hint: another program's folder may hold millions. */
const MAX_ENTRIES = 100

async function holds(
  store: ObjectStore,
  folder: string,
  accept: (key: string) => boolean,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let count = 0
  for await (const entry of store.listDir({ prefix: folder, signal })) {
    if (accept(entry.kind === 'object' ? entry.object.key : entry.prefix)) return true
    if (++count === MAX_ENTRIES) return false
  }
  return false
}
