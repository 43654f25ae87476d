// A process that commits numbered rows until it is killed, in bursts and with pauses.
// Usage: node race-writer.ts DB TAG [FILE FOR ITS PROCESS ID]
import { writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { commitNumbered } from './numbered.ts'

const [path, tag, pidFile] = process.argv.slice(2) as [string, string, string | undefined]
const db = new DatabaseSync(path, { timeout: 20_000 })
db.exec('PRAGMA synchronous = NORMAL')
if (pidFile !== undefined) writeFileSync(pidFile, String(process.pid))
for (;;) {
  const burst = Math.random() < 0.2 ? 20 : 1
  for (let i = 0; i < burst; i++) commitNumbered(db, tag)
  await delay(Math.random() < 0.1 ? 400 : 5 + Math.random() * 60)
}
