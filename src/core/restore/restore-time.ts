import { formatTxid, type TXID } from '../ltx/index.ts'
import { type LtxFileInfo, type ReplicaClient, ReplicaError } from '../replica/replica-client.ts'
import { type CallOptions, isArchived } from '../store/index.ts'
import { byEnd, timeOf } from './reachable-states.ts'
import type { RestorePoint } from './restore-error.ts'
import { tooEarly } from './restore-plan.ts'

/** Headers read at one time; each round divides the candidates by this and one. */
const PROBES = 8

/** The state found, and those whose times were read on the way, by ascending TXID. */
export interface ResolvedTime extends RestorePoint {
  readonly states: readonly TimedState[]
}

/**
 * The newest TXID that stood at a time, for stores whose listing has no `createdAt`: a search
 * through the files in TXID order, by their headers of 100 bytes. Times ascend with TXIDs, except
 * where the writer's clock was set back; there, any TXID that was followed by a later time may be found. The
 * store's own times say where to look first, so two reads are the rule.
 *
 * @throws RestoreError `TargetNotReachable` if every file is later
 * @throws ReplicaError for a header that cannot be read: a guess might miss the state asked for
 */
export async function resolveTime(
  client: ReplicaClient,
  files: readonly LtxFileInfo[],
  time: Date,
  options: CallOptions = {},
): Promise<ResolvedTime> {
  const candidates = firstOfEach(files)
  const states: TimedState[] = []
  let before = -1
  let beforeTime: Date | undefined
  let after = candidates.length
  const hint = candidates.findLastIndex((file) => file.lastModified <= time)
  let probes = [hint, hint + 1].filter((index) => index > before && index < after)
  while (after - before > 1) {
    const times = await Promise.all(
      probes.map((index) => createdAt(client, candidates[index] as LtxFileInfo, options)),
    )
    probes.forEach((index, i) => {
      const { maxTxid, lastModified } = candidates[index] as LtxFileInfo
      states.push({ txid: maxTxid, time: times[i] as Date, storedAt: lastModified })
    })
    const last = times.findLastIndex((at) => at <= time)
    if (last >= 0) {
      before = probes[last] as number
      beforeTime = times[last]
    }
    after = probes[last + 1] ?? after
    probes = spread(before, after)
  }
  const found = candidates[before]
  if (found === undefined) throw tooEarly(files, { kind: 'time', time })
  states.sort((a, b) => (a.txid < b.txid ? -1 : 1))
  return { txid: found.maxTxid, time: beforeTime, states }
}

/** Up to `PROBES` evenly spaced integers between two others, ascending. */
function spread(before: number, after: number): number[] {
  const gap = after - before
  const count = Math.min(PROBES, gap - 1)
  return Array.from({ length: count }, (_, i) => before + Math.floor(((i + 1) * gap) / (count + 1)))
}

async function createdAt(
  client: ReplicaClient,
  file: LtxFileInfo,
  options: CallOptions,
): Promise<Date> {
  return file.createdAt ?? new Date((await client.readHeader(file, options)).timestamp)
}

/** How far a store's clock and a writer's may differ before the difference says anything, in milliseconds. */
const CLOCK_TOLERANCE_MS = 5 * 60_000

/** A state with the two times that are known of it. */
export interface TimedState {
  readonly txid: TXID
  /** By the writer's clock: what a target time is compared with. */
  readonly time: Date
  /** By the store's clock: when the object was there. */
  readonly storedAt: Date
}

/** Of the files with one end, the lowest level was made first and has the transaction's own time. */
export function firstOfEach(files: readonly LtxFileInfo[]): LtxFileInfo[] {
  return byEnd(files).map((group) =>
    group.reduce((lowest, file) => (file.level < lowest.level ? file : lowest)),
  )
}

/**
 * Why a restore to a time may not give the state that was meant. A writer's times never run
 * backwards along TXIDs, so after a run with the clock ahead all states have times to come until the
 * clock has caught up: a target time then leads to the last state before that run. That state is
 * the newest one known to be in time, but no proof that none came after it.
 *
 * @param states with known times, by ascending TXID
 * @param files by ascending TXID: may hold more states than `states`
 */
export function timeWarnings(
  states: readonly TimedState[],
  files: readonly LtxFileInfo[],
  chosen: TXID,
  target: Date,
  now: Date,
): string[] {
  const warnings: string[] = []
  const next = states.find(({ txid }) => txid > chosen)
  if (next !== undefined && isAhead(next, now)) {
    const { txid, time, storedAt } = next
    const ahead =
      time > now ? 'is still to come' : `was stored at ${storedAt.toISOString()} already`
    warnings.push(
      `TXID ${formatTxid(txid)}, after the restored state, has the time ${time.toISOString()}, which ${ahead}: the clock was ahead when it was written. It and later states may be older than they say, and belong to ${target.toISOString()}. ${advice(files, chosen, target)}`,
    )
  }
  const late = states.find(({ txid, time }) => txid < chosen && time > target)
  if (late !== undefined) {
    warnings.push(
      `Times disagree with the order of the states: TXID ${formatTxid(late.txid)}, before the restored state ${formatTxid(chosen)}, has the later time ${late.time.toISOString()}. ${advice(files, chosen, target)}`,
    )
  }
  return warnings
}

function isAhead({ time, storedAt }: TimedState, now: Date): boolean {
  return time > now || time.getTime() > storedAt.getTime() + CLOCK_TOLERANCE_MS
}

/** The store's own times say which states were there by then, if the objects were not copied since. */
function advice(files: readonly LtxFileInfo[], chosen: TXID, target: Date): string {
  const stored = files.findLast(({ lastModified }) => lastModified <= target)
  const other =
    stored === undefined || stored.maxTxid <= chosen
      ? ''
      : ` By the store's own times, TXID ${formatTxid(stored.maxTxid)} was the newest there by then.`
  return `--txid names a state for sure.${other}`
}

/**
 * When the state of a TXID was made. Every command shows this time, and a restore to a time goes by
 * it: the listed `createdAt`, or else the timestamp in the header of the state's first file.
 *
 * @returns `undefined` if no file ends with the TXID, or if the timestamp is not a valid time
 * @throws ReplicaError for a header that cannot be read; StoreError
 */
export async function readStateTime(
  client: ReplicaClient,
  files: readonly LtxFileInfo[],
  txid: TXID,
  options: CallOptions = {},
): Promise<Date | undefined> {
  const [first] = firstOfEach(files.filter(({ maxTxid }) => maxTxid === txid))
  if (first === undefined) return undefined
  const time = timeOf(files, txid) ?? (await createdAt(client, first, options))
  return Number.isNaN(time.getTime()) ? undefined : time
}

/** `readStateTime` for a display: where no header can be read, the store's own time of the file. */
export async function findStateTime(
  client: ReplicaClient,
  files: readonly LtxFileInfo[],
  txid: TXID,
  options: CallOptions = {},
): Promise<Date | undefined> {
  let time: Date | undefined
  try {
    time = await readStateTime(client, files, txid, options)
  } catch (error) {
    if (!(error instanceof ReplicaError) && !isArchived(error)) throw error
  }
  return time ?? firstOfEach(files.filter(({ maxTxid }) => maxTxid === txid))[0]?.lastModified
}
