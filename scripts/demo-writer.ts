// The application of the demo, a process of its own: commits small transactions until SIGTERM, then
// prints how many it made.
import { DatabaseSync } from 'node:sqlite'

const [path = 'app.db'] = process.argv.slice(2)
const db = new DatabaseSync(path)
db.exec(`PRAGMA journal_mode = wal;
  CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER NOT NULL);
  CREATE TABLE transfers (id INTEGER PRIMARY KEY, debit INTEGER, credit INTEGER, amount INTEGER, at TEXT);`)
const account = db.prepare('INSERT INTO accounts (owner, balance) VALUES (?, 1000)')
for (let i = 1; i <= 100; i++) account.run(`owner ${i}`)

const move = db.prepare('UPDATE accounts SET balance = balance + ? WHERE id = ?')
const log = db.prepare('INSERT INTO transfers (debit, credit, amount, at) VALUES (?, ?, ?, ?)')
let commits = 0

const timer = setInterval(() => {
  const debit = 1 + (commits % 100)
  const credit = 1 + ((commits * 7 + 3) % 100)
  const amount = 1 + (commits % 9)
  db.exec('BEGIN IMMEDIATE')
  move.run(-amount, debit)
  move.run(amount, credit)
  log.run(debit, credit, amount, new Date().toISOString())
  db.exec('COMMIT')
  commits++
}, 20)

process.on('SIGTERM', () => {
  clearInterval(timer)
  db.close()
  process.stdout.write(`${commits}\n`)
})
process.stdout.write('ready\n')
