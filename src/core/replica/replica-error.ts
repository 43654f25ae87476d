/**
 * `MissingObject`: a listed object is gone, which retention explains: list again.
 * `DamagedObject`: an object that is named like an LTX file and is none, whose header contradicts
 * its name, or whose bytes do not arrive as they were stored. `ObjectChanged`: an object has
 * another size than the listing said, though LTX files never change.
 */
export type ReplicaErrorCode = 'MissingObject' | 'DamagedObject' | 'ObjectChanged'

/** An object of the replica is not what its name or the listing says. */
export class ReplicaError extends Error {
  readonly code: ReplicaErrorCode
  /** Key of the object, relative to the replica's prefix. */
  readonly key: string
  /** One sentence for the operator: what to do about it. */
  readonly hint: string | undefined

  constructor(
    code: ReplicaErrorCode,
    key: string,
    message: string,
    options: { readonly hint?: string | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ReplicaError'
    this.code = code
    this.key = key
    this.hint = options.hint
  }
}
