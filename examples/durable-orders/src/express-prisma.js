import { PrismaBetterSqlite3 } from '@prisma/adapter-better-sqlite3'
import express from 'express'
import { replicate, restoreIfMissing } from 'walsync'
import { durable } from './durable-express.js'
import { PrismaClient } from './generated/prisma/client.ts'
import { DATABASE, PORT, REPLICA, WAIT } from './settings.js'

await restoreIfMissing(DATABASE, REPLICA)
const prisma = new PrismaClient({ adapter: new PrismaBetterSqlite3({ url: `file:${DATABASE}` }) })
await prisma.$queryRaw`PRAGMA journal_mode = wal`
await prisma.$executeRaw`CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)`
const replica = await replicate(DATABASE, REPLICA)

const app = express()
app.use(express.json())
app.post('/orders', durable(replica, WAIT), async (request, response) => {
  const { id } = await prisma.order.create({ data: { item: request.body.item } })
  response.status(201).json({ id })
})
app.post(
  '/views',
  durable(replica, { timeoutMs: 50, otherwise: 'accept' }),
  async (request, response) => {
    await prisma.order.create({ data: { item: `viewed ${request.body.item}` } })
    response.status(201).json({})
  },
)
app.get('/orders', async (_request, response) => response.json(await prisma.order.findMany()))
app.get('/replication', (_request, response) => {
  const { state, pid } = replica.status()
  response.json({ state, pid })
})

const server = app.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`listening on ${server.address().port}`)
})
process.once('SIGTERM', () => {
  server.close(async () => {
    await prisma.$disconnect()
    await replica.stop()
  })
})
