// A process that commits numbered rows until it is killed, in bursts and with pauses.
// Usage: node race-writer.ts DB TAG
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { commitNumbered } from './numbered.ts'

const [path, tag] = process.argv.slice(2) as [string, string]
const db = new DatabaseSync(path, { timeout: 20_000 })
db.exec('PRAGMA synchronous = NORMAL')
for (;;) {
  const burst = Math.random() < 0.2 ? 20 : 1
  for (let i = 0; i < burst; i++) commitNumbered(db, tag)
  await delay(Math.random() < 0.1 ? 400 : 5 + Math.random() * 60)
}
