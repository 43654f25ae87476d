import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { folderPlace, objectsOf, type Place } from './places.ts'
import { nameOf, type Program } from './programs.ts'
import { type Usage, usageOf } from './usage.ts'

const WRITER = fileURLToPath(new URL('../../test/support/chain-writer.ts', import.meta.url))
const ALL_LEVELS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
/** For the first copies of the largest fleet. */
const READY_MS = 600_000

export interface WriterResult {
  readonly commits: number
  readonly seconds: number
  /** Milliseconds of a commit. */
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface BedOptions {
  /** Default: a folder beside the databases. */
  readonly place?: Place | undefined
  /** Makes the databases in a folder and returns their paths. Default: one small `app.db`. */
  readonly databases?: ((folder: string) => readonly string[]) | undefined
}

/** Databases in a folder of their own, and at most one program that replicates them. */
export class Bed implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'walsync-bench-'))
  readonly databases: readonly string[]
  readonly place: Place
  readonly #log = join(this.folder, 'stderr.log')
  #child: ChildProcess | undefined

  constructor({ place, databases = smallDatabase }: BedOptions = {}) {
    this.databases = databases(this.folder)
    this.place = place ?? folderPlace(join(this.folder, 'replica'))
  }

  /** The first database. */
  get path(): string {
    return this.databases[0] as string
  }

  /** Starts a program. Resolves when every database has its first object in the store. */
  async watch(program: Program, extra: readonly string[] = []): Promise<void> {
    const { command, args } = program.watch(this.databases, this.place, this.folder)
    await this.start(command, [...args, ...extra], this.place.env)
    const waiting = this.databases.map(nameOf).reverse()
    const hasFirst = (name: string) =>
      objectsOf(this.place, name, [program.firstLevel, 0]).length > 0
    const deadline = performance.now() + READY_MS
    while (waiting.length > 0) {
      while (waiting.length > 0 && hasFirst(waiting.at(-1) as string)) waiting.pop()
      this.#mustLive(program.name)
      if (performance.now() > deadline) {
        throw new Error(`${program.name}: ${waiting.length} databases have no copy in time`)
      }
      if (waiting.length > 0) await delay(20)
    }
  }

  /** Starts any process in place of a program. */
  async start(
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const log = openSync(this.#log, 'a')
    this.#child = spawn(command, args, {
      cwd: this.folder,
      env: { PATH: process.env.PATH ?? '', HOME: tmpdir(), ...env },
      stdio: ['ignore', 'ignore', log],
    })
    closeSync(log)
    await once(this.#child, 'spawn')
  }

  /** Finished objects of a replica, of all levels by default. */
  objects(name = nameOf(this.path), levels: readonly number[] = ALL_LEVELS): string[] {
    return objectsOf(this.place, name, levels)
  }

  usage(): Usage {
    this.#mustLive('the program')
    return usageOf(this.#child?.pid as number)
  }

  /** A process that commits to the first database at a rate (0: as fast as it can) for a time. */
  async write(perSecond: number, seconds: number): Promise<WriterResult> {
    const args = [WRITER, this.path, String(perSecond), String(seconds)]
    return JSON.parse(await outputOf(process.execPath, args)) as WriterResult
  }

  async stop(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  #mustLive(name: string): void {
    const { exitCode = null, signalCode = null } = this.#child ?? {}
    if (this.#child !== undefined && exitCode === null && signalCode === null) return
    const output = readFileSync(this.#log, 'utf8').trim().split('\n').slice(-5).join('\n')
    throw new Error(`${name} ended with ${exitCode ?? signalCode}: ${output}`)
  }
}

/** Runs a command to its end. @returns its seconds @throws Error unless it ends with 0 */
export async function secondsOf(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const startedAt = performance.now()
  const child = spawn(command, args, {
    env: { PATH: process.env.PATH ?? '', HOME: tmpdir(), ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const [code] = await once(child, 'exit')
  const seconds = (performance.now() - startedAt) / 1000
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${errors}`)
  return seconds
}

/** Runs a command to its end. @returns what it wrote on stdout */
export async function outputOf(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  await once(child, 'close')
  return text
}

function smallDatabase(folder: string): string[] {
  const path = join(folder, 'app.db')
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE start (x); INSERT INTO start VALUES (1)')
  db.close()
  return [path]
}
