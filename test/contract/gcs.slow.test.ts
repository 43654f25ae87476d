import { afterAll, describe, it } from 'vitest'
import { objectStoreContract } from '../../src/testing/index.ts'
import { bareAndRetried } from '../servers/contract-harness.ts'
import { gcsContract } from '../servers/gcs-contract.ts'
import { describeWithServers, serverPath } from '../servers/server-path.ts'

const runner = { describe, it, after: afterAll }
const contract = serverPath('fake-gcs-server') && (await gcsContract())

describeWithServers(['fake-gcs-server'], 'GCS on fake-gcs-server', () => {
  if (!contract) return
  for (const harness of bareAndRetried(contract.harness)) objectStoreContract(runner, harness)
  afterAll(() => contract.stop())
})
