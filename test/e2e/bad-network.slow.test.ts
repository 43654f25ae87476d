import { badNetwork } from '../support/e2e-bad-network.ts'
import { AZURITE, FAKE_GCS } from '../support/e2e-stores.ts'

for (const kind of [FAKE_GCS, AZURITE]) badNetwork(kind)
