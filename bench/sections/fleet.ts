import {
  closeSync,
  copyFileSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type { Bed } from '../kit/bed.ts'
import { fleetBed, nameOfFleet } from '../kit/fleet-bed.ts'
import { nodeThatWaits } from '../kit/node-that-waits.ts'
import type { Program } from '../kit/programs.ts'
import { type Bench, Samples, type Section } from '../kit/section.ts'

const RATE = 200
/** Databases settle after their first copies. */
const SETTLE_MS = 15_000

/** Databases in one process: first copies, idle, then 200 commits/s spread at random over all. */
export const fleet: Section = {
  name: 'fleet',
  about: '1,000 databases (--databases N): first copies, idle, 200 commits/s spread at random',
  async run(bench) {
    const count = bench.databases ?? (bench.quick ? 50 : 1000)
    const seconds = bench.quick ? 3 : 15
    const idleFigures = new IdleFigures(count, bench.quick)
    const [cpu, peak, lags] = [new Samples(), new Samples(), new Samples()]
    for (const program of bench.programs) {
      bench.say(`${count} databases: ${program.name}`)
      await using bed = fleetBed(count)
      await idleFigures.measure(bed, program)
      const databases = bed.databases.map((path) => new DatabaseSync(path, { timeout: 5000 }))
      try {
        for (const db of databases) db.exec('PRAGMA synchronous = NORMAL; SELECT count(*) FROM t')
        await delay(3000)
        const before = bed.usage()
        await writeAtRandom(databases, seconds)
        await delay(1500)
        const after = bed.usage()
        cpu.add(program.name, after.cpuSeconds - before.cpuSeconds)
        peak.add(program.name, after.peakMb)
      } finally {
        for (const db of databases) db.close()
      }
      await delay(3000)
      lags.add(program.name, ...(await lagsOfOne(bed)))
    }
    await idleFigures.report(bench, {})
    const work = `${nameOfFleet(count)}, ${RATE} commits/s at random for ${seconds} s`
    const limit = { what: 'the PUTs alone', samples: [cpuOfPuts(RATE * seconds)] }
    const targets = count === 1000 ? { cpu: 3, peak: 200 } : undefined
    bench.add({ work, figure: 'CPU', unit: 's', samples: cpu.all, limit, target: targets?.cpu })
    bench.add({ work, figure: 'peak RSS', unit: 'MB', samples: peak.all, target: targets?.peak })
    bench.add({
      work: `${nameOfFleet(count)}, one commit`,
      figure: 'lag p50',
      unit: 'ms',
      samples: lags.all,
    })
  },
}

/** Only what is idle, with ten times as many. */
export const idleFleet: Section = {
  name: 'idle-fleet',
  about: '10,000 databases (--databases N): first copies, CPU and memory while idle',
  onlyByName: true,
  async run(bench) {
    const count = bench.databases ?? (bench.quick ? 100 : 10_000)
    const figures = new IdleFigures(count, bench.quick)
    for (const program of bench.programs) {
      bench.say(`${count} databases: ${program.name}`)
      await using bed = fleetBed(count)
      await figures.measure(bed, program)
    }
    const targets = { first: 20, cpu: 1, rss: 300 }
    await figures.report(bench, count === 10_000 ? targets : {})
  },
}

class IdleFigures {
  readonly #count: number
  readonly #quick: boolean
  readonly #first = new Samples()
  readonly #firstCpu = new Samples()
  readonly #cpu = new Samples()
  readonly #rss = new Samples()
  readonly #files = new Samples()
  readonly #copies: number[] = []

  constructor(count: number, quick: boolean) {
    this.#count = count
    this.#quick = quick
  }

  /** Until all have their first copies, then while nothing happens. A program that ends is noted. */
  async measure(bed: Bed, program: Program): Promise<void> {
    const { name } = program
    if (this.#copies.length === 0) this.#copies.push(secondsOfCopies(bed.databases))
    const startedAt = performance.now()
    try {
      await bed.watch(program)
    } catch (error) {
      if (program.dist !== undefined) throw error
      const all = [this.#first, this.#firstCpu, this.#cpu, this.#rss, this.#files]
      for (const samples of all) samples.none(name, 'failed')
      console.error(`  ${(error as Error).message}`)
      return
    }
    this.#first.add(name, (performance.now() - startedAt) / 1000)
    this.#firstCpu.add(name, bed.usage().cpuSeconds)
    await delay(this.#quick ? 2000 : SETTLE_MS)
    const before = bed.usage()
    const seconds = this.#quick ? 3 : 20
    await delay(seconds * 1000)
    const after = bed.usage()
    this.#cpu.add(name, ((after.cpuSeconds - before.cpuSeconds) / seconds) * 100)
    this.#rss.add(name, after.rssMb)
    this.#files.add(name, after.openFiles)
  }

  async report(bench: Bench, target: { first?: number; cpu?: number; rss?: number }) {
    const work = `${nameOfFleet(this.#count)}, idle`
    const row = { work, unit: 's' } as const
    const copies = { what: 'cp, fsync', samples: this.#copies }
    const first = { samples: this.#first.all, limit: copies, target: target.first }
    bench.add({ ...row, figure: 'first copies', ...first })
    bench.add({ ...row, figure: 'CPU until then', samples: this.#firstCpu.all })
    bench.add({ ...row, figure: 'CPU', unit: '%', samples: this.#cpu.all, target: target.cpu })
    const node = { what: 'Node alone', samples: [await nodeThatWaits((usage) => usage.rssMb)] }
    const rss = { samples: this.#rss.all, limit: node, target: target.rss }
    bench.add({ ...row, figure: 'RSS', unit: 'MB', ...rss })
    bench.add({ ...row, figure: 'open files', unit: '', samples: this.#files.all })
  }
}

async function writeAtRandom(databases: readonly DatabaseSync[], seconds: number): Promise<void> {
  const startedAt = performance.now()
  const elapsed = () => (performance.now() - startedAt) / 1000
  for (let commits = 0; elapsed() < seconds; ) {
    for (; commits < elapsed() * RATE; commits++) {
      databases[Math.floor(Math.random() * databases.length)]?.exec("INSERT INTO t VALUES (1, 'x')")
    }
    await delay(3)
  }
}

/** Milliseconds from one commit into an idle database to its object, ten times. */
async function lagsOfOne(bed: Bed): Promise<number[]> {
  const lags: number[] = []
  for (let i = 0; i < 10; i++) {
    const n = Math.floor((i * bed.databases.length) / 10)
    const objects = () => bed.objects(`db${n}`, [0]).length
    const before = objects()
    const db = new DatabaseSync(bed.databases[n] as string, { timeout: 5000 })
    db.exec('INSERT INTO t VALUES (1, 2)')
    const committedAt = performance.now()
    while (objects() === before) {
      if (performance.now() - committedAt > 30_000) throw new Error('no object within 30 s')
      await delay(1)
    }
    lags.push(performance.now() - committedAt)
    db.close()
  }
  return lags
}

/** CPU seconds of this process for as many durable small files. */
function cpuOfPuts(count: number): number {
  const folder = mkdtempSync(join(tmpdir(), 'walsync-bench-'))
  const before = process.cpuUsage()
  const bytes = new Uint8Array(700)
  for (let i = 0; i < count; i++) {
    const file = openSync(join(folder, 'temporary'), 'w')
    writeSync(file, bytes)
    fsyncSync(file)
    closeSync(file)
    renameSync(join(folder, 'temporary'), join(folder, String(i)))
  }
  const { user, system } = process.cpuUsage(before)
  rmSync(folder, { recursive: true })
  return (user + system) / 1e6
}

function secondsOfCopies(paths: readonly string[]): number {
  const folder = mkdtempSync(join(tmpdir(), 'walsync-bench-'))
  const startedAt = performance.now()
  for (const [i, path] of paths.entries()) {
    const copy = join(folder, String(i))
    copyFileSync(path, copy)
    const file = openSync(copy, 'r+')
    fsyncSync(file)
    closeSync(file)
  }
  const seconds = (performance.now() - startedAt) / 1000
  rmSync(folder, { recursive: true })
  return seconds
}
