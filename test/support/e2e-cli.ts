import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { BUILT_CLI } from './built-cli.ts'

const SHORT_ATTEMPTS = new URL('e2e-short-attempts.ts', import.meta.url).href

export interface CliSurroundings {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>> | undefined
  /** An attempt that hears nothing ends after this many milliseconds, not after the built-in 30,000. */
  readonly attemptTimeoutMs?: number | undefined
  /** Another copy of the CLI. Default: the one in `dist`. */
  readonly bin?: string | undefined
}

export interface CliEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Starts the built CLI; `ended` resolves when it has ended and all its output was read. */
export function spawnCli(
  args: readonly string[],
  { cwd, env, attemptTimeoutMs, bin = BUILT_CLI }: CliSurroundings,
): { readonly child: ChildProcess; readonly ended: Promise<CliEnd>; stdout(): string } {
  const preload = attemptTimeoutMs === undefined ? [] : ['--import', SHORT_ATTEMPTS]
  const child = spawn(process.execPath, [...preload, bin, ...args], {
    cwd,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: tmpdir(),
      ...(attemptTimeoutMs && { WALSYNC_TEST_ATTEMPT_MS: String(attemptTimeoutMs) }),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    stdout,
    stderr,
  }))
  return { child, ended, stdout: () => stdout }
}

/** Runs one command line to its end. */
export function runBuilt(args: readonly string[], surroundings: CliSurroundings): Promise<CliEnd> {
  return spawnCli(args, surroundings).ended
}

/** Runs a command with `--json` and reads its one result. @throws Error unless it ends with 0 */
export async function runJson<T>(args: readonly string[], where: CliSurroundings): Promise<T> {
  const { code, signal, stdout, stderr } = await runBuilt([...args, '--json'], where)
  if (code === 0) return JSON.parse(stdout) as T
  throw new Error(`walsync ${args.join(' ')} ended with ${code ?? signal}: ${stderr}`)
}
