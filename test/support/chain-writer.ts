// A process that commits chain transactions until it is killed.
// Usage: node chain-writer.ts DB COMMITS_PER_SECOND(0 = as fast as possible) [SECONDS] [MODE]
// MODE "plain" keeps SQLite's defaults; "rough" also spills, rolls back, checkpoints in all modes,
// vacuums, deletes and reconnects.
import { DatabaseSync } from 'node:sqlite'
import { ChainWriter } from './chain.ts'

const [path, rateText, secondsText = '0', mode = 'plain'] = process.argv.slice(2)
const rate = Number(rateText)
const seconds = Number(secondsText)
let db = open()
let writer = new ChainWriter(db)
const latencies: number[] = []
const startedAt = performance.now()
let commits = 0

while (seconds === 0 || performance.now() - startedAt < seconds * 1000) {
  const before = performance.now()
  writer.commit(mode === 'rough' && Math.random() < 0.02 ? 400 : 1)
  latencies.push(performance.now() - before)
  commits += 1
  if (mode === 'rough') beRough()
  if (rate > 0) await pace()
  else if (commits % 2000 === 0) await new Promise((resolve) => setImmediate(resolve))
}
latencies.sort((a, b) => a - b)
const at = (share: number) => latencies[Math.floor(latencies.length * share)]
console.log(
  JSON.stringify({
    commits,
    seq: writer.seq,
    seconds: (performance.now() - startedAt) / 1000,
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    max: latencies.at(-1),
  }),
)

function open(): DatabaseSync {
  const database = new DatabaseSync(path!, { timeout: 10_000 })
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  if (mode === 'rough') database.exec('PRAGMA cache_size = 20')
  return database
}

async function pace(): Promise<void> {
  const due = startedAt + (commits / rate) * 1000
  const wait = due - performance.now()
  if (wait > 1.5) await new Promise((resolve) => setTimeout(resolve, wait - 1))
  while (performance.now() < due) {
    // Timers are too coarse for thousands of commits a second.
  }
}

function beRough(): void {
  const dice = Math.random()
  if (dice < 0.01) rollBackSpilled()
  else if (dice < 0.03) {
    const modes = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE']
    db.exec(`PRAGMA wal_checkpoint(${modes[Math.floor(Math.random() * 4)]})`)
  } else if (dice < 0.033) db.exec('VACUUM')
  else if (dice < 0.05) {
    db.exec('CREATE TABLE IF NOT EXISTS junk (a); INSERT INTO junk VALUES (randomblob(60000))')
  } else if (dice < 0.055) db.exec('DROP TABLE IF EXISTS junk')
  else if (dice < 0.065) {
    db.close()
    db = open()
    writer = new ChainWriter(db)
  }
}

/** Dirty pages beyond the cache go to the WAL before the rollback: valid frames that never count. */
function rollBackSpilled(): void {
  db.exec('BEGIN IMMEDIATE; UPDATE chain SET payload = payload || payload')
  db.exec('CREATE TABLE phantom AS SELECT randomblob(100000) b FROM account')
  db.exec('ROLLBACK')
}
