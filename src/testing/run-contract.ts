import { randomUUID } from 'node:crypto'
import type { StoreCapabilities } from '../core/store/index.ts'
import { CaseContext } from './case-context.ts'
import type { ContractCase, Need } from './contract-case.ts'
import { within } from './expect.ts'
import { facets } from './facets.ts'
import type { ContractHarness } from './harness.ts'

export const CASE_TIMEOUT_MS = 60_000

export interface CaseResult {
  readonly id: string
  readonly facet: string
  readonly promise: string
  readonly status: 'passed' | 'failed' | 'skipped'
  /** Why the case was skipped: `needs …`. */
  readonly reason?: string | undefined
  /** If the case was skipped: how the harness can provide what it needs. */
  readonly hint?: string | undefined
  /** If the case failed. */
  readonly error?: unknown
  readonly ms: number
}

/** The result of a run. Can be written as JSON and published with a backend. */
export interface ContractReport {
  readonly name: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly results: readonly CaseResult[]
}

export interface RunOptions {
  /** Ids of the cases to run. Default: all. */
  readonly only?: readonly string[] | undefined
  /** Time limit of one case in milliseconds, unless the case sets a lower one. */
  readonly timeoutMs?: number | undefined
}

/**
 * Runs the contract without a test runner and closes the harness. Failed cases do not make it
 * throw.
 */
export async function runObjectStoreContract(
  harness: ContractHarness,
  options: RunOptions = {},
): Promise<ContractReport> {
  const results: CaseResult[] = []
  try {
    for (const facet of facets) {
      for (const one of facet.cases) {
        if (options.only !== undefined && !options.only.includes(one.id)) continue
        results.push(await runCase(harness, facet.name, one, options.timeoutMs))
      }
    }
  } finally {
    await harness.close()
  }
  return summarize(harness.name, results)
}

export function summarize(name: string, results: readonly CaseResult[]): ContractReport {
  const count = (status: CaseResult['status']) => results.filter((r) => r.status === status).length
  return {
    name,
    passed: count('passed'),
    failed: count('failed'),
    skipped: count('skipped'),
    results,
  }
}

/** Runs one case under its own prefix. */
export async function runCase(
  harness: ContractHarness,
  facet: string,
  one: ContractCase,
  timeoutMs: number = CASE_TIMEOUT_MS,
): Promise<CaseResult> {
  const start = performance.now()
  const result = (status: CaseResult['status'], rest: Partial<CaseResult> = {}): CaseResult => ({
    id: one.id,
    facet,
    promise: one.promise,
    status,
    ms: Math.round(performance.now() - start),
    ...rest,
  })
  let context: CaseContext | undefined
  try {
    const prefix = `contract-${randomUUID()}/${one.id.toLowerCase()}`
    context = await CaseContext.open(harness, prefix)
    const missing = missingNeed(one.needs ?? [], harness, context.store.capabilities)
    if (missing !== undefined) {
      return result('skipped', { reason: `needs ${missing}`, hint: HOW_TO_PROVIDE[missing] })
    }
    const limit = one.timeoutMs ?? timeoutMs
    await within(limit, `case ${one.id}`, one.run(context))
    return result('passed')
  } catch (error) {
    return result('failed', { error })
  } finally {
    if (context !== undefined) {
      await within(5000, 'clean-up', context.end()).catch(() => {})
    }
  }
}

/** For the needs that a harness can meet; the others depend on what the store declares. */
const HOW_TO_PROVIDE: Readonly<Partial<Record<Need, string>>> = {
  faults: 'set `faults` in the harness; FaultyStore and FaultScript need no network',
  retry: 'also run the suite with behindRetry(harness)',
  'no retry': 'also run the suite with the bare harness',
  'uploads in parts': 'set `limits.partBytes`, if the backend uploads in parts',
  residue: 'set `residue` in the harness',
  'child process': 'set `child` in the harness',
  'missing container': 'set `openMissingContainer` in the harness',
  'refused credentials': 'set `openRefused` in the harness, if there are credentials',
}

/** Why a case was skipped, in one phrase. */
export function skipReason({ reason, hint }: CaseResult): string {
  return hint === undefined ? `${reason}` : `${reason} (${hint})`
}

function missingNeed(
  needs: readonly Need[],
  harness: ContractHarness,
  capabilities: StoreCapabilities,
): Need | undefined {
  const met: Record<Need, boolean> = {
    ifAbsent: capabilities.ifAbsent !== 'none',
    'no ifAbsent': capabilities.ifAbsent === 'none',
    ifMatch: capabilities.ifMatch !== 'none',
    'no ifMatch': capabilities.ifMatch === 'none',
    deleteIfMatch: capabilities.deleteIfMatch !== 'none',
    'no deleteIfMatch': capabilities.deleteIfMatch === 'none',
    'flat namespace': capabilities.flatNamespace,
    'no flat namespace': !capabilities.flatNamespace,
    'created times in listings': capabilities.listsCreatedAt,
    faults: harness.faults !== undefined,
    retry: harness.retry !== undefined,
    'no retry': harness.retry === undefined,
    'uploads in parts': harness.limits?.partBytes !== undefined,
    residue: harness.residue !== undefined,
    'child process': harness.child !== undefined,
    'missing container': harness.openMissingContainer !== undefined,
    'refused credentials': harness.openRefused !== undefined,
  }
  return needs.find((need) => !met[need])
}
