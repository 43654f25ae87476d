import { afterAll, describe, it } from 'vitest'
import { objectStoreContract } from '../../src/testing/index.ts'
import { bareAndRetried, prefixed } from '../servers/contract-harness.ts'
import { withKnownLimits } from '../servers/known-limits.ts'
import { minioUploads, s3Contract } from '../servers/s3-contract.ts'
import { startMinio } from '../servers/s3-servers.ts'
import { describeWithServers, serverPath } from '../servers/server-path.ts'

const runner = withKnownLimits(
  { describe, it, after: afterAll },
  { KY05: 'MinIO keeps objects in folders: with `a` there, `a/b` is not listed' },
)
const contract =
  serverPath('minio') && (await s3Contract('S3 on MinIO', await startMinio(), minioUploads))

describeWithServers(['minio'], 'S3 on MinIO', () => {
  if (!contract) return
  for (const harness of bareAndRetried(contract.harness)) objectStoreContract(runner, harness)
  objectStoreContract(runner, prefixed(contract.harness))
  afterAll(() => contract.stop())
})
