import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { copyFile, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { FileObjectStore } from '../src/backends/file/index.ts'
import { FLAG_NO_CHECKSUM, LtxEncoder, type LtxPage, txid } from '../src/core/ltx/index.ts'
import { ReplicaClient } from '../src/core/replica/replica-client.ts'
import { restoreReplica } from '../src/core/restore/restore.ts'

/**
 * Time and peak memory of a restore from a folder, for databases of growing size: a base of half
 * compressible pages and 200 files of 250 scattered pages on top. Memory must not grow with the size.
 *
 *   node bench/restore-memory.ts [megabytes ...]     default: 30 100 300
 */
const PAGE_SIZE = 4096
const execute = promisify(execFile)

if (process.argv[2] === 'child') {
  const [, , , root, output] = process.argv as [string, string, string, string, string]
  await restoreHere(root, output)
} else {
  const sizes = process.argv.slice(2).map(Number)
  const folder = await mkdtemp(join(tmpdir(), 'walsync-bench-'))
  try {
    for (const megabytes of sizes.length > 0 ? sizes : [30, 100, 300]) {
      await measure(folder, megabytes)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function measure(folder: string, megabytes: number): Promise<void> {
  const commit = (megabytes * 1024 * 1024) / PAGE_SIZE
  const root = join(folder, `${megabytes}`)
  const client = new ReplicaClient(new FileObjectStore({ root }), 'ltx')
  await putFile(client, 1, commit, basePages(commit))
  for (let n = 2; n <= 201; n++) await putFile(client, n, commit, scatteredPages(commit))
  const output = join(folder, `${megabytes}.db`)
  // A process of its own, so that its peak is not that of making the chain.
  const script = fileURLToPath(import.meta.url)
  const { stdout } = await execute(process.execPath, [script, 'child', root, output])
  const copy = await timeOfCopy(output)
  console.log(`${megabytes} MB: ${stdout.trim()}, cp and fsync ${copy} ms`)
}

async function restoreHere(root: string, output: string): Promise<void> {
  const client = new ReplicaClient(new FileObjectStore({ root }), 'ltx')
  const before = process.memoryUsage.rss()
  const result = await restoreReplica(client, { kind: 'latest' }, output, {
    integrityCheck: 'none',
  })
  const cpu = process.cpuUsage()
  const peak = process.resourceUsage().maxRSS * 1024
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`
  console.log(
    `${Math.round(result.durationMs)} ms, CPU ${Math.round((cpu.user + cpu.system) / 1000)} ms, ${result.filesRead} files, ${megabytes(result.bytesRead)} read, RSS ${megabytes(before)} before, ${megabytes(peak)} at its peak`,
  )
}

async function putFile(
  client: ReplicaClient,
  n: number,
  commit: number,
  pages: Iterable<LtxPage>,
): Promise<void> {
  const createdAt = new Date(1_700_000_000_000 + n * 1000)
  const header = {
    flags: FLAG_NO_CHECKSUM,
    pageSize: PAGE_SIZE,
    commit,
    minTxid: txid(n),
    maxTxid: txid(n),
    timestamp: createdAt.getTime(),
    preApplyChecksum: 0n,
    walOffset: 0,
    walSize: 0,
    walSalt1: 0,
    walSalt2: 0,
    nodeId: 0n,
  }
  function* chunks(): Generator<Uint8Array> {
    const encoder = new LtxEncoder(header)
    for (const { pgno, data } of pages) {
      encoder.encodePage(pgno, data)
      yield* encoder.drain()
    }
    encoder.finish()
    yield* encoder.drain()
  }
  await client.put(0, txid(n), txid(n), { open: chunks }, { createdAt })
}

function* basePages(commit: number): Generator<LtxPage> {
  const noise = randomBytes(1024 * 1024)
  for (let pgno = 1; pgno <= commit; pgno++) yield { pgno, data: somePage(pgno, noise) }
}

function* scatteredPages(commit: number): Generator<LtxPage> {
  const noise = randomBytes(8192)
  const step = Math.max(1, Math.floor(commit / 250))
  const first = 1 + Math.floor(Math.random() * step)
  for (let pgno = first; pgno <= commit; pgno += step) yield { pgno, data: somePage(pgno, noise) }
}

/** Half noise, half text, about as compressible as a real table. */
function somePage(pgno: number, noise: Buffer): Uint8Array {
  const data = Buffer.alloc(PAGE_SIZE, `page ${pgno} `)
  const at = (pgno * 997) % (noise.length - PAGE_SIZE / 2)
  noise.copy(data, 0, at, at + PAGE_SIZE / 2)
  return data
}

async function timeOfCopy(path: string): Promise<number> {
  const started = performance.now()
  await copyFile(path, `${path}.copy`)
  const handle = await open(`${path}.copy`, 'r+')
  await handle.sync()
  await handle.close()
  return Math.round(performance.now() - started)
}
