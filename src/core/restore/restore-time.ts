import { formatTxid, type TXID } from '../ltx/index.ts'
import { type LtxFileInfo, type ReplicaClient, ReplicaError } from '../replica/replica-client.ts'
import { type CallOptions, isArchived } from '../store/index.ts'
import { byEnd, timeOf } from './reachable-states.ts'
import type { RestorePoint } from './restore-error.ts'
import { tooEarly } from './restore-plan.ts'

/** Headers read concurrently; each round divides the number of candidates by this plus one. */
const PROBES = 8

/** The state that was found, and those whose times were read on the way, by ascending TXID. */
export interface ResolvedTime extends RestorePoint {
  readonly states: readonly TimedState[]
}

/**
 * The newest TXID at a given time, for stores whose listing has no `createdAt`: a search through
 * the files in TXID order that reads their headers of 100 bytes. Times ascend with TXIDs unless the
 * writer's clock was set back; in that case any TXID that is followed by a later time may be found.
 * The store's own times show where to look first, so two reads usually suffice.
 *
 * @throws RestoreError `TargetNotReachable` if every file is later
 * @throws ReplicaError for a header that cannot be read: a guess might miss the requested state
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

/**
 * How much the clocks of a store and a writer may differ before the difference means anything, in
 * milliseconds.
 */
const CLOCK_TOLERANCE_MS = 5 * 60_000

/** A state with its two known times. */
export interface TimedState {
  readonly txid: TXID
  /** By the writer's clock. A target time is compared with this one. */
  readonly time: Date
  /** By the store's clock, when the object was stored. */
  readonly storedAt: Date
}

/**
 * Of the files with the same end, the one with the lowest level was written first and has the
 * transaction's own time.
 */
export function firstOfEach(files: readonly LtxFileInfo[]): LtxFileInfo[] {
  return byEnd(files).map((group) =>
    group.reduce((lowest, file) => (file.level < lowest.level ? file : lowest)),
  )
}

/**
 * Why a restore to a time may not give the intended state. A writer's times never decrease with
 * TXIDs. After a period with the clock ahead, all states therefore have future times until the
 * clock has caught up, and a target time leads to the last state before that period. That is the
 * newest state known to be in time, but later ones may have been in time as well.
 *
 * @param states with known times, by ascending TXID
 * @param files by ascending TXID; may include more states than `states`
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
      time > now
        ? 'is in the future'
        : `is later than ${storedAt.toISOString()}, when it was stored`
    warnings.push(
      `TXID ${formatTxid(txid)}, after the restored state, has the time ${time.toISOString()}, which ${ahead}: the clock was ahead when it was written. It and later states may be older than their times and may belong before ${target.toISOString()}. ${advice(files, chosen, target)}`,
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

/**
 * The store's own times show which states existed by then, unless the objects have been copied
 * since.
 */
function advice(files: readonly LtxFileInfo[], chosen: TXID, target: Date): string {
  const stored = files.findLast(({ lastModified }) => lastModified <= target)
  const other =
    stored === undefined || stored.maxTxid <= chosen
      ? ''
      : ` By the store's own times, TXID ${formatTxid(stored.maxTxid)} was the newest one at that time.`
  return `--txid names a state unambiguously.${other}`
}

/**
 * Time of the state of a TXID. Every command shows this time, and a restore to a time uses it: the
 * listed `createdAt`, or else the timestamp in the header of the state's first file.
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

/** `readStateTime` for display: if no header can be read, the store's own time of the file. */
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
