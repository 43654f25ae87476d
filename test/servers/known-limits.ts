import type { ContractRunner } from '../../src/testing/index.ts'

/**
 * A runner that skips by name the cases that a test server, not the backend, cannot pass.
 *
 * @param limits case id to reason; an id that no case has is an error of the test file
 */
export function withKnownLimits(
  runner: ContractRunner & { readonly it: { readonly skip: ContractRunner['it'] } },
  limits: Readonly<Record<string, string>>,
): ContractRunner {
  return {
    ...runner,
    it(name, body, timeout) {
      const reason = limits[name.split(' ')[0] ?? '']
      if (reason === undefined) return runner.it(name, body, timeout)
      return runner.it.skip(`${name} (skipped: ${reason})`, body, timeout)
    },
  }
}
