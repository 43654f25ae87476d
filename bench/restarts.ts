// What a restart of everything costs: databases that nobody opens and databases that one application
// writes, ended in several ways; then what the next watcher of the built CLI stores though nothing was
// committed meanwhile, and whether every replica still is its database.
// Usage: node bench/restarts.ts [idle, default 20] [written, default 60]
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { contents } from '../test/support/replica-rig.ts'

const CLI = fileURLToPath(new URL('../dist/cli/bin.js', import.meta.url))
/** After this time those beyond the 50 that are held open have been let go, in milliseconds. */
const LET_GO_MS = 40_000
/** Snapshots at start-up and merges of the clock would count as needless. */
const FLAGS = ['--snapshot-interval', '0', '--levels', 'none', '--log-level', 'error', '--json']

const [idle, written] = [Number(process.argv[2] ?? 20), Number(process.argv[3] ?? 60)]
const folder = mkdtempSync(join(tmpdir(), 'walsync-restarts-'))
const replica = join(folder, 'replica')
const names = Array.from({ length: idle + written }, (_, i) => `db${i}`)
const paths = names.map((name) => join(folder, `${name}.db`))

interface Seen {
  readonly event: string
  readonly database?: string
  readonly proof?: string
  readonly reason?: string
}

/** `walsync watch` of all databases. */
class Watcher {
  readonly events: Seen[] = []
  readonly child: ChildProcess

  constructor() {
    this.child = spawn(process.execPath, [CLI, 'watch', ...paths, '-b', replica, ...FLAGS], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let rest = ''
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.events.push(JSON.parse(line) as Seen)
    })
  }

  async until(holds: () => boolean): Promise<void> {
    const deadline = performance.now() + 120_000
    while (!holds()) {
      if (this.child.exitCode !== null) throw new Error('the watcher ended')
      if (performance.now() > deadline) throw new Error('nothing came of it within two minutes')
      await delay(20)
    }
  }

  async started(): Promise<void> {
    const ready = (name: string) =>
      this.events.some(({ event, database }) => database === name && /^(base|resumed)$/.test(event))
    await this.until(() => names.every(ready))
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const ended = once(this.child, 'exit')
    this.child.kill(signal)
    await ended
  }
}

const APP = `
const { DatabaseSync } = require('node:sqlite')
const open = process.argv.slice(1).map((path) => new DatabaseSync(path, { timeout: 5000 }))
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  for (const db of open) line === 'close' ? db.close() : db.exec(line)
  console.log('done')
})
console.log('done')
`

/** One application that has all written databases open, in a process of its own. */
class App {
  readonly #child = spawn(process.execPath, ['--no-warnings', '-e', APP, ...paths.slice(idle)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  readonly opened = once(this.#child.stdout, 'data')

  async write(): Promise<void> {
    await this.#ask('INSERT INTO t (v) VALUES (hex(randomblob(500)))')
  }

  async close(): Promise<void> {
    await this.#ask('close')
    await this.kill()
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  async #ask(line: string): Promise<void> {
    const answered = once(this.#child.stdout, 'data')
    this.#child.stdin.write(`${line}\n`)
    await answered
  }
}

let app: App | undefined
let watcher: Watcher | undefined

/** Every ending must leave all of it in the replica: what the next start stores is needless. */
const ENDINGS: readonly [string, () => Promise<void>][] = [
  [
    'app closed, then walsync',
    async () => {
      await app?.close()
      await watcher?.end('SIGTERM')
    },
  ],
  [
    'walsync, then app closed',
    async () => {
      await watcher?.end('SIGTERM')
      await app?.close()
    },
  ],
  [
    'SIGKILL of everything',
    async () => {
      await Promise.all([app?.kill(), watcher?.end('SIGKILL')])
    },
  ],
  [
    'app closed, walsync SIGKILL',
    async () => {
      await app?.close()
      await watcher?.end('SIGKILL')
    },
  ],
  [
    'let go, app closed, then walsync',
    async () => {
      await delay(LET_GO_MS)
      await app?.close()
      await watcher?.end('SIGTERM')
    },
  ],
  [
    'let go, then SIGKILL of everything',
    async () => {
      await delay(LET_GO_MS)
      await Promise.all([app?.kill(), watcher?.end('SIGKILL')])
    },
  ],
]

let failed = false
try {
  mkdirSync(replica)
  for (const path of paths) makeDatabase(path)
  watcher = new Watcher()
  await watcher.started()
  for (const [ending, end] of ENDINGS) {
    app = new App()
    await app.opened
    for (let i = 0; i < 3; i++) {
      await app.write()
      await quiet()
    }
    await end()
    const before = objects()
    const startedAt = performance.now()
    const next = new Watcher()
    watcher = next
    await next.started()
    const startSeconds = Math.round((performance.now() - startedAt) / 100) / 10
    await quiet()
    const more = [...objects()].filter(([key]) => !before.has(key))
    const files = more.filter(([key]) => key.endsWith('.ltx'))
    const bases = next.events.filter(({ event }) => event === 'base')
    const count = (proof: string) => next.events.filter((seen) => seen.proof === proof).length
    failed ||= bases.length > 0
    console.log(
      JSON.stringify({
        ending,
        startSeconds,
        byWal: count('wal'),
        byChecksum: count('checksum'),
        fullCopies: bases.length,
        reasons: [...new Set(bases.map(({ reason }) => reason))],
        files: files.length,
        bytes: files.reduce((sum, [, size]) => sum + size, 0),
        claims: more.length - files.length,
      }),
    )
  }
  await watcher?.end('SIGTERM')
  const wrong = await differing()
  failed ||= wrong.length > 0
  console.log(JSON.stringify({ databases: paths.length, differing: wrong }))
} finally {
  await app?.kill()
  watcher?.child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}
process.exit(failed ? 1 : 0)

function makeDatabase(path: string): void {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, v)')
  db.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    INSERT INTO t SELECT i, hex(randomblob(200)) FROM n`)
  db.close()
}

/** Objects of the replica, by path. */
function objects(): Map<string, number> {
  const found = new Map<string, number>()
  for (const entry of readdirSync(replica, { recursive: true, withFileTypes: true })) {
    // Files that are being written have another name.
    if (!entry.isFile() || entry.parentPath.includes('.walsync-tmp')) continue
    const path = join(entry.parentPath, entry.name)
    found.set(path, statSync(path).size)
  }
  return found
}

/** Nothing has been stored for three seconds. */
async function quiet(): Promise<void> {
  for (let before = -1, now = objects().size; now !== before; now = objects().size) {
    before = now
    await delay(3000)
  }
}

/** Databases whose replica is not what they are now. */
async function differing(): Promise<string[]> {
  const wrong: string[] = []
  for (const [i, name] of names.entries()) {
    const output = join(folder, `restored-${name}.db`)
    const args = [CLI, 'restore', name, '-b', replica, '-o', output]
    const child = spawn(process.execPath, args, { stdio: 'ignore' })
    await once(child, 'exit')
    if (child.exitCode !== 0 || text(output) !== text(paths[i]!)) wrong.push(name)
  }
  return wrong
}

function text(path: string): string {
  const db = new DatabaseSync(path)
  try {
    return contents(db)
  } finally {
    db.close()
  }
}
