import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

interface RaceEvent {
  readonly event: string
  readonly time: string
  readonly txid?: string | undefined
  readonly epoch?: number | undefined
  readonly reason?: string | undefined
}

/** One `walsync watch` that may be paused, by what it says and how it ends. */
export class RaceWatcher {
  readonly name: string
  /** TXIDs of which it said that they are in the store. */
  readonly acknowledged: bigint[] = []
  readonly events: RaceEvent[] = []
  stderr = ''
  /** SIGSTOPs that met it alive. */
  pauses = 0
  readonly ended: Promise<void>
  readonly #child: ChildProcess
  #end: { readonly code: number | null; readonly signal: NodeJS.Signals | null } | undefined
  #rest = ''

  /** @param name of its database */
  constructor(name: string, bin: string, args: readonly string[], cwd: string) {
    this.name = name
    this.#child = spawn(process.execPath, [bin, 'watch', '--json', ...args], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      this.#end = { code: code as number | null, signal: signal as NodeJS.Signals | null }
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  get isAlive(): boolean {
    return this.#end === undefined && this.#child.exitCode === null && !this.#child.signalCode
  }

  /** `75`, `SIGKILL`; `undefined` while it is alive. */
  get end(): string | undefined {
    return this.#end && String(this.#end.code ?? this.#end.signal)
  }

  /** It keeps the replica up to date, as it says. */
  get isReady(): boolean {
    return this.has('base') || this.has('resumed')
  }

  has(event: string): boolean {
    return this.events.some((one) => one.event === event)
  }

  /** When the first of these events was, in milliseconds; `undefined` if none came. */
  timeOf(...events: readonly string[]): number | undefined {
    const found = this.events.find(({ event }) => events.includes(event))
    return found && Date.parse(found.time)
  }

  /** When it last said that a TXID is in the store, in milliseconds. */
  get lastShippedAt(): number {
    const last = this.events.findLast(({ event }) => ACKNOWLEDGING.has(event))
    return last === undefined ? 0 : Date.parse(last.time)
  }

  /** For a report. */
  lastEvents(count: number): string {
    return this.events
      .slice(-count)
      .map((event) => JSON.stringify(event))
      .join(' ')
  }

  pause(): void {
    if (this.isAlive && this.#child.kill('SIGSTOP')) this.pauses += 1
  }

  wake(): void {
    if (this.isAlive) this.#child.kill('SIGCONT')
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (this.isAlive) this.#child.kill(signal)
    await this.ended
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      const event = JSON.parse(line) as RaceEvent
      this.events.push(event)
      if (event.txid === undefined || !ACKNOWLEDGING.has(event.event)) continue
      this.acknowledged.push(BigInt(`0x${event.txid}`))
    }
  }
}

const ACKNOWLEDGING: ReadonlySet<string> = new Set(['synced', 'base'])
