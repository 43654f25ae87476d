import Database from 'better-sqlite3'
import express from 'express'
import { replicate, restoreIfMissing } from 'walsync'
import { durable } from './durable-express.js'
import { DATABASE, PORT, REPLICA, WAIT } from './settings.js'

await restoreIfMissing(DATABASE, REPLICA)
const db = new Database(DATABASE)
db.pragma('journal_mode = wal')
db.exec('CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)')
const replica = await replicate(DATABASE, REPLICA)

const app = express()
app.use(express.json())
app.post('/orders', durable(replica, WAIT), (request, response) => {
  const added = db.prepare('INSERT INTO orders (item) VALUES (?)').run(request.body.item)
  response.status(201).json({ id: Number(added.lastInsertRowid) })
})
app.post(
  '/views',
  durable(replica, { timeoutMs: 50, otherwise: 'accept' }),
  (request, response) => {
    db.prepare('INSERT INTO orders (item) VALUES (?)').run(`viewed ${request.body.item}`)
    response.status(201).json({})
  },
)
app.get('/orders', (_request, response) => response.json(db.prepare('SELECT * FROM orders').all()))
app.get('/replication', (_request, response) => {
  const { state, pid } = replica.status()
  response.json({ state, pid })
})

const server = app.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`listening on ${server.address().port}`)
})
process.once('SIGTERM', () => {
  server.close(async () => {
    db.close()
    await replica.stop()
  })
})
