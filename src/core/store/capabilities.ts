/**
 * What a backend can do. Declared by the backend; `watch` and `doctor` test it on the real
 * container.
 */
export interface StoreCapabilities {
  /** Create-only puts: `atomic` among all writers of the container, or not offered. */
  readonly ifAbsent: 'atomic' | 'none'
  /** Compare-and-swap puts. `process`: holds only among writers of this process (a local folder). */
  readonly ifMatch: 'atomic' | 'process' | 'none'
  readonly deleteIfMatch: 'atomic' | 'process' | 'none'
  /** `same-region`: readers in another region may see an older state. */
  readonly consistency: 'strong' | 'same-region'
  /** May both `a` and `a/b` be objects? False on file systems and hierarchical accounts. */
  readonly flatNamespace: boolean
  /** Does `list` return the `createdAt` of a put? If not, only `head` and `get` do. */
  readonly listsCreatedAt: boolean
  /** Largest object in bytes. */
  readonly maxObjectBytes: number
  /** Longest key in bytes, not counting the URL's prefix. */
  readonly maxKeyBytes: number
}
