// The application of the demo, a process of its own. It obeys the lines on its stdin: `single` makes
// one transaction and prints when it was committed, `busy` makes 50 a second from then on, `end`
// prints how many there were and ends.
import { createInterface } from 'node:readline'
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
let transactions = 0
let timer: NodeJS.Timeout | undefined

const input = createInterface({ input: process.stdin })
input.on('line', (line) => {
  if (line === 'single') {
    transfer()
    print(String(performance.timeOrigin + performance.now()))
  }
  if (line === 'busy') timer = setInterval(transfer, 20)
  if (line === 'end') {
    clearInterval(timer)
    input.close()
    db.close()
    print(String(transactions))
  }
})
print('ready')

function transfer(): void {
  const debit = 1 + (transactions % 100)
  const credit = 1 + ((transactions * 7 + 3) % 100)
  const amount = 1 + (transactions % 9)
  db.exec('BEGIN IMMEDIATE')
  move.run(-amount, debit)
  move.run(amount, credit)
  log.run(debit, credit, amount, new Date().toISOString())
  db.exec('COMMIT')
  transactions++
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
