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
import { parseAllDocuments, parse as parseYaml } from 'yaml'
import { type S3Server, startMinio } from '../servers/s3-servers.ts'
import { describeWithServers } from '../servers/server-path.ts'
import { BUILT_CLI } from '../support/built-cli.ts'
import { dockerStages, execForm } from '../support/dockerfile.ts'
import { groupsBelow } from '../support/process-groups.ts'

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
  function start(
    words: readonly string[],
    more: Record<string, string> = {},
    port = 18081,
  ): Service {
    const service = new Service(
      words.map((word) => local(word)),
      folder,
      { ...environment(folder, server), ...more },
      port,
    )
    running.push(service)
    return service
  }

  const local = (word: string) =>
    word
      .replace(/^\/(data|srv\/app)\//, `${join(folder, 'data')}/`)
      .replace('server.mjs', join(deploy, 'example-app/server.mjs'))
      .replace('0.0.0.0:9090', '127.0.0.1:18091')

  function loseTheVolume(): void {
    rmSync(join(folder, 'data'), { recursive: true })
    mkdirSync(join(folder, 'data'))
  }

  it('compose: a row that walsync sync called safe survives a kill and a lost volume', async () => {
    const { services } = parseYaml(textOf('compose.yaml'))
    expect(services.app).toMatchObject({ read_only: true, init: true, cap_drop: ['ALL'] })
    // Everything that the file sets is set here, too, with the values of the test's server.
    const own = Object.keys(services.app.environment)
    expect([...Object.keys(server.env()), 'WALSYNC_BUCKET']).toEqual(expect.arrayContaining(own))
    const bucket = { WALSYNC_BUCKET: bucketOf(server, 'compose') }

    const first = start(imageLine(), bucket)
    await first.answers('POST', '{"visits":1}')
    await first.answers('POST', '{"visits":2}')
    expect(walsync(['sync', 'app'], bucket)).toContain('all is in the store')
    await first.stop('SIGKILL')

    loseTheVolume()
    await start(imageLine(), bucket).answers('GET', '{"visits":2}')
    expect(walsync(['verify', 'app', '--restore'], bucket)).toContain('good')
  }, 120_000)

  it('kamal: two releases run on one volume, and what both write survives the loss of the volume', async () => {
    const { servers, volumes } = parseYaml(textOf('kamal/deploy.yml'))
    expect(servers.web.options).toEqual({ init: true, 'stop-timeout': 40 })
    expect(volumes).toEqual(['app_data:/data'])
    const bucket = { WALSYNC_BUCKET: bucketOf(server, 'kamal') }

    const old = start(imageLine(), bucket, 18081)
    await old.answers('POST', '{"visits":1}')
    const next = start(imageLine(), bucket, 18082)
    await next.answers('POST', '{"visits":2}')
    expect(next.output).toContain('standing by')
    await old.answers('POST', '{"visits":3}')
    expect(await old.stop('SIGTERM')).toBe(0)
    await next.answers('POST', '{"visits":4}')
    expect(await next.stop('SIGTERM')).toBe(0)
    // Handed over: one full copy, by the first release.
    expect([old, next].map(({ output }) => output.includes('full copy uploaded'))).toEqual([
      true,
      false,
    ])

    loseTheVolume()
    await start(imageLine(), bucket, 18083).answers('GET', '{"visits":4}')
  }, 120_000)

  it.each(['kubernetes', 'systemd'])(
    '%s: the restore does nothing on a new volume and brings the rows back on a lost one',
    async (kind) => {
      const { restore, watch } = kind === 'kubernetes' ? kubernetesLines() : systemdLines(folder)
      const bucket = {
        WALSYNC_BUCKET: bucketOf(server, kind),
        WALSYNC_HTTP_TOKEN: 'a-token-for-this-test',
      }
      const application = ['node', 'server.mjs']

      expect(await start(restore, bucket).ended).toBe(0)
      const watcher = start(watch, bucket)
      const first = start(application)
      await first.answers('POST', '{"visits":1}')
      await watcher.printed('full copy uploaded')
      expect(walsync(['sync', 'app'], bucket)).toContain('all is in the store')
      if (kind === 'kubernetes') {
        expect((await fetch(`http://127.0.0.1:18091${livenessPath()}`)).status).toBe(200)
      }
      expect(await first.stop('SIGTERM')).toBe(0)
      expect(await watcher.stop('SIGTERM')).toBe(0)

      expect(await start(restore, bucket).ended).toBe(0)
      loseTheVolume()
      expect(await start(restore, bucket).ended).toBe(0)
      await start(application).answers('GET', '{"visits":1}')
    },
    120_000,
  )

  function walsync(args: string[], more: Record<string, string>): string {
    const env = { ...environment(folder, server), ...more }
    const { stdout, stderr } = spawnSync('walsync', args, { cwd: folder, env, encoding: 'utf8' })
    return stdout + stderr
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

function kubernetesLines() {
  const [restore, watch] = kubernetesObject('StatefulSet').spec.template.spec.initContainers
  return { restore: ['walsync', ...restore.args], watch: ['walsync', ...watch.args] }
}

const livenessPath = (): string =>
  kubernetesObject('StatefulSet').spec.template.spec.initContainers[1].livenessProbe.httpGet.path

/** What a container of the example image runs. */
function imageLine(): string[] {
  const stage = dockerStages(join(deploy, 'example-app/Dockerfile')).at(-1)!
  return [...execForm(stage, 'ENTRYPOINT'), ...execForm(stage, 'CMD')]
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
    ...server.env(),
  }
}

class Service {
  readonly ended: Promise<number | null>
  output = ''
  readonly #child
  readonly #port: number

  constructor(
    [program = '', ...args]: readonly string[],
    cwd: string,
    env: Record<string, string>,
    port: number,
  ) {
    this.#port = port
    this.#child = spawn(program, args, {
      cwd,
      env: { ...env, PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
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
        answer = await (await fetch(`http://127.0.0.1:${this.#port}/`, { method })).text()
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
    const isRunning = this.#child.exitCode === null && this.#child.signalCode === null
    // A child of walsync survives the SIGKILL of walsync; a container would end it, too.
    const groups = isRunning && signal === 'SIGKILL' ? groupsBelow(this.#child.pid!) : []
    this.#child.kill(signal)
    for (const group of groups) process.kill(-group, signal)
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
