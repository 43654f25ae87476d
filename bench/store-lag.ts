// Lag of single commits to finished objects on MinIO, and the watcher's memory at 2,000 commits a
// second, on the built CLI. The server says when an object was finished (LastModified in a listing,
// which MinIO gives in milliseconds); the watcher's own `synced` events are shown beside it.
// Usage: node bench/store-lag.ts [commits] [seconds]     default: 40 10   (after `npm run build`, `npm run servers`)
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { type S3Server, startMinio } from '../test/servers/s3-servers.ts'
import { StoreBed } from './store-bed.ts'

const [commits = 40, seconds = 10] = process.argv.slice(2).map(Number)
/** The watcher ships a change at once only after a pause of its sync interval, 1 s. */
const PAUSE_MS = 1200

const server = await startMinio()
try {
  await lag(server, commits)
  await memory(server, seconds)
} finally {
  await server.stop()
}

async function lag(server: S3Server, count: number): Promise<void> {
  await using bed = new StoreBed(`s3://${server.bucket}/lag`, server.env())
  await bed.event('base')
  const db = new DatabaseSync(bed.path, { timeout: 5000 })
  db.exec('PRAGMA synchronous = NORMAL')
  const insert = db.prepare('INSERT INTO start VALUES (?)')
  const committed: { readonly at: number; readonly txid: string; readonly told: number }[] = []
  for (let i = 0; i < count; i++) {
    await delay(PAUSE_MS + Math.random() * 500)
    const seen = bed.events.length
    insert.run(i)
    const at = Date.now()
    const { txid = '', seenAt } = await bed.event('synced', seen)
    committed.push({ at, txid, told: seenAt - at })
  }
  db.close()
  const finished = await finishedAt(server, 'lag/app/0000/')
  const byServer = committed.map(({ at, txid }) => {
    const object = finished.get(txid)
    if (object === undefined) throw new Error(`${txid} was told and is not in the store`)
    return object - at
  })
  row(`lag of ${count} single commits`, 'p50', 'p90', 'max')
  row('  object finished (LastModified)', ...quantiles(byServer))
  row('  watcher said "synced"', ...quantiles(committed.map(({ told }) => told)))
}

async function memory(server: S3Server, length: number): Promise<void> {
  await using bed = new StoreBed(`s3://${server.bucket}/memory`, server.env())
  await bed.event('base')
  await delay(2000)
  const before = bed.memory()
  const { commits, seconds } = await bed.write(2000, length)
  const after = bed.memory()
  row('memory of the watcher, RSS', 'at rest', 'peak', 'after')
  const mb = (value: number) => `${Math.round(value)} MB`
  const name = `  ${Math.round(commits / seconds)} commits/s for ${Math.round(seconds)} s`
  row(name, mb(before.now), mb(after.peak), mb(after.now))
}

/** When the server finished each object below a prefix, by the last TXID in its name. */
async function finishedAt(server: S3Server, prefix: string): Promise<Map<string, number>> {
  const client = server.client()
  const page = await client.send(
    new ListObjectsV2Command({ Bucket: server.bucket, Prefix: prefix }),
  )
  client.destroy()
  if (page.IsTruncated === true) throw new Error('more commits than one page of a listing')
  return new Map(
    (page.Contents ?? []).map(({ Key = '', LastModified }) => [
      Key.slice(-'0123456789abcdef.ltx'.length, -'.ltx'.length),
      LastModified?.getTime() ?? Number.NaN,
    ]),
  )
}

function quantiles(values: readonly number[]): string[] {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => `${sorted[Math.floor((sorted.length - 1) * share)]} ms`
  return [at(0.5), at(0.9), at(1)]
}

function row(...cells: readonly string[]): void {
  const [name = '', ...values] = cells
  console.log(name.padEnd(36) + values.map((value) => value.padStart(9)).join(''))
}
