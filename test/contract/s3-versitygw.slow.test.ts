import { afterAll, describe, it } from 'vitest'
import { objectStoreContract } from '../../src/testing/index.ts'
import { bareAndRetried } from '../servers/contract-harness.ts'
import { withKnownLimits } from '../servers/known-limits.ts'
import { listedUploads, s3Contract } from '../servers/s3-contract.ts'
import { startVersitygw } from '../servers/s3-servers.ts'
import { describeWithServers, serverPath } from '../servers/server-path.ts'

const runner = withKnownLimits(
  { describe, it, after: afterAll },
  {
    KY05: 'VersityGW keeps objects in folders: with `a` there, `a/b` is refused',
    // Found with the AWS SDK alone: 1 of 19,139 reads during 1,832 overwrites.
    PG21: 'VersityGW may send the ETag of the new version with the bytes of the old one',
  },
)
const contract =
  serverPath('versitygw') &&
  (await s3Contract('S3 on VersityGW', await startVersitygw(), listedUploads))

describeWithServers(['versitygw'], 'S3 on VersityGW', () => {
  if (!contract) return
  for (const harness of bareAndRetried(contract.harness)) objectStoreContract(runner, harness)
  afterAll(() => contract.stop())
})
