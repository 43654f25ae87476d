import { behindPrefix, behindRetry, describeObjectStore } from '../../src/testing/index.ts'
import { fileHarness } from './file-harness.ts'

await describeObjectStore('file', await fileHarness())
await describeObjectStore('file behind PrefixedStore', behindPrefix(await fileHarness()))
await describeObjectStore('file behind RetryingStore', behindRetry(await fileHarness()))
