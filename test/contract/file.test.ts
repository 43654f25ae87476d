import { behindRetry, describeObjectStore } from '../../src/testing/index.ts'
import { withFewKeys } from '../servers/contract-harness.ts'
import { fileHarness } from './file-harness.ts'

await describeObjectStore('file', await fileHarness())
await describeObjectStore(
  'file behind RetryingStore',
  behindRetry(withFewKeys(await fileHarness())),
)
