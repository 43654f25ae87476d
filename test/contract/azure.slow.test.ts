import { afterAll, describe, it } from 'vitest'
import { objectStoreContract } from '../../src/testing/index.ts'
import { azureContract } from '../servers/azure-contract.ts'
import { bareAndRetried } from '../servers/contract-harness.ts'
import { describeWithServers, serverPath } from '../servers/server-path.ts'

const runner = { describe, it, after: afterAll }
const contract = serverPath('azurite') && (await azureContract())

describeWithServers(['azurite'], 'Azure on Azurite', () => {
  if (!contract) return
  for (const harness of bareAndRetried(contract.harness)) objectStoreContract(runner, harness)
  afterAll(() => contract.stop())
})
