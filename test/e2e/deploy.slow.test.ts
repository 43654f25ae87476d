import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { type S3Server, startMinio } from '../servers/s3-servers.ts'
import { describeWithServers } from '../servers/server-path.ts'
import { BUILT_CLI } from '../support/e2e-cli.ts'

const deploy = fileURLToPath(new URL('../../deploy/', import.meta.url))
const textOf = (path: string) => readFileSync(join(deploy, path), 'utf8')

describeWithServers(['minio'], 'the deployment files', () => {
  let server: S3Server
  let folder: string
  const running: Service[] = []

  beforeAll(async () => {
    server = await startMinio()
  })
  afterAll(async () => await server.stop())
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'walsync-deploy-'))
    mkdirSync(join(folder, 'data'))
  })
  afterEach(async () => {
    for (const service of running.splice(0)) await service.stop('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  /** Starts a command line of a file: /data is a folder, the bucket the server's. */
  function start(words: readonly string[], more: Record<string, string> = {}): Service {
    const service = new Service(
      words.map((word) => local(word)),
      folder,
      { ...environment(folder, server), ...more },
    )
    running.push(service)
    return service
  }

  const local = (word: string) =>
    word
      .replace(/^\/(data|srv\/app)\//, `${join(folder, 'data')}/`)
      .replace('server.mjs', join(deploy, 'example-app/server.mjs'))

  it.each(['kubernetes', 'systemd'])(
    '%s: the restore does nothing on a new volume and brings the rows back on a lost one',
    async (kind) => {
      const { restore, watch } =
        kind === 'kubernetes' ? kubernetesLines(folder) : systemdLines(folder)
      const bucket = { WALSYNC_BUCKET: bucketOf(server, kind) }
      const application = ['node', 'server.mjs']

      expect(await start(restore, bucket).ended).toBe(0)
      const watcher = start(watch, bucket)
      const first = start(application)
      await first.answers('POST', '{"visits":1}')
      await watcher.printed('app')
      await until(() => spawnWalsync(['list', '-b', bucket.WALSYNC_BUCKET]).includes('app'))
      expect(await first.stop('SIGTERM')).toBe(0)
      expect(await watcher.stop('SIGTERM')).toBe(0)

      expect(await start(restore, bucket).ended).toBe(0)
      rmSync(join(folder, 'data'), { recursive: true })
      mkdirSync(join(folder, 'data'))
      expect(await start(restore, bucket).ended).toBe(0)
      await start(application).answers('GET', '{"visits":1}')
    },
    120_000,
  )

  function spawnWalsync(args: string[]): string {
    const env = environment(folder, server)
    return spawnSync('walsync', args, { cwd: folder, env, encoding: 'utf8' }).stdout
  }
})

describe('the Kubernetes file', () => {
  it('has no container that is root, writes to its root file system or keeps a capability', () => {
    const { spec } = kubernetesObject('StatefulSet').spec.template
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 })
    for (const { name, securityContext } of [...spec.initContainers, ...spec.containers]) {
      expect({ name, ...securityContext }).toEqual({
        name,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
    }
    expect(spec.initContainers[1].restartPolicy).toBe('Always')
  })
})

describe('the systemd units', () => {
  it.skipIf(spawnSync('systemd-analyze', ['--version']).error !== undefined)(
    'pass systemd-analyze verify (skipped where that is not installed)',
    () => {
      const copies = mkdtempSync(join(tmpdir(), 'walsync-units-'))
      for (const name of readdirSync(join(deploy, 'systemd'))) {
        const text = textOf(`systemd/${name}`).replaceAll('/usr/local/bin/walsync', '/bin/true')
        writeFileSync(join(copies, name), text)
      }
      writeFileSync(join(copies, 'app.service'), '[Service]\nExecStart=/bin/true\n')
      const units = ['walsync.service', 'walsync-restore.service'].map((name) => join(copies, name))
      const { stderr, status } = spawnSync('systemd-analyze', ['verify', ...units], {
        encoding: 'utf8',
      })
      rmSync(copies, { recursive: true })
      expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
    },
  )
})

// biome-ignore lint/suspicious/noExplicitAny: Kubernetes objects
function kubernetesObject(kind: string): any {
  const documents = parseAllDocuments(textOf('kubernetes/app.yaml'), { merge: true })
  return documents.map((one) => one.toJS()).find((one) => one.kind === kind)
}

function kubernetesLines(folder: string) {
  const [restore, watch] = kubernetesObject('StatefulSet').spec.template.spec.initContainers
  const config = join(folder, 'walsync.yml')
  const yaml: string = kubernetesObject('ConfigMap').data['walsync.yml']
  writeFileSync(config, yaml.replaceAll('/data/', `${join(folder, 'data')}/`))
  const args = watch.args.map((word: string) => word.replace('/etc/walsync/walsync.yml', config))
  return { restore: ['walsync', ...restore.args], watch: ['walsync', ...args] }
}

function systemdLines(folder: string) {
  const config = join(folder, 'walsync.yml')
  const yaml = textOf('systemd/walsync.yml').replaceAll('/srv/app/', `${join(folder, 'data')}/`)
  writeFileSync(config, yaml)
  const lineOf = (unit: string) =>
    (/^ExecStart=\/usr\/local\/bin\/(.*)$/m.exec(textOf(`systemd/${unit}`))?.[1] ?? '')
      .replace('/etc/walsync/walsync.yml', config)
      .split(' ')
  return { restore: lineOf('walsync-restore.service'), watch: lineOf('walsync.service') }
}

const bucketOf = (server: S3Server, prefix: string) => `s3://${server.bucket}/${prefix}`

function environment(folder: string, server: S3Server): Record<string, string> {
  const bin = join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  const script = join(bin, 'walsync')
  // Once: a shell that has just been started would read an emptied script, and end with 0.
  if (!existsSync(script)) {
    writeFileSync(script, `#!/bin/sh\nexec ${process.execPath} ${BUILT_CLI} "$@"\n`, {
      mode: 0o755,
    })
  }
  return {
    PATH: `${bin}:${dirname(process.execPath)}:${process.env.PATH}`,
    HOME: folder,
    WALSYNC_RUN_DIR: join(folder, 'run'),
    DATABASE: join(folder, 'data/app.db'),
    PORT: '18081',
    ...server.env(),
  }
}

class Service {
  readonly ended: Promise<number | null>
  output = ''
  readonly #child

  constructor(
    [program = '', ...args]: readonly string[],
    cwd: string,
    env: Record<string, string>,
  ) {
    this.#child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
    this.ended = once(this.#child, 'close').then(([code]) => code as number | null)
  }

  async answers(method: string, expected: string): Promise<void> {
    let answer = ''
    await until(async () => {
      try {
        answer = await (await fetch('http://127.0.0.1:18081/', { method })).text()
        return true
      } catch {
        return this.#failed()
      }
    })
    expect(answer.trim()).toBe(expected)
  }

  async printed(text: string): Promise<void> {
    await until(() => this.output.includes(text) || this.#failed())
  }

  async stop(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal)
    return await this.ended
  }

  #failed(): false {
    if (this.#child.exitCode === null) return false
    throw new Error(`exited with ${this.#child.exitCode}:\n${this.output}`)
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it did not happen within a minute')
    await delay(100)
  }
}
