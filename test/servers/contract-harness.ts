import type { ObjectStoreProvider } from '../../src/core/store/index.ts'
import { behindPrefix, behindRetry, type ContractHarness } from '../../src/testing/index.ts'
import type { ChildStore } from './child-store.ts'
import type { FaultProxy } from './fault-proxy.ts'

export interface HttpHarnessOptions {
  readonly name: string
  readonly provider: ObjectStoreProvider
  readonly backend: ChildStore['backend']
  /** URL of the container, without a prefix. */
  readonly url: string
  /** The same with a container that does not exist. */
  readonly missingUrl: string
  readonly proxy: FaultProxy
  /** Environment of a client behind the proxy. */
  readonly env: Readonly<Record<string, string>>
  /** Environment with credentials that the service refuses; `undefined` if it refuses none. */
  readonly refusedEnv?: Readonly<Record<string, string>> | undefined
  readonly secrets?: readonly string[] | undefined
  readonly partBytes: number
  residue?(prefix: string): Promise<readonly string[]>
}

/** Small, so that listings of several pages need few objects. */
const PAGE_SIZE = 60

/** The contract's harness for a backend whose requests go through the fault proxy. */
export function httpHarness(options: HttpHarnessOptions): ContractHarness {
  const { name, provider, backend, url, missingUrl, proxy, env, refusedEnv, partBytes } = options
  const settings = { partBytes, pageSize: PAGE_SIZE }
  return {
    name,
    open: (prefix) => provider.open(new URL(`${url}/${prefix}`), env, settings),
    openMissingContainer: () => provider.open(new URL(missingUrl), env, settings),
    ...(refusedEnv && {
      openRefused: () => provider.open(new URL(url), refusedEnv, settings),
    }),
    secrets: options.secrets,
    child: {
      module: new URL('./child-store.ts', import.meta.url).href,
      data: { backend, url, env } satisfies ChildStore,
    },
    faults: proxy.faults,
    ...(options.residue && { residue: options.residue }),
    // Fewer keys and bytes than the suite's own: each costs a request on two cores.
    limits: {
      partBytes,
      bigObjectBytes: 32 * 1024 * 1024,
      manyKeys: 1500,
      pageSize: PAGE_SIZE,
      raceRounds: 20,
    },
    close: async () => {},
  }
}

/** A server behind a proxy, or a disk, on a busy machine is slower than the suite's own budget allows for. */
const RETRY = { attemptTimeoutMs: 3000, totalMs: 15_000 }

/** The backend by itself, and as walsync uses it: behind `RetryingStore`, where the faults must have no effect. */
export function bareAndRetried(harness: ContractHarness): readonly ContractHarness[] {
  return [harness, retried(harness)]
}

/** Behind `RetryingStore`, with time enough for a real store. */
export function retried(harness: ContractHarness): ContractHarness {
  return behindRetry(withFewKeys(harness), RETRY)
}

/**
 * Behind `PrefixedStore`. It only adds its prefix to keys and takes it off results and errors, whatever
 * the backend: so it meets the memory store, which shows every key as it was given, and one service with pages,
 * batches and faults. A prefix in the URL is the backend's own business, and every run of every backend has one.
 */
export function prefixed(harness: ContractHarness): ContractHarness {
  return behindPrefix(withFewKeys(harness))
}

/** For a wrapper: the pages and batches are those of the backend, which the bare run fills. */
function withFewKeys(harness: ContractHarness): ContractHarness {
  return { ...harness, limits: { ...harness.limits, manyKeys: 300, deleteKeys: 1001 } }
}
