import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startMinio } from '../servers/s3-servers.ts'
import { serverPath } from '../servers/server-path.ts'
import { type DocsBlock, neededBucket, shellBlocks } from '../support/docs-blocks.ts'
import { BUILT_CLI } from '../support/e2e-cli.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const pages = [
  'README.md',
  'docs/start.md',
  ...readdirSync(`${root}docs/guides`).map((name) => `docs/guides/${name}`),
].filter((page) => shellBlocks(root + page).some(({ mode }) => mode === 'run'))

let folder: string
let env: Record<string, string>
let background: Background[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-docs-'))
  const bin = join(folder, '.bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'walsync'), `#!/bin/sh\nexec ${process.execPath} ${BUILT_CLI} "$@"\n`)
  execFileSync('chmod', ['+x', join(bin, 'walsync')])
  symlinkSync(join(root, 'deploy'), join(folder, 'deploy'))
  env = {
    PATH: `${bin}:${dirname(process.execPath)}:${process.env.PATH}`,
    HOME: folder,
    WALSYNC_RUN_DIR: join(folder, '.run'),
  }
  background = []
})

afterEach(async () => {
  for (const process of background) await process.stop('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

describe.skipIf(!hasSqlite())('the shell blocks of the documentation (needs sqlite3)', () => {
  for (const page of pages) {
    const bucket = neededBucket(root + page)
    it.skipIf(bucket !== undefined && serverPath('minio') === undefined)(
      `${page} does what it says when it is typed from top to bottom${bucket ? ' (needs minio)' : ''}`,
      async () => {
        const server = bucket === undefined ? undefined : await startMinio()
        try {
          if (server !== undefined) {
            Object.assign(env, server.env())
            await createBucket(server, bucket!)
          }
          for (const block of shellBlocks(root + page)) await perform(page, block)
          for (const process of background) expect(await process.stop('SIGTERM')).toBe(0)
        } finally {
          await server?.stop()
        }
      },
      240_000,
    )
  }
})

async function perform(page: string, block: DocsBlock): Promise<void> {
  const where = `${page}:${block.line}`
  if (block.mode === 'background') {
    const started = new Background(block.code)
    background.push(started)
    await started.printed(block.until, where)
  } else if (block.mode === 'kill') {
    for (const process of background.splice(0)) await process.stop('SIGKILL')
  } else if (block.mode === 'run') {
    await delay(block.afterSeconds * 1000)
    const run = new Background(block.code)
    const code = await run.ended
    expect(`${where} exited with ${code}\n${code === block.exitCode ? '' : run.output}`).toBe(
      `${where} exited with ${block.exitCode}\n`,
    )
  }
}

class Background {
  readonly ended: Promise<number | null>
  output = ''
  readonly #child: ChildProcess

  constructor(code: string) {
    this.#child = spawn('bash', ['-euo', 'pipefail', '-c', code], {
      cwd: folder,
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

/** The process groups that were begun below a process. */
function groupsBelow(pid: number): number[] {
  const table = execFileSync('ps', ['-eo', 'pid=,ppid=,pgid='], { encoding: 'utf8' })
  const rows = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  const groups: number[] = []
  const visit = (parent: number) => {
    for (const [child = 0, of = 0, group = 0] of rows) {
      if (of !== parent) continue
      if (group === child) groups.push(group)
      visit(child)
    }
  }
  visit(pid)
  return groups
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
