import { behindPrefix, behindRetry, describeObjectStore } from '../../src/testing/index.ts'
import { faultyHarness, memoryHarness } from './memory-harness.ts'

await describeObjectStore('memory', memoryHarness())
await describeObjectStore('memory behind PrefixedStore', behindPrefix(memoryHarness()))
await describeObjectStore('memory behind RetryingStore', behindRetry(memoryHarness()))
await describeObjectStore('memory with faults', faultyHarness())
await describeObjectStore('memory with faults behind RetryingStore', behindRetry(faultyHarness()))
