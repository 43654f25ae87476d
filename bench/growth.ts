// How costs grow: with the size of a database, the length of its history, the number of databases,
// and the rate of commits. One line for each cost, with its figure at each size and the exponent of
// each step: 0 does not grow, 1 is linear. The built CLI, from outside; replicas in a folder.
// Usage: node bench/growth.ts [history] [size] [databases] [rate], all by default; --quick
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { decodeLtx, encodeLtx, FLAG_NO_CHECKSUM, formatTxid, txid } from '../src/core/ltx/index.ts'
import { Bed, secondsOf } from './kit/bed.ts'
import { changeSome, makeFilled } from './kit/filler.ts'
import { fleetBed } from './kit/fleet-bed.ts'
import { type Program, programsOf } from './kit/programs.ts'
import { quantile } from './kit/table.ts'

type Point = readonly [size: number, figure: number]

/** A cost at several sizes, ascending. */
interface Curve {
  readonly cost: string
  readonly unit: string
  readonly points: readonly Point[]
}

const STUDIES: Readonly<Record<string, (sizes: readonly number[]) => Promise<Curve[]>>> = {
  history: byHistory,
  size: bySize,
  databases: byDatabases,
  rate: byRate,
}
const SIZES: Readonly<Record<string, { full: readonly number[]; quick: readonly number[] }>> = {
  history: { full: [10, 100, 1000, 10_000, 100_000], quick: [10, 100] },
  size: { full: [10, 100, 1000, 10_000], quick: [1, 10] },
  databases: { full: [1, 10, 100, 1000], quick: [1, 10] },
  rate: { full: [1, 10, 100, 1000], quick: [10, 100] },
}

/** Of one row, into whatever table the database has. */
const WRITE = 'CREATE TABLE IF NOT EXISTS growth (a); INSERT INTO growth VALUES (1)'

const isQuick = process.argv.includes('--quick')
const named = process.argv.slice(2).filter((word) => word in STUDIES)
const walsync = programsOf({ without: ['litestream'] })[0] as Program
for (const name of named.length > 0 ? named : Object.keys(STUDIES)) {
  const sizes = SIZES[name]?.[isQuick ? 'quick' : 'full'] ?? []
  console.log(`${tableOf(name, sizes, (await STUDIES[name]?.(sizes)) ?? [])}\n`)
}

/** A database of 1 MB with so many files of one page each behind its first copy, none merged. */
async function byHistory(lengths: readonly number[]): Promise<Curve[]> {
  const costs = { list: [], plan: [], restore: [], start: [] } as Record<string, Point[]>
  for (const length of lengths) {
    await using bed = filledBed(1)
    await bed.watch(walsync)
    await bed.stop()
    const next = lengthen(bed, length)
    const cli = (...args: string[]) => secondsOfCli([...args, '-b', bed.place.url])
    costs.list?.push([length, await cli('list', '--json')])
    costs.plan?.push([length, await cli('restore', 'app', '--dry-run', '-o', `${bed.path}.plan`)])
    const output = ['-o', `${bed.path}.restored`, '--integrity-check', 'none']
    costs.restore?.push([length, await cli('restore', 'app', ...output)])
    costs.start?.push([length, await secondsUntil(bed, next)])
  }
  return curves('s', {
    list: costs.list,
    'restore --dry-run': costs.plan,
    restore: costs.restore,
    'start of `watch`: finds the end, stores a new base': costs.start,
  })
}

/** A database of so many MB, of which a few pages change. */
async function bySize(sizes: readonly number[]): Promise<Curve[]> {
  const costs = { first: [], lag: [], cpu: [], rss: [], restore: [] } as Record<string, Point[]>
  for (const size of sizes) {
    await using bed = filledBed(size)
    const startedAt = performance.now()
    await bed.watch(walsync)
    costs.first?.push([size, (performance.now() - startedAt) / 1000])
    await delay(3000)
    const before = bed.usage()
    const lags = await lagsOfCommits(bed, 20)
    const after = bed.usage()
    costs.lag?.push([size, quantile(lags, 0.5) ?? Number.NaN])
    costs.cpu?.push([size, ((after.cpuSeconds - before.cpuSeconds) / lags.length) * 1000])
    costs.rss?.push([size, after.peakMb])
    await bed.stop()
    const output = ['-o', `${bed.path}.restored`, '--integrity-check', 'none']
    costs.restore?.push([
      size,
      await secondsOfCli(['restore', 'app', '-b', bed.place.url, ...output]),
    ])
  }
  return [
    ...curves('s', { 'first copy': costs.first, restore: costs.restore }),
    ...curves('ms', { 'one commit: lag p50': costs.lag, 'one commit: CPU': costs.cpu }),
    ...curves('MB', { 'peak RSS': costs.rss }),
  ]
}

/** So many small databases with 200 commits a second in all, spread at random. */
async function byDatabases(counts: readonly number[]): Promise<Curve[]> {
  const costs = { first: [], idle: [], busy: [], rss: [] } as Record<string, Point[]>
  for (const count of counts) {
    await using bed = fleetBed(count)
    await bed.watch(walsync)
    costs.first?.push([count, bed.usage().cpuSeconds])
    await delay(15_000)
    costs.idle?.push([count, (await cpuOf(bed, () => delay(10_000))) * 100])
    const databases = bed.databases.map((path) => new DatabaseSync(path, { timeout: 5000 }))
    for (const db of databases) db.exec('PRAGMA synchronous = NORMAL')
    // The first commits open databases that had been closed as idle.
    await commitAtRandom(databases, 200, 10)
    costs.busy?.push([count, (await cpuOf(bed, () => commitAtRandom(databases, 200, 10))) * 100])
    costs.rss?.push([count, bed.usage().peakMb])
    for (const db of databases) db.close()
  }
  return [
    ...curves('s', { 'first copies: CPU': costs.first }),
    ...curves('%', { 'idle: CPU': costs.idle, '200 commits/s in all: CPU': costs.busy }),
    ...curves('MB', { 'peak RSS': costs.rss }),
  ]
}

/** One small database with so many commits a second. */
async function byRate(rates: readonly number[]): Promise<Curve[]> {
  const costs = { cpu: [], puts: [] } as Record<string, Point[]>
  for (const rate of rates) {
    await using bed = filledBed(1)
    await bed.watch(walsync)
    await delay(3000)
    const db = new DatabaseSync(bed.path, { timeout: 5000 })
    db.exec('PRAGMA synchronous = NORMAL')
    const before = bed.objects(undefined, [0]).length
    costs.cpu?.push([rate, (await cpuOf(bed, () => commitAtRandom([db], rate, 10))) * 100])
    costs.puts?.push([rate, bed.objects(undefined, [0]).length - before])
    db.close()
  }
  return [...curves('%', { CPU: costs.cpu }), ...curves('', { 'objects in 10 s': costs.puts })]
}

function filledBed(megabytes: number): Bed {
  return new Bed({
    databases: (folder) => {
      const path = join(folder, 'app.db')
      makeFilled(path, megabytes)
      return [path]
    },
  })
}

/**
 * Adds change files to a replica, each with page 2 as it is: the database at the end is the same.
 *
 * @returns the path of the file that comes after them
 */
function lengthen(bed: Bed, files: number): string {
  const base = bed.objects()[0] as string
  const { header, pages } = decodeLtx(readFileSync(base))
  const page = pages.find(({ pgno }) => pgno === 2)
  if (page === undefined) throw new Error('the database has one page only')
  const folder = bed.place.levelFolder('app', 0)
  mkdirSync(folder, { recursive: true })
  const idOf = (i: number) => txid(Number(header.maxTxid) + i)
  const pathOf = (i: number) => join(folder, `${formatTxid(idOf(i))}-${formatTxid(idOf(i))}.ltx`)
  for (let i = 1; i <= files; i++) {
    const change = { ...header, flags: FLAG_NO_CHECKSUM, minTxid: idOf(i), maxTxid: idOf(i) }
    const timestamp = header.timestamp + i
    const bytes = encodeLtx({ ...change, timestamp, preApplyChecksum: 0n }, [page])
    writeFileSync(pathOf(i), bytes)
  }
  return pathOf(files + 1)
}

/** Starts the watcher. @returns seconds until the file is there */
async function secondsUntil(bed: Bed, path: string): Promise<number> {
  const { command, args } = walsync.watch(bed.databases, bed.place, bed.folder)
  const startedAt = performance.now()
  await bed.start(command, args)
  while (!existsSync(path)) {
    if (performance.now() - startedAt > 600_000) throw new Error('no new base within ten minutes')
    await delay(5)
  }
  return (performance.now() - startedAt) / 1000
}

/** Milliseconds from single commits, a second apart, to their objects. */
async function lagsOfCommits(bed: Bed, commits: number): Promise<number[]> {
  const db = new DatabaseSync(bed.path, { timeout: 5000 })
  db.exec('PRAGMA synchronous = NORMAL')
  const lags: number[] = []
  for (let i = 0; i < commits; i++) {
    const before = bed.objects(undefined, [0]).length
    changeSome(db, 3)
    const committedAt = performance.now()
    while (bed.objects(undefined, [0]).length === before) {
      if (performance.now() - committedAt > 30_000) throw new Error('no object within 30 s')
      await delay(1)
    }
    lags.push(performance.now() - committedAt)
    await delay(1000)
  }
  db.close()
  return lags
}

async function commitAtRandom(
  databases: readonly DatabaseSync[],
  rate: number,
  seconds: number,
): Promise<void> {
  const startedAt = performance.now()
  const elapsed = () => (performance.now() - startedAt) / 1000
  for (let commits = 0; elapsed() < seconds; ) {
    for (; commits < elapsed() * rate; commits++) {
      databases[Math.floor(Math.random() * databases.length)]?.exec(WRITE)
    }
    await delay(3)
  }
}

/** CPU seconds of the watcher for each second of some work. */
async function cpuOf(bed: Bed, work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  const before = bed.usage().cpuSeconds
  await work()
  const seconds = (performance.now() - startedAt) / 1000
  return (bed.usage().cpuSeconds - before) / seconds
}

function secondsOfCli(args: readonly string[]): Promise<number> {
  return secondsOf(process.execPath, [join(walsync.dist as string, 'cli/bin.js'), ...args])
}

function curves(unit: string, costs: Readonly<Record<string, readonly Point[] | undefined>>) {
  return Object.entries(costs).map(([cost, points = []]): Curve => ({ cost, unit, points }))
}

/** The exponent of a step stands in front of the figure that it leads to. */
function tableOf(study: string, sizes: readonly number[], all: readonly Curve[]): string {
  const head = [study, ...sizes.map((size) => size.toLocaleString('en-US'))]
  const lines = all.map(({ cost, unit, points }) => [
    cost,
    ...points.map(([size, figure], i) => {
      const text = `${Number(figure.toPrecision(3))} ${unit}`.trim()
      const [lastSize, lastFigure] = points[i - 1] ?? []
      if (lastSize === undefined || lastFigure === undefined) return text
      const exponent = Math.log(figure / lastFigure) / Math.log(size / lastSize)
      return `(${exponent.toFixed(2)}) ${text}`
    }),
  ])
  const rule = head.map(() => '---')
  return [head, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
