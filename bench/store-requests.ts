// Requests to MinIO at 100 commits a second, counted by a proxy before the server, on the built CLI.
// Usage: node bench/store-requests.ts [seconds]     default: 40   (after `npm run build`, `npm run servers`)
import { setTimeout as delay } from 'node:timers/promises'
import { startRequestLog } from '../test/support/e2e-request-log.ts'
import { MINIO } from '../test/support/e2e-stores.ts'
import { StoreBed } from './store-bed.ts'

const [seconds = 40] = process.argv.slice(2).map(Number)
const server = await MINIO.start()
const log = await startRequestLog(server.endpoint, MINIO.dialect)
try {
  await using bed = new StoreBed(server.url, server.env(log.url))
  await bed.event('base')
  await delay(1500)
  console.log(`start-up: ${JSON.stringify(log.counts())}`)
  log.clear()
  const { commits, seconds: took } = await bed.write(100, seconds)
  console.log(`${commits} commits in ${took.toFixed(1)} s: ${JSON.stringify(log.counts())}`)
  await delay(1500)
  log.clear()
  await delay(10_000)
  console.log(`idle for 10 s: ${JSON.stringify(log.counts())}`)
} finally {
  await log.close()
  await server.stop()
}
