import { type ObjectStore, StoreError } from '../core/store/index.ts'

/** Bytes of one read. Multiplied by the number of concurrent reads, it bounds the memory. */
const PIECE_BYTES = 2 * 1024 * 1024

export interface ObjectToRead {
  readonly key: string
  /** In bytes, as listed. */
  readonly size: number
  /** Bytes to read; `end` is exclusive. Default: all. */
  readonly part?: { readonly start: number; readonly end: number } | undefined
}

export interface ReadObjectsOptions {
  /** Number of reads that are running or waiting to be consumed. */
  readonly parallelism: number
  readonly signal?: AbortSignal | undefined
}

/** One piece of one object, complete in memory. */
export interface ObjectPiece<T extends ObjectToRead> {
  readonly object: T
  readonly bytes: Uint8Array
  /** Position of the first byte within the object. */
  readonly start: number
  /** Is this the object's last one? */
  readonly last: boolean
}

/**
 * Reads objects and yields their pieces in the given order while the next ones are being fetched.
 * Leaving the loop ends all requests before it resolves. An empty object yields one empty piece.
 *
 * @throws StoreError; `Corrupted` if an object does not have the size that was listed
 */
export async function* readObjects<T extends ObjectToRead>(
  store: ObjectStore,
  objects: Iterable<T>,
  { parallelism, signal: callers }: ReadObjectsOptions,
): AsyncGenerator<ObjectPiece<T>, void, void> {
  const left = new AbortController()
  const signal = callers === undefined ? left.signal : AbortSignal.any([callers, left.signal])
  const wanted = piecesOf(objects)
  const underway: Promise<ObjectPiece<T>>[] = []
  try {
    for (;;) {
      while (underway.length < parallelism) {
        const { value } = wanted.next()
        if (value === undefined) break
        const piece = readPiece(store, value, signal)
        // The error is reported when its turn comes; without this, an unhandled rejection would end the process.
        piece.catch(() => {})
        underway.push(piece)
      }
      const [due] = underway
      if (due === undefined) return
      const piece = await due
      void underway.shift()
      yield piece
    }
  } finally {
    left.abort()
    await Promise.allSettled(underway)
  }
}

interface Wanted<T> {
  readonly object: T
  readonly start: number
  readonly end: number
  readonly last: boolean
}

function* piecesOf<T extends ObjectToRead>(objects: Iterable<T>): Generator<Wanted<T>, void, void> {
  for (const object of objects) {
    const { start: first, end: last } = object.part ?? { start: 0, end: object.size }
    let start = first
    do {
      const end = Math.min(start + PIECE_BYTES, last)
      yield { object, start, end, last: end === last }
      start = end
    } while (start < last)
  }
}

async function readPiece<T extends ObjectToRead>(
  store: ObjectStore,
  { object, start, end, last }: Wanted<T>,
  signal: AbortSignal,
): Promise<ObjectPiece<T>> {
  const { key, size } = object
  const bytes = new Uint8Array(end - start)
  // An empty range cannot be requested.
  if (bytes.length === 0) return { object, bytes, start, last }
  const { info, body } = await store.get(key, { range: { start, end }, signal })
  let length = 0
  for await (const chunk of body) {
    // Thrown from inside, because only leaving a loop frees the connection.
    if (info.size !== size || length + chunk.length > bytes.length) throw changed(key)
    bytes.set(chunk, length)
    length += chunk.length
  }
  if (info.size !== size || length !== bytes.length) throw changed(key)
  return { object, bytes, start, last }
}

function changed(key: string): StoreError {
  return new StoreError('Corrupted', `The object ${key} has a different size than listed.`, {
    op: 'get',
    key,
    hint: 'Make sure that nothing writes to this replica, and try again.',
  })
}
