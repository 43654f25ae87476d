/** What a backend can do. Declared by the backend, tried on the real bucket by the start-up probe. */
export interface StoreCapabilities {
  /** Create-only puts: `atomic` among all writers of the container, or refused. */
  readonly ifAbsent: 'atomic' | 'none'
  /** Compare-and-swap puts: `process` holds only among writers of this process (local folder). */
  readonly ifMatch: 'atomic' | 'process' | 'none'
  readonly deleteIfMatch: 'atomic' | 'process' | 'none'
  /** `same-region`: readers in another region may see an older state. */
  readonly consistency: 'strong' | 'same-region'
  /** May both `a` and `a/b` be objects? False on file systems and hierarchical accounts. */
  readonly flatNamespace: boolean
  /** Does `list` give back the `createdAt` of a put? If not, only `head` and `get` do. */
  readonly listsCreatedAt: boolean
  /** Largest object in bytes. */
  readonly maxObjectBytes: number
  /** Longest key in bytes, after the URL's own prefix is taken off. */
  readonly maxKeyBytes: number
}
