import { afterAll, describe, it } from 'vitest'
import { behindPrefix, behindRetry, objectStoreContract } from '../../src/testing/index.ts'
import { azureContract } from '../servers/azure-contract.ts'
import { describeWithServers, serverPath } from '../servers/server-path.ts'

const runner = { describe, it, after: afterAll }
const contract = serverPath('azurite') && (await azureContract())

describeWithServers(['azurite'], 'Azure on Azurite', () => {
  if (!contract) return
  objectStoreContract(runner, contract.harness)
  objectStoreContract(runner, behindPrefix(contract.harness))
  objectStoreContract(runner, behindRetry(contract.harness))
  afterAll(() => contract.stop())
})
