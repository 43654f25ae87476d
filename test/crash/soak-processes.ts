import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const WATCHER = fileURLToPath(new URL('./soak-watcher.ts', import.meta.url))
const CHAIN_WRITER = fileURLToPath(new URL('../support/chain-writer.ts', import.meta.url))
const BRIEF_WRITER = fileURLToPath(new URL('../support/brief-writer.ts', import.meta.url))
const CLI = fileURLToPath(new URL('../../src/cli/bin.ts', import.meta.url))

export interface WatcherEvent {
  readonly type: string
  readonly database?: string
  readonly txid?: string
  readonly proven?: boolean
  readonly error?: string
  readonly reason?: string
}

interface Answer {
  readonly calls: number
  readonly status: readonly { name: string; state: string; txid?: string; lastError?: string }[]
}

/** One watcher process: what it tells, and what it answers. */
export class SoakWatcher {
  readonly events: WatcherEvent[] = []
  isReady = false
  stderr = ''
  readonly ended: Promise<string>
  readonly #child: ChildProcess
  readonly #asked = new Map<number, (answer: Answer | undefined) => void>()
  #id = 0

  constructor(folder: string, names: readonly string[]) {
    this.#child = fork(WATCHER, [folder, ...names], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.#child.on(
      'message',
      (message: Partial<Answer> & { event?: WatcherEvent; id?: number }) => {
        if (message.event !== undefined) this.events.push(message.event)
        else if (message.id === undefined) this.isReady = true
        else this.#answer(message.id, message as Answer)
      },
    )
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      for (const id of this.#asked.keys()) this.#answer(id, undefined)
      return String(code ?? signal)
    })
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** `undefined` if the watcher has ended. */
  async ask(ask: 'sync' | 'status'): Promise<Answer | undefined> {
    if (!this.isAlive || !this.#child.connected) return undefined
    const id = ++this.#id
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>()
    this.#asked.set(id, resolve)
    this.#child.send({ id, ask }, (error) => error && this.#answer(id, undefined))
    return await promise
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isAlive) this.#child.kill(signal)
  }

  /** User and system time so far, in milliseconds (Linux, ticks of 10 ms). */
  cpuMs(): number {
    const text = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  }

  #answer(id: number, answer: Answer | undefined): void {
    this.#asked.get(id)?.(answer)
    this.#asked.delete(id)
  }
}

/** A process that commits chain transactions, in one of the ways in which applications do. */
export function startWriter(path: string): ChildProcess {
  const [file, ...args] = pick([
    [CHAIN_WRITER, path, '25', '0', 'plain'],
    [CHAIN_WRITER, path, '3', '0', 'plain'],
    [CHAIN_WRITER, path, '12', '0', 'rough'],
    [BRIEF_WRITER, path],
    [BRIEF_WRITER, path],
  ]) as [string, ...string[]]
  return spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
}

export async function killProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

export async function runCli(
  args: readonly string[],
  cwd: string,
): Promise<{ readonly code: string; readonly output: string }> {
  const child = spawn(process.execPath, [CLI, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const [code, signal] = await once(child, 'close')
  return { code: String(code ?? signal), output }
}

export function pick<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)]!
}
