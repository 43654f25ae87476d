import { AZURITE, FAKE_GCS } from '../support/e2e-stores.ts'
import { watchKillRestore } from '../support/e2e-watch-kill-restore.ts'

for (const kind of [FAKE_GCS, AZURITE]) watchKillRestore(kind)
