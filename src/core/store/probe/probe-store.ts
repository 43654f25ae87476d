import type { CallOptions, ObjectStore } from '../object-store.ts'
import { ProbeCalls } from './probe-calls.ts'
import {
  compareAndSwap,
  createOnly,
  deletion,
  listOrder,
  type ProbeAnswers,
  readAfterWrite,
} from './probe-checks.ts'
import type { ProbeReport } from './probe-report.ts'

export interface ProbeOptions extends CallOptions {
  /**
   * Folder under which a random one is created and removed. Default `walsync-probe`, which cannot
   * clash with the key of a replica.
   */
  readonly prefix?: string | undefined
}

/** Time limit for cleaning up after a failed or aborted probe, in milliseconds. */
const CLEAN_UP_MS = 5000

/**
 * Tests on the real container what the store declares, because "S3-compatible" guarantees none of
 * it: create-only and compare-and-swap puts, reads after a write, the order of listings, deletes.
 * Makes eleven calls and creates three tiny objects, which are always removed again.
 *
 * A missing permission is part of the report. The capabilities are those of `store` itself, so a
 * probe through `RetryingStore` shows what its callers get.
 *
 * @throws StoreError if the store is out of reach, the container is missing or the credentials are
 *   refused
 * @throws the signal's reason
 */
export async function probeStore(
  store: ObjectStore,
  { signal, prefix = 'walsync-probe' }: ProbeOptions = {},
): Promise<ProbeReport> {
  const folder = `${prefix}/${crypto.randomUUID()}`
  // Written in this order. "B" sorts before "a" unless the store orders by time or alphabetically.
  const keys = { main: `${folder}/a`, other: `${folder}/B`, missing: `${folder}/missing` }
  const calls = new ProbeCalls(store, signal)
  let answers: ProbeAnswers
  try {
    answers = await ask(calls, store, folder, keys)
  } catch (error) {
    await removeQuietly(store, Object.values(keys))
    throw error
  }
  return {
    checks: [createOnly, compareAndSwap, readAfterWrite, listOrder, deletion].map((check) =>
      check(answers),
    ),
    latencyMs: calls.latencyMs,
    denied: calls.denied,
    clockSkewMs: clockSkew(answers),
    leftBehind: leftBehind(answers),
  }
}

async function ask(
  calls: ProbeCalls,
  { capabilities }: ObjectStore,
  folder: string,
  keys: ProbeAnswers['keys'],
): Promise<ProbeAnswers> {
  const startedAt = Date.now()
  const creates = capabilities.ifAbsent !== 'none'
  const create = creates ? await calls.put(keys.main, 'first', { ifAbsent: true }) : undefined
  const main = await mainPut(calls, keys.main, create)
  const endedAt = Date.now()
  const other = await calls.put(keys.other, 'other', {})
  const again = create?.value && (await calls.put(keys.main, 'second', { ifAbsent: true }))
  const swaps = capabilities.ifMatch !== 'none'
  const swap = async (key: string, text: string) =>
    main.value !== undefined && other.value !== undefined && swaps
      ? await calls.put(key, text, { ifMatch: other.value.version })
      : undefined
  const current = await swap(keys.other, 'swapped')
  const stale = await swap(keys.main, 'stale')
  const absent = await swap(keys.missing, 'absent')
  const get = await calls.get(keys.main)
  const head = await calls.head(keys.main)
  const list = await calls.list(`${folder}/`)
  const deleted = await calls.delete(Object.values(keys))
  const left = await calls.list(`${folder}/`)
  const puts = { create, main, other, again, current, stale, absent }
  return { capabilities, keys, ...puts, get, head, list, deleted, left, startedAt, endedAt }
}

/** The put that the other checks need: a plain one if the store refused the condition. */
async function mainPut(
  calls: ProbeCalls,
  key: string,
  create: ProbeAnswers['create'],
): Promise<ProbeAnswers['main']> {
  const final = create?.value !== undefined || create?.error.code === 'PermissionDenied'
  return create !== undefined && final ? create : await calls.put(key, 'first', {})
}

/** What is still there after the delete, or everything that was stored if that cannot be listed. */
function leftBehind({ keys, main, other, absent, deleted, left }: ProbeAnswers): string[] {
  if (left.value !== undefined) return left.value.map(({ key }) => key)
  if (deleted.error === undefined) return []
  const puts = [
    [keys.main, main],
    [keys.other, other],
    [keys.missing, absent],
  ] as const
  return puts.flatMap(([key, put]) => (put?.value === undefined ? [] : [key]))
}

/** Compared with the middle of the interval in which the store can have written. */
function clockSkew({ get, head, main, startedAt, endedAt }: ProbeAnswers): number | undefined {
  const seen = get.value?.info ?? head.value
  if (seen === undefined || main.value === undefined) return undefined
  return Math.round(seen.lastModified.getTime() - (startedAt + endedAt) / 2)
}

/**
 * Uses a signal of its own, because the caller's may be what ended the probe. Errors are ignored:
 * the first error is the one to report.
 */
export async function removeQuietly(store: ObjectStore, keys: readonly string[]): Promise<void> {
  const signal = AbortSignal.timeout(CLEAN_UP_MS)
  try {
    for await (const _failure of store.deleteMany(keys, { signal }));
  } catch {
    // The caller is about to learn why the probe itself ended.
  }
}
