import { randomUUID } from 'node:crypto'
import type { ObjectStore, Version } from './object-store.ts'
import { isStoreError } from './store-error.ts'

/** What a container really does with conditions. */
export interface ConditionalWrites {
  /** A create-only put of an existing key was refused and changed nothing. */
  readonly ifAbsent: boolean
  /** A put with a stale version, and one on a missing key, were refused and changed nothing. */
  readonly ifMatch: boolean
}

/**
 * Tries conditional puts on the real container, because "S3-compatible" says nothing about them:
 * some endpoints ignore the header and overwrite. Writes two objects under `prefix` and deletes them.
 *
 * @param prefix a key path that nothing else uses
 * @throws StoreError of a plain put or delete that failed
 */
export async function probeConditionalWrites(
  store: ObjectStore,
  prefix: string,
  signal?: AbortSignal,
): Promise<ConditionalWrites> {
  const base = `${prefix}/${randomUUID()}`
  const taken = `${base}/taken`
  const missing = `${base}/missing`
  const call = { signal }
  const bytes = (text: string) => new TextEncoder().encode(text)
  try {
    const old = await store.put(taken, bytes('old'), call)
    const now = await store.put(taken, bytes('new'), call)
    const unchanged = async () => (await store.head(taken, call))?.version === now.version
    const create = await refusal(store.put(taken, bytes('x'), { ...call, ifAbsent: true }))
    const ifAbsent = create === 'AlreadyExists' && (await unchanged())
    if (!ifAbsent) await store.put(taken, bytes('new'), call)
    const put = (key: string, ifMatch: Version) =>
      refusal(store.put(key, bytes('y'), { ...call, ifMatch }))
    const stale = await put(taken, old.version)
    const absent = await put(missing, old.version)
    const kept = (await store.head(taken, call))?.size === 3
    const none = (await store.head(missing, call)) === undefined
    const refused = stale === 'PreconditionFailed' && absent === 'PreconditionFailed'
    return { ifAbsent, ifMatch: refused && kept && none }
  } finally {
    await store.delete(taken, call)
    await store.delete(missing, call)
  }
}

async function refusal(put: Promise<unknown>): Promise<string | undefined> {
  try {
    await put
    return undefined
  } catch (error) {
    if (!isStoreError(error)) throw error
    if (['AlreadyExists', 'PreconditionFailed', 'Unsupported'].includes(error.code)) {
      return error.code
    }
    throw error
  }
}
