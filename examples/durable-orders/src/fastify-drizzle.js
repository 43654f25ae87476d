import Database from 'better-sqlite3'
import { drizzle } from 'drizzle-orm/better-sqlite3'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import fastify from 'fastify'
import { replicate, restoreIfMissing } from 'walsync'
import { durable } from './durable-fastify.js'
import { DATABASE, PORT, REPLICA, WAIT } from './settings.js'

const orders = sqliteTable('orders', {
  id: integer('id').primaryKey(),
  item: text('item').notNull(),
})

await restoreIfMissing(DATABASE, REPLICA)
const client = new Database(DATABASE)
client.pragma('journal_mode = wal')
client.exec('CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)')
const db = drizzle(client)
const replica = await replicate(DATABASE, REPLICA)

const app = fastify()
app.post('/orders', { onSend: durable(replica, WAIT) }, async ({ body }, reply) => {
  const [added] = await db.insert(orders).values({ item: body.item }).returning()
  return reply.code(201).send({ id: added.id })
})
app.post(
  '/views',
  { onSend: durable(replica, { timeoutMs: 50, otherwise: 'accept' }) },
  async ({ body }, reply) => {
    await db.insert(orders).values({ item: `viewed ${body.item}` })
    return reply.code(201).send({})
  },
)
app.get('/orders', async () => await db.select().from(orders))
app.get('/replication', async () => {
  const { state, pid } = replica.status()
  return { state, pid }
})

await app.listen({ port: Number(PORT), host: '127.0.0.1' })
console.log(`listening on ${app.server.address().port}`)
process.once('SIGTERM', async () => {
  await app.close()
  client.close()
  await replica.stop()
})
