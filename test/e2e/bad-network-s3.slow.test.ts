import { badNetwork } from '../support/e2e-bad-network.ts'
import { MINIO, VERSITYGW } from '../support/e2e-stores.ts'

for (const kind of [MINIO, VERSITYGW]) badNetwork(kind)
