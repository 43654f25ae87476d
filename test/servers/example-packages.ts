import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Examples with packages of their own. */
export type ExampleName = 'durable-orders' | 'sftp-store'

/**
 * What `npm run servers` writes when it has installed the packages of an example, outside the clone
 * and in a folder that is named after the lock file.
 */
export function packagesMarker(name: ExampleName): string {
  const lock = readFileSync(join(root, 'examples', name, 'package-lock.json'))
  const hash = createHash('sha256').update(lock).digest('hex').slice(0, 12)
  const servers = process.env.WALSYNC_SERVERS || join(homedir(), '.cache', 'walsync-servers')
  return join(servers, 'examples', `${name}-${hash}`, 'complete')
}

/**
 * Copies an example next to its packages and the built walsync, and runs its script `generate`.
 *
 * @returns its folder
 */
export function installExample(name: ExampleName, into: string): string {
  const packages = join(dirname(packagesMarker(name)), 'node_modules')
  const folder = join(into, name)
  const modules = join(folder, 'node_modules')
  cpSync(join(root, 'examples', name), folder, {
    recursive: true,
    filter: (path) => !path.includes('node_modules'),
  })
  mkdirSync(modules, { recursive: true })
  for (const entry of readdirSync(packages))
    symlinkSync(join(packages, entry), join(modules, entry))
  symlinkSync(root, join(modules, 'walsync'))
  generate(folder)
  return folder
}

/**
 * `prisma generate` downloads Prisma's engine for migrations, and then does not start it. Tests must
 * not need that server, so a file that exists is named as the engine, and the check for updates is
 * turned off.
 */
function generate(folder: string): void {
  const { status, stdout, stderr } = spawnSync('npm', ['run', '--if-present', 'generate'], {
    cwd: folder,
    env: {
      ...process.env,
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      CHECKPOINT_DISABLE: '1',
    },
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`npm run generate failed in ${folder}: ${stdout}${stderr}`)
}
