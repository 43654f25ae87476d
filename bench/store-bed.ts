import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../dist/cli/bin.js', import.meta.url))
const WRITER = fileURLToPath(new URL('../test/support/chain-writer.ts', import.meta.url))

/** One line of `walsync watch --json`, and when this process read it. */
export interface SeenEvent {
  readonly event: string
  readonly txid?: string | undefined
  /** Milliseconds of the clock. */
  readonly seenAt: number
}

export interface Paced {
  readonly commits: number
  readonly seconds: number
}

/** A database and the built CLI's `watch` of it, in processes of their own. */
export class StoreBed implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'walsync-bench-'))
  readonly path = join(this.folder, 'app.db')
  readonly events: SeenEvent[] = []
  readonly #child: ReturnType<typeof spawn>

  constructor(url: string, env: Readonly<Record<string, string>>) {
    const db = new DatabaseSync(this.path)
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE start (x)')
    db.close()
    const args = [CLI, 'watch', this.path, '-b', url, '--json', '--log-level', 'error']
    this.#child = spawn(process.execPath, args, {
      env: { PATH: process.env.PATH ?? '', HOME: tmpdir(), ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let rest = ''
    this.#child.stdout!.on('data', (chunk) => {
      const seenAt = Date.now()
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.events.push({ ...JSON.parse(line), seenAt })
    })
  }

  /** Resolves with the first event of a type after the first `skip` of all events. */
  async event(type: string, skip = 0): Promise<SeenEvent> {
    for (;;) {
      const found = this.events.slice(skip).find(({ event }) => event === type)
      if (found !== undefined) return found
      if (this.#child.exitCode !== null) throw new Error('the watcher ended')
      await delay(1)
    }
  }

  /** Resident memory of the watcher now and at its peak, in MB of 1,000,000 bytes. */
  memory(): { readonly now: number; readonly peak: number } {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'latin1')
    const field = (name: string) =>
      (Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN) * 1024) / 1e6
    return { now: field('VmRSS'), peak: field('VmHWM') }
  }

  /** A process that commits at a rate for a time. */
  async write(perSecond: number, seconds: number): Promise<Paced> {
    const args = [WRITER, this.path, String(perSecond), String(seconds)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    await once(child, 'close')
    return JSON.parse(text) as Paced
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const [code] = await gone
    rmSync(this.folder, { recursive: true, force: true })
    if (code !== 0) throw new Error(`the watcher ended with ${code}`)
  }
}
