import type { LtxFileInfo, ReplicaClient } from '../replica/replica-client.ts'
import type { CallOptions } from '../store/index.ts'
import type { RestorePoint } from './restore-error.ts'
import { firstOfEach, type TimedState } from './time-warnings.ts'
import { tooEarly } from './unreachable.ts'

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
