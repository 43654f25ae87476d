import { isStoreError, type ObjectStore, StoreError } from '../../store/index.ts'

/** A claim twice: as it is stored, and in other bytes for the check. */
export interface ClaimBodies {
  readonly body: Uint8Array
  readonly other: Uint8Array
}

/**
 * Checks once per store and process that the store refuses a second create-only put of a key. Not
 * every store that declares the condition enforces it, and fencing relies on nothing else. Share one
 * among all databases of a store.
 */
export class CreateOnlyCheck {
  #passed = false
  #running: Promise<void> | undefined

  /**
   * Stores a claim create-only. The first time, the put is repeated with other bytes, and the store
   * must refuse that; concurrent callers wait for the result.
   *
   * @throws StoreError `AlreadyExists` if another writer has claimed that epoch
   * @throws StoreError `Unsupported` if the store ignores the condition; the claim is deleted again
   */
  async claim(
    store: ObjectStore,
    key: string,
    bodies: ClaimBodies,
    signal?: AbortSignal,
  ): Promise<void> {
    const put = () => createOnly(store, key, bodies.body, signal)
    await this.#run(put, () => this.#check(store, key, bodies.other, signal), signal)
  }

  /**
   * The same check for a claim that is stored already, because the response to its put was lost.
   *
   * @param other the claim in other bytes
   * @throws StoreError as `claim`
   */
  async confirm(
    store: ObjectStore,
    key: string,
    other: Uint8Array,
    signal?: AbortSignal,
  ): Promise<void> {
    const isStored = async () => undefined
    await this.#run(isStored, () => this.#check(store, key, other, signal), signal)
  }

  async #run(
    claim: () => Promise<unknown>,
    check: () => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    while (!this.#passed && this.#running !== undefined) {
      await this.#running.catch(() => undefined)
      signal?.throwIfAborted()
    }
    if (this.#passed) {
      await claim()
      return
    }
    this.#running = claim().then(check)
    try {
      await this.#running
    } finally {
      this.#running = undefined
    }
  }

  async #check(
    store: ObjectStore,
    key: string,
    other: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await store.put(key, other, { ifAbsent: true, signal })
    } catch (error) {
      if (!isStoreError(error) || error.code !== 'AlreadyExists') throw error
      this.#passed = true
      return
    }
    const cause = await store.delete(key, { signal }).catch((error: unknown) => error)
    signal?.throwIfAborted()
    const left = cause === undefined ? '' : ` Left behind: ${key}.`
    throw new StoreError(
      'Unsupported',
      `${store.description} accepts a second create-only put of one key, so two writers of a replica could not detect each other.${left}`,
      { op: 'put', key, hint: UNFENCED_HINT, cause },
    )
  }
}

/** For a service that does not know the condition, the hint says which flag does without it. */
async function createOnly(
  store: ObjectStore,
  key: string,
  body: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await store.put(key, body, { ifAbsent: true, signal })
  } catch (error) {
    if (!isStoreError(error) || error.code !== 'Unsupported') throw error
    const { message, httpStatus } = error
    throw new StoreError('Unsupported', message, {
      op: 'put',
      key,
      httpStatus,
      hint: UNFENCED_HINT,
      cause: error,
    })
  }
}

/** What to do on a store without conditional writes. */
export const UNFENCED_HINT =
  'Use a store with conditional writes, or make sure that only one walsync writes to this replica and pass --no-fencing.'
