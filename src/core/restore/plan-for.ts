import type { TXID } from '../ltx/index.ts'
import { type LtxFileInfo, type ReplicaClient, ReplicaError } from '../replica/replica-client.ts'
import type { CallOptions } from '../store/index.ts'
import { resolveTime } from './resolve-time.ts'
import { planRestore, type RestorePlan } from './restore-plan.ts'
import type { RestoreTarget } from './restore-target.ts'
import { firstOfEach, type TimedState, timeWarnings } from './time-warnings.ts'

/** Listings after the first, when files vanish between listing and reading. */
export const MAX_RELISTS = 2

/**
 * Lists a replica and plans a restore from it; writes nothing. Reads headers of 100 bytes only
 * where the store does not list the files' times.
 *
 * @throws RestoreError `NoReplica`, `Gap`, `TargetNotReachable`
 * @throws ReplicaError for a header that is needed and cannot be read
 * @throws StoreError
 */
export async function planFor(
  client: ReplicaClient,
  target: RestoreTarget,
  options: CallOptions = {},
): Promise<RestorePlan> {
  for (let relists = 0; ; relists++) {
    const files = await client.list(options)
    try {
      const plan = await planFromListing(client, files, target, options)
      return plan.time === undefined ? await withTime(client, plan, options) : plan
    } catch (error) {
      const vanished = error instanceof ReplicaError && error.code !== 'DamagedObject'
      if (!vanished || relists === MAX_RELISTS) throw error
    }
  }
}

/** `planRestore`, with the header reads that a target time takes on a store without times. */
export async function planFromListing(
  client: ReplicaClient,
  files: readonly LtxFileInfo[],
  target: RestoreTarget,
  options: CallOptions = {},
): Promise<RestorePlan> {
  if (target.kind !== 'time') return planRestore(files, target)
  const warningsFor = (chosen: TXID, states: readonly TimedState[]) =>
    timeWarnings(states, firstOfEach(files), chosen, target.time, new Date())
  if (files.every((file) => file.createdAt !== undefined)) {
    const plan = planRestore(files, target)
    return { ...plan, warnings: warningsFor(plan.txid, listedTimes(files)) }
  }
  const { txid, time, states } = await resolveTime(client, files, target.time, options)
  const plan = planRestore(files, { kind: 'txid', txid })
  return { ...plan, target, time, warnings: warningsFor(txid, states) }
}

function listedTimes(files: readonly LtxFileInfo[]): TimedState[] {
  return firstOfEach(files).map(({ maxTxid, createdAt, lastModified }) => {
    return { txid: maxTxid, time: createdAt as Date, storedAt: lastModified }
  })
}

async function withTime(
  client: ReplicaClient,
  plan: RestorePlan,
  options: CallOptions,
): Promise<RestorePlan> {
  const { timestamp } = await client.readHeader(plan.files.at(-1) as LtxFileInfo, options)
  return { ...plan, time: new Date(timestamp) }
}
