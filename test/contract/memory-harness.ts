import { MemoryContainer, MemoryObjectStore } from '../../src/backends/memory/index.ts'
import { type ObjectStore, PrefixedStore } from '../../src/core/store/index.ts'
import {
  type ContractHarness,
  type ContractLimits,
  FaultScript,
  FaultyStore,
} from '../../src/testing/index.ts'

export type MakeStore = (container: MemoryContainer) => ObjectStore

const limits: ContractLimits = {
  pageSize: 1000,
  manyKeys: 10_000,
  bigObjectBytes: 32 * 1024 * 1024,
}

/** A container for each case, so that the bare store is tested; below it a prefix. */
export function memoryHarness(
  name = 'memory',
  make: MakeStore = (container) => new MemoryObjectStore(container),
): ContractHarness {
  const containers = new Map<string, MemoryContainer>()
  return {
    name,
    limits,
    async open(prefix) {
      const [run, id, ...below] = prefix.split('/')
      const room = `${run}/${id}`
      let container = containers.get(room)
      container ??= new MemoryContainer()
      containers.set(room, container)
      const store = make(container)
      return below.length === 0 ? store : new PrefixedStore(store, below.join('/'))
    },
    async openMissingContainer() {
      const container = new MemoryContainer()
      container.exists = false
      return make(container)
    },
    async close() {
      containers.clear()
    },
  }
}

/** The same with faults between the client and the container. */
export function faultyHarness(name = 'memory with faults', make?: MakeStore): ContractHarness {
  const script = new FaultScript()
  const pageSize = 100
  const wrapped: MakeStore = (container) =>
    new FaultyStore(make?.(container) ?? new MemoryObjectStore(container), script, pageSize)
  return {
    ...memoryHarness(name, wrapped),
    faults: script,
    limits: { ...limits, pageSize, manyKeys: 2000, raceRounds: 10 },
  }
}
