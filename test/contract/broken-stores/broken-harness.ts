import { MemoryContainer, MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import {
  type ObjectStore,
  PrefixedStore,
  RetryingStore,
  StoreError,
} from '../../../src/core/store/index.ts'
import { type ContractHarness, FaultScript, FaultyStore } from '../../../src/testing/index.ts'
import { altered, type BrokenStore, leftovers, once } from './broken-store.ts'

const RETRY = { attempts: 4, totalMs: 1500, attemptTimeoutMs: 200, baseDelayMs: 5 }

/** Small sizes: a broken store shows itself early. */
const limits = { pageSize: 100, manyKeys: 400, raceRounds: 3, bigObjectBytes: 1024 * 1024 }

/** The contract's view of one broken store; its own second clients are as broken. */
export function brokenHarness(broken: BrokenStore): ContractHarness {
  const ground = broken.ground ?? 'plain'
  const script = new FaultScript()
  const containers = new Map<string, MemoryContainer>()
  const make = (container: MemoryContainer): ObjectStore => {
    const memory = new MemoryObjectStore(container)
    if (ground === 'plain') return broken.make(memory, container)
    const faulty = new FaultyStore(memory, script, limits.pageSize)
    const inner = ground === 'retry' ? new RetryingStore(faulty, RETRY) : faulty
    return broken.make(inner, container)
  }
  return {
    name: broken.name,
    limits,
    secrets: ['s3cr3t-of-tests'],
    ...(ground !== 'plain' && { faults: script }),
    ...((ground === 'retry' || broken.claimsRetry) && { retry: RETRY }),
    async open(prefix) {
      const [run, id, ...below] = prefix.split('/')
      const room = `${run}/${id}`
      const container = containers.get(room) ?? new MemoryContainer()
      containers.set(room, container)
      const store = make(container)
      return below.length === 0 ? store : new PrefixedStore(store, below.join('/'))
    },
    residue: async (prefix) => leftovers(containers.get(prefix) ?? new MemoryContainer()),
    async openMissingContainer() {
      const container = new MemoryContainer()
      container.exists = false
      return make(container)
    },
    async openRefused() {
      const container = new MemoryContainer()
      return broken.make(refusing(new MemoryObjectStore(container)), container)
    },
    async close() {},
  }
}

function refusing(inner: ObjectStore): ObjectStore {
  const refuse = (op: string) => async (key?: unknown) => {
    const name = typeof key === 'string' ? key : undefined
    throw new StoreError('PermissionDenied', `Access was denied: ${op}.`, { op, key: name })
  }
  return altered(inner, {
    check: () => refuse('check')(),
    put: refuse('put'),
    get: refuse('get'),
    head: refuse('head'),
    list: () => once(refuse('list')),
  })
}
