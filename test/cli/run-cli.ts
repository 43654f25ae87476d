import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BUILT_CLI } from '../support/built-cli.ts'

/** Outside of the folder that a test takes for its home. */
const COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/node', import.meta.url))

export interface CliResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunningCli {
  readonly process: ChildProcess
  readonly ended: Promise<CliResult>
  /** Resolves with the first line of stdout that the test accepts; rejects if the process ends before. */
  line(accept: (line: string) => boolean): Promise<string>
}

export interface CliOptions {
  readonly cwd?: string | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Arguments for Node itself. */
  readonly node?: readonly string[] | undefined
}

/** Runs one command line to its end. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).ended
}

/** Starts a command line that runs until it is stopped. */
export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  const child = spawn(process.execPath, [...(options.node ?? []), BUILT_CLI, ...args], {
    cwd: options.cwd,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: tmpdir(),
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  let wake: () => void = () => undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    wake()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<CliResult>((resolve) => {
    child.once('close', (code, signal) => {
      resolve({ code, signal, stdout, stderr })
      wake()
    })
  })
  return {
    process: child,
    ended,
    async line(accept) {
      for (;;) {
        const found = stdout.split('\n').slice(0, -1).find(accept)
        if (found !== undefined) return found
        if (child.exitCode !== null || child.signalCode !== null) {
          await ended
          throw new Error(`walsync ended with ${child.exitCode ?? child.signalCode}: ${stderr}`)
        }
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}

/** A folder with a space in its name, gone when the test file ends. */
export function scratchFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'walsync cli '))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}
