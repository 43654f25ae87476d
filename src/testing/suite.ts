import assert from 'node:assert/strict'
import { facets } from './facets.ts'
import type { ContractHarness } from './harness.ts'
import { CASE_TIMEOUT_MS, type CaseResult, runCase, skipReason, summarize } from './run-contract.ts'

/** The three functions of a test runner, as node:test, vitest, jest and mocha have them. */
export interface ContractRunner {
  readonly describe: (name: string, body: () => void) => unknown
  // biome-ignore lint/suspicious/noExplicitAny: each runner types its own test context
  readonly it: (name: string, body: (this: any, context?: any) => any, timeout?: number) => unknown
  readonly after: (body: () => Promise<void>) => unknown
}

/**
 * Extra time on top of a case's own limit, so that its error comes before the runner's. In
 * milliseconds.
 */
const RUNNER_MARGIN_MS = 10_000

/**
 * Registers every case of the contract as a test. A case with an unmet need is skipped with its
 * reason, and the last test prints the counts.
 */
export function objectStoreContract(runner: ContractRunner, harness: ContractHarness): void {
  const results: CaseResult[] = []
  runner.describe(`object store contract: ${harness.name}`, () => {
    for (const facet of facets) {
      runner.describe(facet.name, () => {
        for (const one of facet.cases) {
          runner.it(
            `${one.id} ${one.promise}`,
            async function (context) {
              const result = await runCase(harness, facet.name, one)
              results.push(result)
              if (result.status === 'failed') throw result.error
              if (result.status === 'skipped') skip(this, context, `skipped: ${skipReason(result)}`)
            },
            (one.timeoutMs ?? CASE_TIMEOUT_MS) + RUNNER_MARGIN_MS,
          )
        }
      })
    }
    runner.it('summary', () => {
      const { passed, failed, skipped } = summarize(harness.name, results)
      const skips = results.filter((r) => r.status === 'skipped')
      const lines = skips.map((r) => `  ${r.id} skipped: ${skipReason(r)}`)
      const line = `${harness.name}: ${passed} passed, ${failed} failed, ${skipped} skipped`
      process.stdout.write(`${[line, ...lines].join('\n')}\n`)
      assert.ok(passed > 0, 'no case ran')
    })
    runner.after(() => harness.close())
  })
}

interface Skippable {
  readonly skip?: (reason?: string) => void
}

/**
 * node:test and vitest pass `skip` to the test, and mocha has it on `this`. jest cannot skip at run
 * time, so the reason is printed.
 */
function skip(self: Skippable | undefined, context: Skippable | undefined, reason: string): void {
  if (typeof context?.skip === 'function') context.skip(reason)
  else if (typeof self?.skip === 'function') self.skip(reason)
  else process.stdout.write(`${reason}\n`)
}

/**
 * The same under another name, in vitest unless another runner is given. Await it at the top level
 * of a test file: vitest is imported only here.
 */
export async function describeObjectStore(
  name: string,
  harness: ContractHarness,
  runner?: ContractRunner,
): Promise<void> {
  const named: ContractHarness = new Proxy(harness, {
    get: (target, property) => (property === 'name' ? name : Reflect.get(target, property, target)),
  })
  objectStoreContract(runner ?? (await vitestRunner()), named)
}

async function vitestRunner(): Promise<ContractRunner> {
  const { describe, it, afterAll } = await import('vitest')
  return { describe, it, after: afterAll }
}
