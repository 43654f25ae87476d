import { MINIO, VERSITYGW } from '../support/e2e-stores.ts'
import { watchKillRestore } from '../support/e2e-watch-kill-restore.ts'

for (const kind of [MINIO, VERSITYGW]) watchKillRestore(kind)
