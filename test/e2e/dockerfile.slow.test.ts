import { execFile, execFileSync, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { dockerStages, dockerVariables, execForm } from '../support/dockerfile.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const DOCKERFILE = join(root, 'deploy/Dockerfile')
const EXAMPLE = join(root, 'deploy/example-app/Dockerfile')
const FILES = [DOCKERFILE, EXAMPLE, join(root, 'deploy/fly/Dockerfile')]
const folder = mkdtempSync(join(tmpdir(), 'walsync-image-'))
const [build, image] = dockerStages(DOCKERFILE)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the Dockerfile, step by step without a daemon', () => {
  it('builds a program that runs with only the SDK of the store', async () => {
    const work = join(folder, 'walsync')
    await perform(work)

    const { dependencies } = JSON.parse(readFileSync(join(work, 'package.json'), 'utf8'))
    expect(Object.keys(dependencies)).toContain('@aws-sdk/client-s3')
    for (const name of ['@aws-sdk/client-s3', '@smithy/core']) {
      expect(existsSync(join(work, 'node_modules', name)), name).toBe(true)
    }
    for (const name of ['vitest', 'typescript', 'pino', '@azure/storage-blob']) {
      expect(existsSync(join(work, 'node_modules', name)), name).toBe(false)
    }
    const [entry = '', ...args] = execForm(image!, 'ENTRYPOINT')
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const { stdout } = await promisify(execFile)(entry, [...args, '--version'], { env: imageEnv() })
    expect(stdout).toBe(`${version}\n`)
  }, 600_000)

  it.each([DOCKERFILE, EXAMPLE])(
    '%s runs as a user who is not root and checks its health',
    (path) => {
      const stage = dockerStages(path).at(-1)!
      const rest = (verb: string) => stage.instructions.find((one) => one.verb === verb)?.rest
      expect(rest('USER')).toMatch(/^[1-9]\d*$/)
      // A new volume takes the owner of the folder that it is mounted over.
      expect(rest('RUN')).toContain(`chown ${rest('USER')}:${rest('USER')} /data`)
      expect(execForm(stage, 'HEALTHCHECK')).toEqual(['walsync', 'status'])
    },
  )

  it.skipIf(spawnSync('hadolint', ['--version']).error !== undefined)(
    'has no finding of hadolint (skipped where that is not installed)',
    () => {
      expect(execFileSync('hadolint', FILES, { encoding: 'utf8' })).toBe('')
    },
  )
})

/** The build stage, in a folder instead of a container; packages are copied instead of downloaded. */
async function perform(work: string): Promise<void> {
  let env: NodeJS.ProcessEnv = { ...process.env, npm_config_prefer_offline: 'true' }
  for (const { verb, rest } of build!.instructions) {
    if (verb === 'WORKDIR') mkdirSync(join(folder, rest), { recursive: true })
    else if (verb === 'COPY') copyContext(work)
    else if (verb === 'ARG') env = { ...env, ...dockerVariables(rest) }
    else if (verb === 'RUN') {
      const packages = realpathSync(join(root, 'node_modules'))
      const copy = `(cp -al ${packages} node_modules 2>/dev/null || cp -a ${packages} node_modules)`
      const command = rest.replace('npm ci', copy)
      await promisify(execFile)('sh', ['-ec', command], { cwd: work, env })
      // npm writes into this one file; a link would change that of the clone.
      cpSync(join(packages, '.package-lock.json'), join(work, 'node_modules/.own-lock.json'))
    } else throw new Error(`the test does not know how to do ${verb}`)
  }
}

/** `COPY . .`: what `.dockerignore` lets through. */
function copyContext(work: string): void {
  const allowed = readFileSync(join(root, '.dockerignore'), 'utf8').matchAll(/^!(.+)$/gm)
  for (const [, path = ''] of allowed) {
    const names = path.includes('*') ? ['tsconfig.json', 'tsconfig.build.json'] : [path]
    for (const name of names) {
      mkdirSync(dirname(join(work, name)), { recursive: true })
      cpSync(join(root, name), join(work, name), { recursive: true })
    }
  }
}

function imageEnv(): Record<string, string> {
  const set = image!.instructions.filter(({ verb }) => verb === 'ENV')
  const own = Object.assign({}, ...set.map(({ rest }) => dockerVariables(rest)))
  const path = String(own.PATH).replace('/walsync', join(folder, 'walsync'))
  return { ...own, PATH: path.replace('$PATH', `${dirname(process.execPath)}:${process.env.PATH}`) }
}
