import { StoreError } from '../store-error.ts'

export type ProbeVerb = 'put' | 'get' | 'head' | 'list' | 'delete'

export type ProbeCheckName =
  | 'create-only'
  | 'compare-and-swap'
  | 'read-after-write'
  | 'list-order'
  | 'delete'

export interface ProbeCheck {
  readonly name: ProbeCheckName
  /**
   * `failed`: the store does not do what the interface or its capabilities say. `skipped`: the
   * backend declares that it cannot do it. `untried`: a call that the check needs was refused.
   */
  readonly status: 'ok' | 'failed' | 'skipped' | 'untried'
  /** What was observed and, for a failure, its consequence. */
  readonly sentence: string
  /** What is stored cannot be read back, so no replica may rely on this store. */
  readonly fatal?: true
}

/** What `probeStore` observed. */
export interface ProbeReport {
  /** One check per name, always in the same order. */
  readonly checks: readonly ProbeCheck[]
  /**
   * Milliseconds of the fastest answered call of each verb; absent for a verb without an answered
   * call.
   */
  readonly latencyMs: Readonly<Partial<Record<ProbeVerb, number>>>
  /** The verbs that the credentials may not use, with the first refusal of each. */
  readonly denied: readonly ProbeDenial[]
  /**
   * The store's clock minus the local one, in milliseconds; many stores round down to whole
   * seconds.
   */
  readonly clockSkewMs: number | undefined
  /** Keys of the probe that could not be removed. */
  readonly leftBehind: readonly string[]
}

export interface ProbeDenial {
  readonly verb: ProbeVerb
  readonly error: StoreError
}

/** The error that says why this store must not hold a replica, if it must not. */
export function unfitStore({ checks }: ProbeReport, description: string): StoreError | undefined {
  const check = checks.find(({ fatal }) => fatal === true)
  if (check === undefined) return undefined
  return new StoreError(
    'Unsupported',
    `${description} does not return what was stored in it: ${check.sentence}`,
    {
      op: 'get',
      hint: 'A replica there could not be restored. Remove whatever sits in front of the store and caches or changes its answers, or use another store. `walsync doctor` checks it again.',
    },
  )
}
