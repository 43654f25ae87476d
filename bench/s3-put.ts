/**
 * Latency of single create-only puts on MinIO, and the memory of the process that makes them. The
 * server is started by another process, because starting it loads the SDK as well.
 *
 *     node bench/s3-put.ts [puts] [bytes]      (after `npm run servers`)
 */
import { spawnSync } from 'node:child_process'

const [puts = '1000', bytes = '500'] = process.argv.slice(2)
if (process.env.BENCH_BUCKET === undefined) await parent()
else await measure(process.env.BENCH_BUCKET, Number(puts), Number(bytes))

async function parent(): Promise<void> {
  const { startMinio } = await import('../test/servers/s3-servers.ts')
  const server = await startMinio()
  const args = ['--expose-gc', import.meta.filename, puts, bytes]
  const env = { ...process.env, ...server.env(), BENCH_BUCKET: server.bucket }
  spawnSync(process.execPath, args, { env, stdio: 'inherit' })
  await server.stop()
}

async function measure(bucket: string, count: number, size: number): Promise<void> {
  const { provider } = await import('../src/backends/s3/index.ts')
  const memory = [['before the SDK', memoryNow()]]
  const store = await provider.open(new URL(`s3://${bucket}/bench`), process.env, {})
  memory.push(['with a store open', memoryNow()])
  await store.put('warm', new Uint8Array(size))
  memory.push(['after one put', memoryNow()])
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const start = performance.now()
    await store.put(`k/${i}`, new Uint8Array(size), { ifAbsent: true, createdAt: new Date() })
    times.push(performance.now() - start)
  }
  memory.push(['after all puts', memoryNow()])
  globalThis.gc?.()
  memory.push(['after a collection', memoryNow()])
  await store.close()
  times.sort((a, b) => a - b)
  const at = (share: number) => `${times[Math.floor(times.length * share)]?.toFixed(1)} ms`
  const lines = memory.map(([when, what]) => `${when}: ${what}`)
  lines.push(`${count} puts of ${size} bytes: p50 ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}`)
  process.stdout.write(`${lines.join('\n')}\n`)
}

function memoryNow(): string {
  const { rss, heapUsed, external } = process.memoryUsage()
  const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
  return `RSS ${mb(rss)}, heap ${mb(heapUsed)}, external ${mb(external)}`
}
