// One large transaction, then small ones every 10 ms.
// Usage: node large-writer.ts DB MEGABYTES SECONDS
import { randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'

const [path = '', megabytes = '', seconds = ''] = process.argv.slice(2)
const db = new DatabaseSync(path, { timeout: 60_000 })
db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
db.exec('CREATE TABLE IF NOT EXISTS large (a); CREATE TABLE IF NOT EXISTS small (a)')
const insert = db.prepare('INSERT INTO large VALUES (?)')
db.exec('BEGIN IMMEDIATE')
for (let i = 0; i < Number(megabytes); i++) insert.run(randomBytes(1_000_000))
const large = timed(() => db.exec('COMMIT'))

const commits: number[] = []
for (const endsAt = performance.now() + Number(seconds) * 1000; performance.now() < endsAt; ) {
  commits.push(timed(() => db.exec('INSERT INTO small VALUES (1)')))
  await delay(10)
}
db.close()
commits.sort((a, b) => a - b)
console.log(
  JSON.stringify({ large, p50: commits[Math.floor(commits.length / 2)], max: commits.at(-1) }),
)

function timed(work: () => void): number {
  const startedAt = performance.now()
  work()
  return performance.now() - startedAt
}
