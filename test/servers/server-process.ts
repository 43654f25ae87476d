import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ServerProcess {
  readonly port: number
  /** `http://127.0.0.1:port` */
  readonly url: string
  /** Where the server keeps its data; removed by `stop`. */
  readonly directory: string
  /** What the server printed so far. */
  output(): string
  stop(): Promise<void>
}

export interface ServerCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>> | undefined
}

/**
 * The server dies with this process, also if that is killed: the shell around it waits for the end
 * of its input, which the kernel brings about.
 */
const GUARD =
  '"$@" </dev/null & server=$!; cat >/dev/null; kill -9 $server; wait $server 2>/dev/null'
const READY_MS = 30_000

/** Starts a server on a free port with a data folder of its own and waits until it answers HTTP. */
export async function startServer(
  command: (port: number, directory: string) => ServerCommand,
): Promise<ServerProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'walsync-server-'))
  const port = await freePort()
  const { command: program, args, env } = command(port, directory)
  const child = spawn('sh', ['-c', GUARD, 'sh', program, ...args], {
    cwd: directory,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const output = collectOutput(child)
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.stdin?.end()
      await gone
    }
    await rm(directory, { recursive: true, force: true })
  }
  const url = `http://127.0.0.1:${port}`
  try {
    await answersHttp(url, () => `${program} does not answer on ${url}:\n${output()}`)
  } catch (error) {
    await stop()
    throw error
  }
  return { port, url, directory, output, stop }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

function collectOutput(child: ChildProcess): () => string {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8')
    stream?.on('data', (chunk: string) => {
      text = (text + chunk).slice(-20_000)
    })
  }
  return () => text
}

async function answersHttp(url: string, failure: () => string): Promise<void> {
  const deadline = Date.now() + READY_MS
  while (Date.now() < deadline) {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(1000) })
      await answer.arrayBuffer()
      if (answer.status !== 503) return
    } catch {
      // Not listening yet.
    }
    await sleep(50)
  }
  throw new Error(failure())
}
