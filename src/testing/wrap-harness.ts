import {
  type ObjectStore,
  PrefixedStore,
  RetryingStore,
  type RetryOptions,
} from '../core/store/index.ts'
import type { ContractHarness } from './harness.ts'

/** The same harness with every store wrapped: the contract must also hold behind each wrapper. */
export function wrapHarness(
  harness: ContractHarness,
  name: string,
  wrap: (store: ObjectStore) => ObjectStore,
  change: Partial<ContractHarness> = {},
): ContractHarness {
  const { openMissingContainer, openRefused, residue, ...rest } = harness
  return {
    ...rest,
    name,
    open: async (prefix) => wrap(await harness.open(prefix)),
    ...(openMissingContainer && {
      openMissingContainer: async () => wrap(await harness.openMissingContainer!()),
    }),
    ...(openRefused && { openRefused: async () => wrap(await harness.openRefused!()) }),
    ...(residue && { residue: (prefix) => harness.residue!(prefix) }),
    close: () => harness.close(),
    ...change,
  }
}

/** Behind `PrefixedStore`. Child processes are left out: they would open the bare store. */
export function behindPrefix(harness: ContractHarness): ContractHarness {
  const name = `${harness.name} behind PrefixedStore`
  const wrap = (store: ObjectStore) => new PrefixedStore(store, 'in/side')
  return wrapHarness(harness, name, wrap, {
    open: async (prefix) => new PrefixedStore(await harness.open('prefixed'), prefix),
    child: undefined,
    ...(harness.residue && { residue: () => harness.residue!('prefixed') }),
  })
}

const RETRY = { attempts: 4, totalMs: 3000, attemptTimeoutMs: 400, baseDelayMs: 10 }

/** Behind `RetryingStore`, with a budget small enough for tests. */
export function behindRetry(
  harness: ContractHarness,
  options: RetryOptions & Partial<typeof RETRY> = {},
): ContractHarness {
  const retry = { ...RETRY, ...options }
  const name = `${harness.name} behind RetryingStore`
  return wrapHarness(harness, name, (store) => new RetryingStore(store, retry), { retry })
}
