import { DatabaseSync } from 'node:sqlite'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { replicate, restoreIfMissing } from 'walsync'
import { durable } from './durable-hono.js'
import { DATABASE, PORT, REPLICA, WAIT } from './settings.js'

await restoreIfMissing(DATABASE, REPLICA)
const db = new DatabaseSync(DATABASE)
db.exec('PRAGMA journal_mode = wal')
db.exec('CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)')
const replica = await replicate(DATABASE, REPLICA)

const app = new Hono()
app.post('/orders', durable(replica, WAIT), async (c) => {
  const { item } = await c.req.json()
  const added = db.prepare('INSERT INTO orders (item) VALUES (?)').run(item)
  return c.json({ id: Number(added.lastInsertRowid) }, 201)
})
app.post('/views', durable(replica, { timeoutMs: 50, otherwise: 'accept' }), async (c) => {
  const { item } = await c.req.json()
  db.prepare('INSERT INTO orders (item) VALUES (?)').run(`viewed ${item}`)
  return c.json({}, 201)
})
app.get('/orders', (c) => c.json(db.prepare('SELECT * FROM orders').all()))
app.get('/replication', (c) => {
  const { state, pid } = replica.status()
  return c.json({ state, pid })
})

const server = serve(
  { fetch: app.fetch, port: Number(PORT), hostname: '127.0.0.1' },
  ({ port }) => {
    console.log(`listening on ${port}`)
  },
)
process.once('SIGTERM', () => {
  server.close(async () => {
    db.close()
    await replica.stop()
  })
})
