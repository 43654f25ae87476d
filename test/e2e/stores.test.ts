import { AZURITE, FAKE_GCS, FOLDER } from '../support/e2e-stores.ts'
import { watchKillRestore } from '../support/e2e-watch-kill-restore.ts'

for (const kind of [FAKE_GCS, AZURITE, FOLDER]) watchKillRestore(kind)
