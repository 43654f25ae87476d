import { FOLDER } from '../support/e2e-stores.ts'
import { watchKillRestore } from '../support/e2e-watch-kill-restore.ts'

watchKillRestore(FOLDER)
