// A process that opens a database, commits chain transactions, closes it and waits, until it is killed.
// Usage: node brief-writer.ts DB
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { ChainWriter } from './chain.ts'

const path = process.argv[2]!
for (;;) {
  const db = new DatabaseSync(path, { timeout: 20_000 })
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  const writer = new ChainWriter(db)
  const commits = Math.random() < 0.1 ? 60 : 1 + Math.floor(Math.random() * 3)
  for (let i = 0; i < commits; i++) {
    writer.commit()
    if (Math.random() < 0.1) await delay(Math.random() * 120)
  }
  if (Math.random() < 0.1) db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  if (Math.random() < 0.05) db.exec('VACUUM')
  db.close()
  await delay(Math.random() < 0.3 ? Math.random() * 20 : Math.random() * 700)
}
