import { afterAll, describe, it } from 'vitest'
import { behindPrefix, behindRetry, objectStoreContract } from '../../src/testing/index.ts'
import { gcsContract } from '../servers/gcs-contract.ts'
import { describeWithServers, serverPath } from '../servers/server-path.ts'

const runner = { describe, it, after: afterAll }
const contract = serverPath('fake-gcs-server') && (await gcsContract())

describeWithServers(['fake-gcs-server'], 'GCS on fake-gcs-server', () => {
  if (!contract) return
  objectStoreContract(runner, contract.harness)
  objectStoreContract(runner, behindPrefix(contract.harness))
  objectStoreContract(runner, behindRetry(contract.harness))
  afterAll(() => contract.stop())
})
