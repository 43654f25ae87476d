import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { type CliEnd, type CliSurroundings, spawnCli } from './e2e-cli.ts'

/** One line of `walsync watch --json`. */
export interface WatchEvent {
  readonly time: string
  readonly event: string
  readonly database: string
  /** 16 hexadecimal digits. */
  readonly txid?: string | undefined
  readonly outageMs?: number | undefined
}

/** `walsync watch` of the built CLI as a process of its own, by what it says and how it ends. */
export class Watcher {
  readonly events: WatchEvent[] = []
  readonly #args: readonly string[]
  readonly #running: ReturnType<typeof spawnCli>
  #end: CliEnd | undefined
  #rest = ''

  /** @param args what follows `watch --json` */
  constructor(args: readonly string[], where: CliSurroundings) {
    this.#args = args
    this.#running = spawnCli(['watch', '--json', ...args], where)
    this.#running.child.stdout!.on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) this.events.push(JSON.parse(line) as WatchEvent)
    })
    void this.#running.ended.then((end) => {
      this.#end = end
    })
  }

  get pid(): number {
    return this.#running.child.pid!
  }

  get isRunning(): boolean {
    return this.#end === undefined
  }

  count(event: string): number {
    return this.events.filter((one) => one.event === event).length
  }

  /** The last TXID of a database of which it said that it is in the store; 0 if none. */
  acknowledged(database: string): bigint {
    let last = 0n
    for (const { event, database: name, txid } of this.events) {
      if (name !== database || txid === undefined) continue
      if (event === 'synced' || event === 'base') last = BigInt(`0x${txid}`)
    }
    return last
  }

  /** @throws Error if the watcher ends before, or nothing comes of it within the time */
  async until(what: string, holds: () => boolean, withinMs = 30_000): Promise<void> {
    const deadline = performance.now() + withinMs
    while (!holds()) {
      if (this.#end !== undefined) throw new Error(`${what}: the watcher ended, ${this.#tell()}`)
      if (performance.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`)
      await delay(10)
    }
  }

  /** Every database has a base, or goes on where its replica ends. */
  async started(databases: readonly string[]): Promise<void> {
    await this.until('start', () =>
      databases.every((name) =>
        this.events.some(
          ({ event, database }) => database === name && (event === 'base' || event === 'resumed'),
        ),
      ),
    )
  }

  /** SIGKILL. @throws Error if it had ended by itself */
  async kill(): Promise<void> {
    if (this.#end !== undefined) throw new Error(`nothing to kill: ${this.#tell()}`)
    this.#running.child.kill('SIGKILL')
    await this.#running.ended
  }

  /** SIGTERM, and the final sync. @throws Error if it had ended by itself */
  async stop(): Promise<CliEnd> {
    if (this.#end !== undefined) throw new Error(`nothing to stop: ${this.#tell()}`)
    this.#running.child.kill('SIGTERM')
    return await this.#running.ended
  }

  /** For the end of a test, whatever happened in it. */
  async dispose(): Promise<void> {
    const { child } = this.#running
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  #tell(): string {
    const { code, signal, stderr } = this.#end!
    return `walsync watch ${this.#args.join(' ')}: ${code ?? signal}\n${stderr.slice(-3000)}`
  }
}
