// The smallest application with a database: POST adds a row, GET counts them.
import { createServer } from 'node:http'
import { DatabaseSync } from 'node:sqlite'

const database = new DatabaseSync(process.env.DATABASE ?? '/data/app.db')
database.exec('PRAGMA journal_mode = wal')
database.exec('PRAGMA busy_timeout = 5000')
database.exec('CREATE TABLE IF NOT EXISTS visits (id INTEGER PRIMARY KEY, at TEXT)')
const add = database.prepare("INSERT INTO visits (at) VALUES (datetime('now'))")
const count = database.prepare('SELECT count(*) AS visits FROM visits')

const server = createServer((request, response) => {
  if (request.method === 'POST') add.run()
  response.end(`${JSON.stringify(count.get())}\n`)
})
server.listen(Number(process.env.PORT ?? 8080), () => console.log('listening'))
process.once('SIGTERM', () => server.close(() => database.close()))
