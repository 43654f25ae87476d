// An application as the guide shows it: it answers (here: prints) what is safe, and nothing else.
import { DatabaseSync } from 'node:sqlite'
import { replicate, restoreIfMissing } from '../../src/api/index.ts'

const [path = '', url = ''] = process.argv.slice(2)
await restoreIfMissing(path, url)
const db = new DatabaseSync(path)
db.exec('PRAGMA journal_mode = wal; CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)')
const replica = await replicate(path, url, { syncInterval: '10ms', logLevel: 'silent' })
process.stdout.write(`pid ${replica.status().pid}\n`)
for (;;) {
  const { lastInsertRowid } = db.prepare('INSERT INTO t DEFAULT VALUES').run()
  await replica.wait()
  process.stdout.write(`safe ${lastInsertRowid}\n`)
}
