// The benchmark of one sitting: walsync, Litestream where it is installed, and the best that the
// machine can do, in turns. One table with ratios on stdout, all samples in a JSON file.
// Usage: npm run bench -- [sections] [options], see --help and bench/README.md
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type S3Server, startMinio } from '../test/servers/s3-servers.ts'
import { serverPath } from '../test/servers/server-path.ts'
import { type Program, programsOf } from './kit/programs.ts'
import { circumstancesOf, loadNow, reportOf, type SectionReport } from './kit/report.ts'
import type { Bench, Section } from './kit/section.ts'
import { type Row, tableOf } from './kit/table.ts'
import { fleet, idleFleet } from './sections/fleet.ts'
import { fullSpeed } from './sections/full-speed.ts'
import { idle } from './sections/idle.ts'
import { lag } from './sections/lag.ts'
import { large } from './sections/large.ts'
import { largeTransaction } from './sections/large-transaction.ts'
import { metrics } from './sections/metrics.ts'
import { restore } from './sections/restore.ts'
import { startup } from './sections/startup.ts'
import { steady } from './sections/steady.ts'
import { wait } from './sections/wait.ts'

const SECTIONS: readonly Section[] = [
  lag,
  wait,
  steady,
  fullSpeed,
  largeTransaction,
  fleet,
  idleFleet,
  restore,
  large,
  startup,
  idle,
  metrics,
]

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', short: 'h' },
    all: { type: 'boolean' },
    quick: { type: 'boolean' },
    before: { type: 'string' },
    without: { type: 'string', multiple: true },
    databases: { type: 'string' },
    json: { type: 'string' },
  },
})
const unknown = positionals.filter((name) => !SECTIONS.some((section) => section.name === name))

if (options.help) {
  console.log(help())
} else if (unknown.length > 0) {
  const known = SECTIONS.map(({ name }) => name).join(', ')
  console.error(`error: no section is called ${unknown.join(', ')}. There are: ${known}`)
  process.exitCode = 1
} else {
  await main(
    SECTIONS.filter(({ name, onlyByName = false }) =>
      positionals.length > 0 ? positionals.includes(name) : !onlyByName || options.all,
    ),
  )
}

async function main(chosen: readonly Section[]): Promise<void> {
  const startedAt = new Date()
  const quick = options.quick ?? false
  const without = options.without ?? []
  const programs = programsOf({ before: options.before, without })
  const isCompared = programs.some(({ name }) => name === 'litestream')
  if (!isCompared && !without.includes('litestream')) {
    console.error('Litestream is not measured. npm run servers installs it.')
  }
  const rows: Row[] = []
  const sections = await run(chosen, programs, quick, rows)
  const report = reportOf({ startedAt, quick, programs, sections, rows })
  const path = options.json ?? defaultPath(startedAt)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`)
  const columns = programs.map(({ name }) => name)
  console.log(`${tableOf(rows, columns)}\n\n${circumstancesOf(report)}\nAll samples: ${path}`)
  if (sections.some(({ error }) => error !== undefined)) process.exitCode = 1
}

/** A section that fails leaves its rows out, and the others are run. */
async function run(
  chosen: readonly Section[],
  programs: readonly Program[],
  quick: boolean,
  rows: Row[],
): Promise<SectionReport[]> {
  const reports: SectionReport[] = []
  let server: Promise<S3Server> | undefined
  const bench: Bench = {
    programs,
    quick,
    databases: options.databases === undefined ? undefined : Number(options.databases),
    async minio() {
      if (serverPath('minio') === undefined) return undefined
      server ??= startMinio()
      return await server
    },
    // The targets are for the work of a whole run.
    add: (row) => rows.push(quick ? { ...row, target: undefined } : row),
    say: (text) => console.error(`  ${text}`),
  }
  try {
    for (const { name, run: measure } of chosen) {
      const [startedAt, loadAtStart] = [performance.now(), loadNow()]
      console.error(`${name} (load ${loadAtStart})`)
      const error = await measure(bench).then(
        () => undefined,
        (reason: unknown) => reason as Error,
      )
      if (error !== undefined) console.error(`  failed: ${error.stack}`)
      const seconds = Math.round((performance.now() - startedAt) / 1000)
      reports.push({ name, seconds, loadAtStart, loadAtEnd: loadNow(), error: error?.message })
    }
  } finally {
    await (await server)?.stop()
  }
  return reports
}

function defaultPath(startedAt: Date): string {
  const time = startedAt.toISOString().slice(0, 16).replace(':', '')
  return fileURLToPath(new URL(`results/${time}.json`, import.meta.url))
}

function help(): string {
  const sections = SECTIONS.map(
    ({ name, about, onlyByName }) => `  ${name.padEnd(12)}${about}${onlyByName ? ' *' : ''}`,
  )
  return `npm run bench -- [sections] [options]

Sections (default: all without *):
${sections.join('\n')}

Options:
  --all             all sections
  --quick           small and short, to see whether it works; its figures say little
  --before DIST     one more column: the dist folder of another build
  --without COLUMN  leave out litestream or before; may be repeated
  --databases N     size of the fleets
  --json FILE       where all samples go (default: bench/results/TIME.json)`
}
