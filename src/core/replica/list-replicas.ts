import { mapParallel } from '../async/map-parallel.ts'
import type { CallOptions, ObjectStore } from '../store/index.ts'
import { otherLayout, parseLtxKey, type ReplicaLayout } from './replica-layout.ts'

/** How many folders are listed at a time. */
const PARALLEL_LISTINGS = 16

/**
 * How deep, in folders under a store's root, a replica can be found: a bucket may hold other
 * things, so not every folder can be searched.
 */
export const MAX_REPLICA_DEPTH = 4

/**
 * Prefixes under a store's root that hold a replica, in key order, without a slash at the end:
 * `app`, `group/app`, and so on up to `MAX_REPLICA_DEPTH` folders, even below another replica. The
 * empty string is the root itself, which is a replica if the URL points to one (as Litestream's
 * URLs do).
 *
 * A replica in the other layout, brought by a copy tool from another kind of store, is found too.
 *
 * Costs one or two listings per database, never a listing of all objects.
 *
 * @throws StoreError
 */
export async function listReplicas(
  store: ObjectStore,
  layout: ReplicaLayout,
  options: CallOptions = {},
): Promise<string[]> {
  const found: string[] = []
  let folders = ['']
  for (let depth = 0; depth <= MAX_REPLICA_DEPTH && folders.length > 0; depth++) {
    const looks = await mapParallel(folders, PARALLEL_LISTINGS, async (prefix) => {
      const inside = await foldersUnder(store, prefix, options)
      const seen = await layoutOf(store, layout, prefix, inside, options)
      return { prefix, seen, inside }
    })
    for (const { prefix, seen } of looks) if (seen !== undefined) found.push(prefix)
    folders = looks.flatMap(({ prefix, seen, inside }) =>
      seen === undefined ? inside : inside.filter((folder) => !isOwn(seen, prefix, folder)),
    )
  }
  return found.sort().map((prefix) => prefix.slice(0, -1))
}

const LEVEL_FOLDER: Record<ReplicaLayout, RegExp> = {
  ltx: /(?:^|\/)[0-9]\/$/,
  hex: /(?:^|\/)000[0-9]\/$/,
}

async function layoutOf(
  store: ObjectStore,
  layout: ReplicaLayout,
  prefix: string,
  inside: readonly string[],
  options: CallOptions,
): Promise<ReplicaLayout | undefined> {
  if (await holdsLevels(store, layout, prefix, inside, options)) return layout
  const other = otherLayout(layout)
  return (await holdsCopy(store, other, prefix, inside, options)) ? other : undefined
}

/** A database may have the same name as a level of the other layout, so its files decide. */
async function holdsCopy(
  store: ObjectStore,
  layout: ReplicaLayout,
  prefix: string,
  inside: readonly string[],
  options: CallOptions,
): Promise<boolean> {
  const outer = layout === 'hex' ? inside : []
  const inner =
    layout === 'ltx' && inside.includes(`${prefix}ltx/`)
      ? await foldersUnder(store, `${prefix}ltx/`, options)
      : []
  for (const folder of [...outer, ...inner]) {
    if (!LEVEL_FOLDER[layout].test(folder)) continue
    for await (const entry of store.listDir({ prefix: folder, signal: options.signal })) {
      if (entry.kind !== 'object') continue
      if (parseLtxKey(layout, entry.object.key.slice(prefix.length)) !== undefined) return true
    }
  }
  return false
}

/** A replica is recognised by a level folder, because an object store has no empty folders. */
async function holdsLevels(
  store: ObjectStore,
  layout: ReplicaLayout,
  prefix: string,
  inside: readonly string[],
  options: CallOptions,
): Promise<boolean> {
  if (layout === 'hex') return inside.some((folder) => LEVEL_FOLDER.hex.test(folder))
  // A database may also be called "ltx".
  if (!inside.includes(`${prefix}ltx/`)) return false
  for await (const entry of store.listDir({ prefix: `${prefix}ltx/`, signal: options.signal })) {
    // Where folders are real, a file has replaced this one: reading the replica will say so.
    const isReplaced = entry.kind === 'object' && !store.capabilities.flatNamespace
    const folder = entry.kind === 'prefix' ? entry.prefix : isReplaced ? `${entry.object.key}/` : ''
    if (LEVEL_FOLDER.ltx.test(folder)) return true
  }
  return false
}

/** Does the folder belong to a replica itself: a level, or walsync's own objects? */
function isOwn(layout: ReplicaLayout, prefix: string, folder: string): boolean {
  if (folder === `${prefix}walsync/`) return true
  return layout === 'ltx' ? folder === `${prefix}ltx/` : LEVEL_FOLDER.hex.test(folder)
}

async function foldersUnder(
  store: ObjectStore,
  prefix: string,
  options: CallOptions,
): Promise<string[]> {
  const folders: string[] = []
  for await (const entry of store.listDir({ prefix, signal: options.signal })) {
    if (entry.kind === 'prefix') folders.push(entry.prefix)
  }
  return folders
}
