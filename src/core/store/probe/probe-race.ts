import { readAll } from '../bytes.ts'
import type { ObjectStore } from '../object-store.ts'
import { isStoreError, type StoreError } from '../store-error.ts'
import { probeBody } from './probe-calls.ts'
import { type ProbeOptions, removeQuietly } from './probe-store.ts'

export interface RaceOptions extends ProbeOptions {
  /** How many create-only puts of one key are sent at once. */
  readonly writers: number
}

/** The outcome of concurrent create-only puts of one key with different bytes. */
export interface RaceReport {
  readonly writers: number
  /** Puts that were accepted. If it is not one, the store does not keep a second writer out. */
  readonly winners: number
  /** Puts that failed with anything other than `AlreadyExists`. */
  readonly failed: number
  readonly status: 'ok' | 'failed' | 'skipped' | 'untried'
  readonly sentence: string
}

const LOST = "two writers of one replica could overwrite each other's history unseen"

/**
 * Tests whether concurrent create-only puts keep their promise. Sequential calls cannot show this:
 * a store may look, find nothing, and then write. Creates one object and removes it again. A race
 * that goes well proves little; one that does not is proof enough.
 *
 * @throws the signal's reason; any error that is not a StoreError
 */
export async function raceCreates(store: ObjectStore, options: RaceOptions): Promise<RaceReport> {
  const { writers, signal, prefix = 'walsync-probe' } = options
  const none = { writers, winners: 0, failed: 0 }
  if (store.capabilities.ifAbsent === 'none') {
    return { ...none, status: 'skipped', sentence: `The backend declares none: ${LOST}.` }
  }
  const key = `${prefix}/${crypto.randomUUID()}/race`
  const bodies = Array.from({ length: writers }, (_, at) => probeBody(`racer ${at}`))
  try {
    const puts = await Promise.allSettled(
      bodies.map((body) => store.put(key, body, { ifAbsent: true, signal })),
    )
    signal?.throwIfAborted()
    const errors = puts.flatMap((put) => (put.status === 'rejected' ? [put.reason] : []))
    const defect = errors.find((error) => !isStoreError(error))
    if (defect !== undefined) throw defect
    const others = (errors as StoreError[]).filter(({ code }) => code !== 'AlreadyExists')
    const won = bodies.filter((_, at) => puts[at]?.status === 'fulfilled')
    const counts = { writers, winners: won.length, failed: others.length }
    return { ...counts, ...(await verdict(store, key, won, counts, others[0], signal)) }
  } finally {
    await removeQuietly(store, [key])
  }
}

type Verdict = Pick<RaceReport, 'status' | 'sentence'>

async function verdict(
  store: ObjectStore,
  key: string,
  won: readonly Uint8Array[],
  { writers, winners, failed }: Pick<RaceReport, 'writers' | 'winners' | 'failed'>,
  error: StoreError | undefined,
  signal: AbortSignal | undefined,
): Promise<Verdict> {
  const race = `Of ${writers} concurrent create-only puts of one key`
  const [winner] = won
  if (winner === undefined) {
    const why = error === undefined ? '' : ` (${error.message})`
    const status = error?.code === 'PermissionDenied' ? 'untried' : 'failed'
    return { status, sentence: `${race} none was accepted${why}.` }
  }
  if (winners > 1) {
    return { status: 'failed', sentence: `${race} ${winners} were accepted: ${LOST}.` }
  }
  let bytes: Uint8Array
  try {
    bytes = await readAll((await store.get(key, { signal })).body)
  } catch (failure) {
    signal?.throwIfAborted()
    if (!isStoreError(failure)) throw failure
    const status = failure.code === 'PermissionDenied' ? 'untried' : 'failed'
    return { status, sentence: `${race} one was accepted; get failed: ${failure.message}` }
  }
  if (Buffer.compare(bytes, winner) !== 0) {
    return {
      status: 'failed',
      sentence: `${race} one was accepted, but get returns other bytes than it stored: ${LOST}.`,
    }
  }
  const rest = failed === 0 ? '' : `; ${failed} failed for other reasons (${error?.message})`
  return { status: 'ok', sentence: `${race} one was accepted, and get returns its bytes${rest}.` }
}
