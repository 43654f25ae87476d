import { randomUUID } from 'node:crypto'
import {
  isStoreError,
  type Precondition,
  type PutBody,
  type PutResult,
  StoreError,
  type Version,
} from '../../core/store/index.ts'

/** What a read-back finds under a key. */
export interface StoredWrite {
  readonly size: number
  readonly version: Version
  /** The write id in the object's metadata, if it has one. */
  readonly writeId: string | undefined
}

export interface ConditionalWrite {
  readonly key: string
  readonly body: PutBody
  readonly condition: Precondition
  readonly signal: AbortSignal
  /** Sends the write with this id in the object's metadata. Throws StoreErrors only. */
  send(writeId: string): Promise<PutResult>
  /** What the key holds now, or `undefined`. */
  readBack(): Promise<StoredWrite | undefined>
}

/**
 * Makes conditional writes survive a lost answer. A server may carry a write out and the answer get
 * lost; a repetition then fails its own condition (412) against its own object. So each write
 * carries a random id, and where an answer is missing the object is read back: our id means success.
 *
 * The id belongs to the body: a retry layer above that repeats a put with the same body repeats the
 * same write. It is kept only while the fate of that write is open.
 */
export class ConditionalWrites {
  readonly #open = new WeakMap<PutBody, { readonly key: string; readonly writeId: string }>()

  async write(write: ConditionalWrite): Promise<PutResult> {
    const claimed = this.#claim(write)
    const writeId = claimed ?? randomUUID()
    try {
      return await sendAndDecide(write, writeId, claimed !== undefined)
    } catch (error) {
      if (write.signal.aborted || staysOpen(error, claimed !== undefined)) {
        this.#open.set(write.body, { key: write.key, writeId })
      }
      throw error
    }
  }

  /** Takes the id out, so that two puts of one body at the same time never pass for one write. */
  #claim({ body, key }: ConditionalWrite): string | undefined {
    const entry = this.#open.get(body)
    if (entry?.key !== key) return undefined
    this.#open.delete(body)
    return entry.writeId
  }
}

function staysOpen(error: unknown, repeated: boolean): boolean {
  if (!isStoreError(error) || isRefusal(error)) return false
  return repeated || error.outcome === 'unknown'
}

function isRefusal(error: StoreError): boolean {
  return error.code === 'AlreadyExists' || error.code === 'PreconditionFailed'
}

async function sendAndDecide(
  write: ConditionalWrite,
  writeId: string,
  repeated: boolean,
): Promise<PutResult> {
  try {
    return await write.send(writeId)
  } catch (error) {
    if (write.signal.aborted || !isStoreError(error)) throw error
    return await decide(write, writeId, repeated, error)
  }
}

/** Resolves if the write is in the store, throws what is known otherwise. */
async function decide(
  write: ConditionalWrite,
  writeId: string,
  repeated: boolean,
  error: StoreError,
): Promise<PutResult> {
  const refused = isRefusal(error)
  const open = error.outcome === 'unknown' || error.httpStatus === 409
  if (!open && !(refused && repeated)) throw error
  const stored = await readBack(write, error)
  if (stored !== undefined && stored.writeId === writeId) {
    return { size: stored.size, version: stored.version }
  }
  if (refused) throw error
  throw lostRace(write, stored, error) ?? error
}

async function readBack(
  write: ConditionalWrite,
  error: StoreError,
): Promise<StoredWrite | undefined> {
  try {
    return await write.readBack()
  } catch (failure) {
    write.signal.throwIfAborted()
    throw new StoreError(
      'Unavailable',
      `The put of ${write.key} was not answered and could not be read back, so it may have happened.`,
      {
        op: 'put',
        key: write.key,
        outcome: 'unknown',
        cause: new AggregateError([error, failure]),
      },
    )
  }
}

/** The condition can no longer hold: whatever becomes of our write, another one has won. */
function lostRace(
  write: ConditionalWrite,
  stored: StoredWrite | undefined,
  cause: StoreError,
): StoreError | undefined {
  const { key, condition } = write
  const httpStatus = cause.httpStatus
  if (condition.ifAbsent === true && stored !== undefined) {
    return new StoreError('AlreadyExists', `${key} exists already.`, {
      op: 'put',
      key,
      cause,
      httpStatus,
    })
  }
  if (condition.ifMatch !== undefined && stored?.version !== condition.ifMatch) {
    return new StoreError('PreconditionFailed', `${key} has another version than expected.`, {
      op: 'put',
      key,
      cause,
      httpStatus,
    })
  }
  return undefined
}
