import { ExitCode, WalsyncError, type WalsyncErrorOptions } from '../errors.ts'

/**
 * `MissingObject`: a listed object is gone; if retention deleted it, a new listing shows that.
 * `DamagedObject`: the object has the name of an LTX file but is not one, its header contradicts
 * its name, or its bytes are not what was stored. `ObjectChanged`: the object has another size than
 * the listing said, though LTX files never change. `ArchivedObject`: it is in an archive tier, from
 * which nothing can be read. `MissingPage`: it lacks a page by which the database grew.
 * `ChecksumMismatch`: the objects are sound but belong to different histories. `Unmergeable`: the
 * merged file cannot be represented in LTX.
 */
export type ReplicaErrorCode =
  | 'MissingObject'
  | 'DamagedObject'
  | 'ObjectChanged'
  | 'ArchivedObject'
  | 'MissingPage'
  | 'ChecksumMismatch'
  | 'Unmergeable'

const HINTS: Readonly<Record<ReplicaErrorCode, string>> = {
  MissingObject:
    'Something else deletes objects of this replica. walsync verify shows which states cannot be restored.',
  DamagedObject:
    'Copy the object back from another copy of the replica, or run walsync repair. walsync verify shows which states cannot be restored.',
  ObjectChanged:
    'Something else writes to this replica. walsync verify shows which states cannot be restored.',
  ArchivedObject:
    'Restore the object from the archive tier, and exclude the replica from the lifecycle rule: its objects are read again for every merge and every restore.',
  MissingPage:
    'Run walsync repair to give the replica a new base. walsync verify shows which states cannot be restored.',
  ChecksumMismatch:
    'Objects were replaced, or objects of another history are in this replica. Run walsync repair to give it a new base. walsync verify shows which states cannot be restored.',
  Unmergeable: 'Nothing is lost: the object stays as it is.',
}

/** An object of the replica is not what its name, the listing or its neighbours suggest. */
export class ReplicaError extends WalsyncError<ReplicaErrorCode> {
  override readonly name: string = 'ReplicaError'
  /** Key of the object, relative to the replica's prefix. */
  readonly key: string

  constructor(
    code: ReplicaErrorCode,
    key: string,
    message: string,
    options: WalsyncErrorOptions = {},
  ) {
    super(code, message, ExitCode.integrity, { ...options, hint: options.hint ?? HINTS[code] })
    this.key = key
  }
}
