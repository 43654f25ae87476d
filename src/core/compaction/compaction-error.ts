import { ReplicaError } from '../replica/replica-error.ts'

/** An object that keeps others from being merged, confirmed by a second read. Nothing was written or deleted. */
export class CompactionError extends ReplicaError {
  override readonly name = 'CompactionError'
}
