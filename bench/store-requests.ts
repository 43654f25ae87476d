// Requests to MinIO at 100 commits a second, counted by a proxy before the server, on the built CLI.
// Usage: node bench/store-requests.ts [seconds]     default: 40   (after `npm run build`, `npm run servers`)
import { setTimeout as delay } from 'node:timers/promises'
import { startMinio } from '../test/servers/s3-servers.ts'
import { startRequestLog } from '../test/support/e2e-request-log.ts'
import { MINIO } from '../test/support/e2e-stores.ts'
import { Bed } from './kit/bed.ts'
import { minioPlace } from './kit/places.ts'
import { programsOf } from './kit/programs.ts'

const [seconds = 40] = process.argv.slice(2).map(Number)
const [walsync] = programsOf({ without: ['litestream'] })
if (walsync === undefined) throw new Error('walsync has not been built')
const server = await startMinio()
const log = await startRequestLog(server.url, MINIO.dialect)
try {
  const place = { ...minioPlace(server, 'requests'), env: server.env(log.url) }
  await using bed = new Bed({ place })
  await bed.watch(walsync)
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
