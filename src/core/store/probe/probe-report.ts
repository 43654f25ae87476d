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
   * `failed`: the store does otherwise than the interface or its capabilities say. `skipped`: the
   * backend declares that it cannot. `untried`: a call that the check needs was refused.
   */
  readonly status: 'ok' | 'failed' | 'skipped' | 'untried'
  /** What was seen, and for a failure what is lost by it. */
  readonly sentence: string
  /** What is stored there cannot be read back: no replica may rely on it. */
  readonly fatal?: true
}

/** What `probeStore` saw. */
export interface ProbeReport {
  /** One of each name, always in the same order. */
  readonly checks: readonly ProbeCheck[]
  /** Milliseconds of the fastest call that was answered; a verb that never was is absent. */
  readonly latencyMs: Readonly<Partial<Record<ProbeVerb, number>>>
  /** The verbs that the credentials may not use, with the first refusal of each. */
  readonly denied: readonly ProbeDenial[]
  /** The store's clock minus the local one, in milliseconds; many stores cut to whole seconds. */
  readonly clockSkewMs: number | undefined
  /** Keys of the probe that could not be removed. */
  readonly leftBehind: readonly string[]
}

export interface ProbeDenial {
  readonly verb: ProbeVerb
  readonly error: StoreError
}

/** Why this store must not hold a replica, if that is so. */
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
