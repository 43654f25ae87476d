import type { CallOptions, ObjectStore } from '../store/index.ts'
import { mapParallel } from './map-parallel.ts'
import type { ReplicaLayout } from './replica-layout.ts'

/** Folders looked into at one time. */
const PARALLEL_LISTINGS = 16

/**
 * Prefixes under a store's root that hold a replica, in key order, without a slash at the end:
 * `app`, and `group/app` one folder deeper. The empty string stands for the root itself, which is a
 * replica when the URL names one (Litestream's URLs do).
 *
 * Costs about one listing a database, never one of all objects.
 *
 * @throws StoreError
 */
export async function listReplicas(
  store: ObjectStore,
  layout: ReplicaLayout,
  options: CallOptions = {},
): Promise<string[]> {
  const found: string[] = []
  if (await isReplica(store, layout, '', options)) found.push('')
  const top = await foldersUnder(store, '', options)
  const groups = await mapParallel(
    top.filter((prefix) => found.length === 0 || !isMarker(layout, prefix)),
    PARALLEL_LISTINGS,
    async (prefix) => {
      if (await isReplica(store, layout, prefix, options)) return [prefix]
      const nested: string[] = []
      for (const inner of await foldersUnder(store, prefix, options)) {
        if (await isReplica(store, layout, inner, options)) nested.push(inner)
      }
      return nested
    },
  )
  for (const prefix of groups.flat()) found.push(prefix.slice(0, -1))
  return found
}

const LEVEL_FOLDER: Record<ReplicaLayout, RegExp> = {
  ltx: /(?:^|\/)[0-9]\/$/,
  hex: /(?:^|\/)000[0-9]\/$/,
}

/** A replica is told by a level folder, because an object store has no empty ones. */
async function isReplica(
  store: ObjectStore,
  layout: ReplicaLayout,
  prefix: string,
  options: CallOptions,
): Promise<boolean> {
  const inside = layout === 'ltx' ? `${prefix}ltx/` : prefix
  for await (const entry of store.listDir({ prefix: inside, signal: options.signal })) {
    if (entry.kind === 'prefix' && LEVEL_FOLDER[layout].test(entry.prefix)) return true
  }
  return false
}

function isMarker(layout: ReplicaLayout, prefix: string): boolean {
  return layout === 'ltx' ? prefix === 'ltx/' : LEVEL_FOLDER.hex.test(prefix)
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
