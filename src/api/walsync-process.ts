import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { fromReport, ReplicationError, type ReportedError } from './replication-error.ts'

/** How walsync is run; the same for every process of the library. */
export interface ProcessOptions {
  /** Where credentials and proxies come from. Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Address of the store, for S3-compatible stores and emulators. */
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  /** Packages or modules that add kinds of stores. */
  readonly plugins?: readonly string[] | undefined
  /** What walsync writes to stderr. Default `warn`. */
  readonly logLevel?: 'silent' | 'error' | 'warn' | 'info' | 'debug' | undefined
  /** The Node 24 that runs walsync. Default: the one that runs this program, else `node`. */
  readonly node?: string | undefined
}

/** How a walsync process ended. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** What it said about its failure. */
  readonly error: ReplicationError | undefined
}

/** File descriptor of the pipe between this program and the process. */
const LINK_FD = 3
const BIN = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../cli/bin.ts' : '../cli/bin.js', import.meta.url),
)

/**
 * One walsync process. It holds the other end of a pipe and ends when that closes, so that the
 * kernel brings its end about even if this program is killed. It stays out of the process group of
 * a terminal: Ctrl-C is for the program, which still writes while it stops.
 */
export class WalsyncProcess {
  readonly ended: Promise<ProcessEnd>
  readonly link: Duplex
  readonly #child: ChildProcess
  #holds = 0

  /** @param onLine takes each line of `--json`, but the error that it ends with */
  constructor(
    command: string,
    args: readonly string[],
    options: ProcessOptions,
    onLine: (line: object) => void = () => {},
  ) {
    const { env = process.env, logLevel = 'warn' } = options
    const child = spawn(nodeOf(options), [BIN, command, ...args, ...globalFlags(options)], {
      env: { ...env, WALSYNC_PARENT_FD: String(LINK_FD) },
      stdio: ['ignore', 'pipe', logLevel === 'silent' ? 'ignore' : 'inherit', 'pipe'],
      detached: true,
      windowsHide: true,
    })
    this.#child = child
    this.link = child.stdio[LINK_FD] as Duplex
    this.link.on('error', () => {})
    let reported: ReportedError | undefined
    readLines(child.stdout!, (line) => {
      if ('error' in line && !('event' in line)) reported = line.error as ReportedError
      else onLine(line)
    })
    this.ended = this.#end(() => reported)
    this.#keepAlive(false)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /**
   * While it is held, this program does not exit on its own. @returns a function that releases it,
   * once
   */
  hold(): () => void {
    if (this.#holds++ === 0) this.#keepAlive(true)
    let isHeld = true
    return () => {
      if (isHeld && --this.#holds === 0) this.#keepAlive(false)
      isHeld = false
    }
  }

  /** Asks it to finish its work and end. */
  end(): void {
    this.link.end()
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async #end(reported: () => ReportedError | undefined): Promise<ProcessEnd> {
    try {
      const [code, signal] = (await once(this.#child, 'close')) as [
        number | null,
        NodeJS.Signals | null,
      ]
      const error = reported()
      return { code, signal, error: error && fromReport({ exitCode: code, ...error }) }
    } catch (cause) {
      const error = new ReplicationError(
        'Failed',
        `walsync could not be started: ${(cause as Error).message}.`,
        { hint: 'Name a Node 24 with the option `node`.', cause },
      )
      return { code: null, signal: null, error }
    }
  }

  #keepAlive(isKept: boolean): void {
    const method = isKept ? 'ref' : 'unref'
    this.#child[method]()
    for (const stream of [this.#child.stdout, this.link]) {
      ;(stream as unknown as { ref?(): void; unref?(): void } | null)?.[method]?.()
    }
  }
}

function nodeOf({ node }: ProcessOptions): string {
  if (node !== undefined) return node
  return 'bun' in process.versions || 'deno' in process.versions ? 'node' : process.execPath
}

function globalFlags({ endpoint, region, plugins = [], logLevel = 'warn' }: ProcessOptions) {
  return [
    '--json',
    ...['--log-level', logLevel],
    ...(endpoint === undefined ? [] : ['--endpoint', endpoint]),
    ...(region === undefined ? [] : ['--region', region]),
    ...plugins.flatMap((plugin) => ['--plugin', plugin]),
  ]
}

/** Calls `take` with each line of JSON; what is none is left out. */
export function readLines(stream: NodeJS.ReadableStream, take: (line: object) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const value = parsed(line)
      if (typeof value === 'object' && value !== null) take(value)
    }
  })
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
