import { isStoreError, type ObjectStore, StoreError } from '../../store/index.ts'

/** A claim, and the same claim in other bytes. */
export interface ClaimBodies {
  readonly body: Uint8Array
  readonly other: Uint8Array
}

/**
 * Whether a store refuses a second create-only put, shown once per store and process: not every
 * store that declares the condition keeps it, and fencing rests on nothing else. Share one among
 * all databases of a store.
 */
export class FencingProof {
  #proven = false
  #running: Promise<void> | undefined

  /**
   * Stores a claim create-only. The first time the put is repeated with other bytes, which must be
   * refused; callers that come meanwhile wait for that.
   *
   * @throws StoreError `AlreadyExists` if another writer has claimed that epoch
   * @throws StoreError `Unsupported` if the store ignores the condition; nothing of the claim stays
   */
  async claim(
    store: ObjectStore,
    key: string,
    bodies: ClaimBodies,
    signal?: AbortSignal,
  ): Promise<void> {
    const put = () => createOnly(store, key, bodies.body, signal)
    await this.#run(put, () => this.#prove(store, key, bodies.other, signal), signal)
  }

  /**
   * The same for a claim that stands already, because only its answer was lost.
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
    const nothing = async () => undefined
    await this.#run(nothing, () => this.#prove(store, key, other, signal), signal)
  }

  async #run(
    claim: () => Promise<unknown>,
    prove: () => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    while (!this.#proven && this.#running !== undefined) {
      await this.#running.catch(() => undefined)
      signal?.throwIfAborted()
    }
    if (this.#proven) {
      await claim()
      return
    }
    this.#running = claim().then(prove)
    try {
      await this.#running
    } finally {
      this.#running = undefined
    }
  }

  async #prove(
    store: ObjectStore,
    key: string,
    other: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await store.put(key, other, { ifAbsent: true, signal })
    } catch (error) {
      if (!isStoreError(error) || error.code !== 'AlreadyExists') throw error
      this.#proven = true
      return
    }
    const cause = await store.delete(key, { signal }).catch((error: unknown) => error)
    signal?.throwIfAborted()
    const left = cause === undefined ? '' : ` Left behind: ${key}.`
    throw new StoreError(
      'Unsupported',
      `${store.description} accepts a second create-only put of one key: two writers of a replica could not be told apart.${left}`,
      { op: 'put', key, hint: UNFENCED_HINT, cause },
    )
  }
}

/** A service that does not know the condition says so: the operator learns which flag does without. */
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
  'Use a store that has conditional writes; or make sure that only one walsync writes to this replica, and say --no-fencing.'
