/**
 * `DamagedObject`: an object is no intact LTX file, twice in a row. `MissingObject`: it was listed
 * and is gone. `ArchivedObject`: it is in a tier from which nothing is read. `MissingPage`: the object should hold a page by which the database grew, and does
 * not. `ChecksumMismatch`: the objects are sound and not of one history. `Unmergeable`: the object cannot be merged with others, since LTX has no form for the result.
 */
export type MaintenanceErrorCode =
  | 'DamagedObject'
  | 'MissingObject'
  | 'ArchivedObject'
  | 'MissingPage'
  | 'ChecksumMismatch'
  | 'Unmergeable'

const HINTS: Readonly<Record<MaintenanceErrorCode, string>> = {
  DamagedObject:
    'walsync verify says what cannot be restored; bring the object back from another copy of the replica, or run walsync repair.',
  MissingObject:
    'walsync verify says what cannot be restored; something else deletes objects of this replica.',
  ArchivedObject:
    'Bring it back from the archive tier, and keep the lifecycle rule from the objects of a replica: they are read again when they are merged, and for every restore.',
  MissingPage:
    'walsync verify says what cannot be restored; walsync repair gives the replica a new base.',
  ChecksumMismatch:
    'Objects of another history are in this replica, or some were replaced: walsync verify says what cannot be restored; walsync repair gives the replica a new base.',
  Unmergeable: 'Nothing is lost: the object stays as it is.',
}

/** One object keeps others from being merged. Nothing was written or deleted. */
export class MaintenanceError extends Error {
  readonly code: MaintenanceErrorCode
  /** Key of the object, relative to the replica's prefix. */
  readonly key: string
  /** One sentence for the operator: what to do about it. */
  readonly hint: string

  constructor(
    code: MaintenanceErrorCode,
    key: string,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options)
    this.name = 'MaintenanceError'
    this.code = code
    this.key = key
    this.hint = HINTS[code]
  }
}
