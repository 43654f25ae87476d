import { describeObjectStore } from '../../src/testing/index.ts'
import { retried } from '../servers/contract-harness.ts'
import { fileHarness } from './file-harness.ts'

await describeObjectStore('file', await fileHarness())
await describeObjectStore('file behind RetryingStore', retried(await fileHarness()))
