import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { startMinio } from '../servers/s3-servers.ts'
import { serverPath, serversRequired } from '../servers/server-path.ts'
import { BUILT_CLI } from '../support/built-cli.ts'
import { type DocsBlock, neededBucket, shellBlocks } from '../support/docs-blocks.ts'
import { groupsBelow } from '../support/process-groups.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const pages = [
  'README.md',
  'docs/start.md',
  ...readdirSync(`${root}docs/guides`).map((name) => `docs/guides/${name}`),
].filter((page) => shellBlocks(root + page).some(({ mode }) => mode === 'run'))

const lacksSqlite = !serversRequired() && !hasSqlite()

describe.skipIf(lacksSqlite)('the shell blocks of the documentation (needs sqlite3)', () => {
  for (const page of pages) {
    const bucket = neededBucket(root + page)
    const lacksServer = bucket !== undefined && serverPath('minio') === undefined
    const isSkipped = !serversRequired() && lacksServer
    // Most of the time is waiting, so the pages share it. Each has ports of its own.
    it.skipIf(isSkipped).concurrent(
      `${page} does what it says when it is typed from top to bottom${bucket ? ' (needs minio)' : ''}`,
      async () => {
        const server = bucket === undefined ? undefined : await startMinio()
        const terminal = new Terminal(page, server?.env())
        try {
          if (server !== undefined) await createBucket(server, bucket!)
          for (const block of shellBlocks(root + page)) await terminal.perform(block)
          await terminal.stopBackground()
        } finally {
          await terminal.close()
          await server?.stop()
        }
      },
      240_000,
    )
  }
})

/** The reader of one page, in an empty folder with `walsync` on the path. */
class Terminal {
  readonly #page: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'walsync-docs-'))
  readonly #env: Record<string, string>
  #background: Background[] = []

  constructor(page: string, serverEnv: Record<string, string> = {}) {
    this.#page = page
    const bin = join(this.#folder, '.bin')
    mkdirSync(bin)
    writeFileSync(join(bin, 'walsync'), `#!/bin/sh\nexec ${process.execPath} ${BUILT_CLI} "$@"\n`)
    chmodSync(join(bin, 'walsync'), 0o755)
    symlinkSync(join(root, 'deploy'), join(this.#folder, 'deploy'))
    this.#env = {
      PATH: `${bin}:${dirname(process.execPath)}:${process.env.PATH}`,
      HOME: this.#folder,
      WALSYNC_RUN_DIR: join(this.#folder, '.run'),
      ...serverEnv,
    }
  }

  async perform(block: DocsBlock): Promise<void> {
    const where = `${this.#page}:${block.line}`
    if (block.mode === 'background') {
      const started = this.#start(block.code)
      this.#background.push(started)
      await started.printed(block.until, where)
    } else if (block.mode === 'kill') {
      for (const process of this.#background.splice(0)) await process.stop('SIGKILL')
    } else if (block.mode === 'stop-oldest') {
      expect(await this.#background.shift()?.stop('SIGTERM')).toBe(0)
    } else if (block.mode === 'run') {
      await delay(block.afterSeconds * 1000)
      const run = this.#start(block.code)
      const code = await run.ended
      expect(`${where} exited with ${code}\n${code === block.exitCode ? '' : run.output}`).toBe(
        `${where} exited with ${block.exitCode}\n`,
      )
    }
  }

  async stopBackground(): Promise<void> {
    for (const process of this.#background) expect(await process.stop('SIGTERM')).toBe(0)
  }

  async close(): Promise<void> {
    for (const process of this.#background) await process.stop('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #start(code: string): Background {
    return new Background(code, this.#folder, this.#env)
  }
}

class Background {
  readonly ended: Promise<number | null>
  output = ''
  readonly #child: ChildProcess

  constructor(code: string, cwd: string, env: Record<string, string>) {
    this.#child = spawn('bash', ['-euo', 'pipefail', '-c', code], {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
    this.ended = once(this.#child, 'close').then(([exitCode]) => exitCode as number | null)
  }

  /** Waits for a text in the output, one minute at most. */
  async printed(text: string, where: string): Promise<void> {
    for (let waited = 0; !this.output.includes(text); waited += 100) {
      if (waited > 60_000 || this.#child.exitCode !== null) {
        throw new Error(`${where} did not print "${text}" but:\n${this.output}`)
      }
      await delay(100)
    }
  }

  async stop(signal: NodeJS.Signals): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      // The whole group: bash does not pass a signal on. An application has a group of its own.
      const others = signal === 'SIGKILL' ? groupsBelow(this.#child.pid!) : []
      for (const group of [this.#child.pid!, ...others]) process.kill(-group, signal)
    }
    return await this.ended
  }
}

async function createBucket(server: Awaited<ReturnType<typeof startMinio>>, name: string) {
  const { CreateBucketCommand } = await import('@aws-sdk/client-s3')
  const client = server.client()
  await client.send(new CreateBucketCommand({ Bucket: name }))
  client.destroy()
}

function hasSqlite(): boolean {
  try {
    execFileSync('sqlite3', ['--version'])
    return true
  } catch {
    return false
  }
}
