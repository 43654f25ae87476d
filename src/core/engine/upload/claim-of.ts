import type { CreateOnlyCheck } from '../../replica/writer-claim/create-only-check.ts'
import { EpochClaim } from '../../replica/writer-claim/writer-claim.ts'
import type { ObjectStore } from '../../store/index.ts'
import type { TrackerContext, TrackerOptions } from '../tracker-options.ts'

/** The claim that a database's options ask for; `undefined` for none. */
export function claimOf(
  store: ObjectStore,
  { name, lease = 'newest' }: TrackerOptions,
  { nodeId }: TrackerContext,
  createOnlyCheck: CreateOnlyCheck | undefined,
): EpochClaim | undefined {
  if (lease === 'none') return undefined
  return new EpochClaim(name, store, { lease, random: Number(nodeId), createOnlyCheck })
}
