import { EpochClaim } from '../replica/epoch-claim.ts'
import type { FencingProof } from '../replica/epoch-proof.ts'
import type { ObjectStore } from '../store/index.ts'
import type { TrackerContext, TrackerOptions } from './tracker-options.ts'

/** The claim that a database's options ask for; `undefined` for none. */
export function claimOf(
  store: ObjectStore,
  { name, lease = 'newest' }: TrackerOptions,
  { nodeId }: TrackerContext,
  proof: FencingProof | undefined,
): EpochClaim | undefined {
  if (lease === 'none') return undefined
  return new EpochClaim(name, store, { lease, random: Number(nodeId), proof })
}
