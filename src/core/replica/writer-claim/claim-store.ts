import { mapParallel } from '../../async/map-parallel.ts'
import type { TXID } from '../../ltx/index.ts'
import {
  type CallOptions,
  isStoreError,
  type ObjectInfo,
  type ObjectStore,
} from '../../store/index.ts'
import {
  type ClaimRecord,
  decodeClaim,
  decodeEnd,
  type EndRecord,
  EPOCH_FOLDER,
  type EpochObject,
  encodeEnd,
  encodeUnlock,
  epochKey,
  parseEpochKey,
  type UnlockRecord,
} from './claim-records.ts'
import { PROTECT_MS, protectedSlots } from './claim-rules.ts'

/** How many ends are read at a time. */
const PARALLEL_READS = 8

/** An object of a listing as an epoch object; `undefined` for any other object. */
export function toEpochObject({ key, lastModified }: ObjectInfo): EpochObject | undefined {
  const parsed = parseEpochKey(key)
  return parsed && { ...parsed, key, lastModified }
}

/**
 * Lists the epoch objects of a replica, in key order.
 *
 * @throws StoreError
 */
export async function listEpochs(
  store: ObjectStore,
  options: CallOptions = {},
): Promise<EpochObject[]> {
  const objects: EpochObject[] = []
  for await (const info of store.list({ prefix: EPOCH_FOLDER, signal: options.signal })) {
    const object = toEpochObject(info)
    if (object !== undefined) objects.push(object)
  }
  return objects
}

/** Whether exactly this epoch is claimed. @throws StoreError */
export async function isClaimed(
  store: ObjectStore,
  epoch: number,
  options: CallOptions,
): Promise<boolean> {
  return (await store.head(epochKey(epoch, 'claim'), options)) !== undefined
}

/** The newest epoch above `epoch` with any object, or 0. @throws StoreError */
export async function newestAbove(
  store: ObjectStore,
  epoch: number,
  options: CallOptions,
): Promise<number> {
  let newest = 0
  const startAfter = epochKey(epoch, 'unlock')
  for await (const info of store.list({ prefix: EPOCH_FOLDER, startAfter, ...options })) {
    newest = Math.max(newest, parseEpochKey(info.key)?.epoch ?? 0)
  }
  return newest
}

/** `undefined` if there is no claim, or none that can be decoded. @throws StoreError */
export async function readClaim(
  store: ObjectStore,
  epoch: number,
  options: CallOptions,
): Promise<ClaimRecord | undefined> {
  return await readRecord(store, epochKey(epoch, 'claim'), decodeClaim, options)
}

/** Who claimed an epoch, for messages: `undefined` also where the store does not answer. */
export async function findHolder(
  store: ObjectStore,
  epoch: number,
  signal: AbortSignal | undefined,
): Promise<ClaimRecord | undefined> {
  try {
    return await readClaim(store, epoch, { signal })
  } catch (error) {
    if (isStoreError(error)) return undefined
    throw error
  }
}

/** `undefined` if there is no end, or none that can be decoded. @throws StoreError */
export async function readEnd(
  store: ObjectStore,
  epoch: number,
  options: CallOptions,
): Promise<EndRecord | undefined> {
  return await readRecord(store, epochKey(epoch, 'end'), decodeEnd, options)
}

/** Ends an epoch, unless it has ended already. @throws StoreError */
export async function writeEnd(
  store: ObjectStore,
  end: EndRecord,
  options: CallOptions,
): Promise<void> {
  await createOnce(store, epochKey(end.epoch, 'end'), encodeEnd(end), options)
}

/** Unlocks an epoch, unless it is unlocked already. @throws StoreError */
export async function writeUnlock(
  store: ObjectStore,
  unlock: UnlockRecord,
  options: CallOptions,
): Promise<void> {
  await createOnce(store, epochKey(unlock.epoch, 'unlock'), encodeUnlock(unlock), options)
}

/**
 * Slots whose level-0 files retention must keep, for a process without a claim of its own.
 *
 * @param objects from a listing of the replica
 * @param now in milliseconds
 * @throws StoreError
 */
export async function readProtectedSlots(
  store: ObjectStore,
  objects: readonly EpochObject[],
  now: number,
  options: CallOptions = {},
): Promise<TXID[]> {
  return protectedSlots(await readRecentEnds(store, objects, now, options), now)
}

/** The ends that may still protect slots. @throws StoreError */
export async function readRecentEnds(
  store: ObjectStore,
  objects: readonly EpochObject[],
  now: number,
  options: CallOptions,
): Promise<EndRecord[]> {
  const recent = objects.filter(
    ({ kind, lastModified }) => kind === 'end' && now - lastModified.getTime() <= 2 * PROTECT_MS,
  )
  const ends = await mapParallel(recent, PARALLEL_READS, ({ epoch }) =>
    readEnd(store, epoch, options),
  )
  return ends.filter((end) => end !== undefined)
}

async function createOnce(
  store: ObjectStore,
  key: string,
  body: Uint8Array,
  { signal }: CallOptions,
): Promise<void> {
  try {
    await store.put(key, body, { ifAbsent: true, signal })
  } catch (error) {
    if (!isStoreError(error) || error.code !== 'AlreadyExists') throw error
  }
}

async function readRecord<T>(
  store: ObjectStore,
  key: string,
  decode: (bytes: Uint8Array) => T | undefined,
  options: CallOptions,
): Promise<T | undefined> {
  try {
    const { body } = await store.get(key, options)
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(chunk)
    return decode(Buffer.concat(chunks))
  } catch (error) {
    if (isStoreError(error) && error.code === 'NotFound') return undefined
    throw error
  }
}
