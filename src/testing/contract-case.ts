import type { CaseContext } from './case-context.ts'

/**
 * What a case needs of the harness or the store's capabilities. A case whose need is not met is
 * skipped by name, never passed. The `no …` needs belong to cases that check honesty: a store must
 * refuse what it declares it cannot do.
 */
export type Need =
  | 'ifAbsent'
  | 'no ifAbsent'
  | 'ifMatch'
  | 'no ifMatch'
  | 'deleteIfMatch'
  | 'no deleteIfMatch'
  | 'flat namespace'
  | 'no flat namespace'
  | 'created times in listings'
  | 'faults'
  | 'retry'
  | 'no retry'
  | 'uploads in parts'
  | 'residue'
  | 'child process'
  | 'missing container'
  | 'refused credentials'

/** One promise of the `ObjectStore` contract, and how to catch a store that breaks it. */
export interface ContractCase {
  /** Letters of the facet and a number. It never changes: documents and reports refer to it. */
  readonly id: string
  /** The promise, as a sentence without a full stop. */
  readonly promise: string
  readonly needs?: readonly Need[] | undefined
  /** Milliseconds after which the case counts as failed. Default 60,000. */
  readonly timeoutMs?: number | undefined
  readonly run: (context: CaseContext) => Promise<void>
}

/** Cases about one subject. */
export interface Facet {
  readonly name: string
  readonly cases: readonly ContractCase[]
}
