import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, it } from 'vitest'
import { type ExampleName, packagesMarker } from './example-packages.ts'

export type ServerName =
  | 'minio'
  | 'versitygw'
  | 'fake-gcs-server'
  | 'litestream'
  | 'azurite'
  | 'sshd'
  | ExampleName

/** Where `npm run servers` puts a server, or `undefined` if it is not there. Azurite comes with npm. */
export function serverPath(name: ServerName): string | undefined {
  const path = expectedPath(name)
  return existsSync(path) ? path : undefined
}

/** The same for a caller that has made sure. */
export function requireServer(name: ServerName): string {
  const path = serverPath(name)
  if (path === undefined) throw new Error(missing(name))
  return path
}

/**
 * A `describe` that needs servers. Without them it is skipped by a name that says what is missing;
 * where they must be there (`CI`, or `WALSYNC_REQUIRE_SERVERS=1`) it fails instead.
 */
export function describeWithServers(
  names: readonly ServerName[],
  title: string,
  body: () => void,
): void {
  const absent = names.find((name) => serverPath(name) === undefined)
  if (absent === undefined) {
    describe(title, body)
  } else if (serversRequired()) {
    describe(title, () => {
      it(`has the server ${absent}`, () => {
        throw new Error(missing(absent))
      })
    })
  } else {
    describe.skip(`${title} (skipped: ${missing(absent)})`, () => {
      it('needs the server', () => {})
    })
  }
}

/** Must everything that a test needs be there? Then what is missing is a failure, not a skip. */
export function serversRequired(): boolean {
  const { CI = '', WALSYNC_REQUIRE_SERVERS = '' } = process.env
  return (CI !== '' && CI !== 'false' && CI !== '0') || WALSYNC_REQUIRE_SERVERS === '1'
}

function expectedPath(name: ServerName): string {
  if (name === 'azurite') {
    return fileURLToPath(
      new URL('../../node_modules/azurite/dist/src/blob/main.js', import.meta.url),
    )
  }
  if (name === 'sshd') return '/usr/sbin/sshd'
  if (name === 'durable-orders' || name === 'sftp-store') return packagesMarker(name)
  const root = process.env.WALSYNC_SERVERS || join(homedir(), '.cache', 'walsync-servers')
  return name === 'litestream'
    ? join(root, 'litestream', 'bin', 'litestream')
    : join(root, 'bin', name)
}

function missing(name: ServerName): string {
  if (name === 'azurite') return 'azurite is not installed, run npm ci'
  if (name === 'sshd') return 'sshd is not installed, run apt-get install openssh-server'
  return `${name} is not installed, run npm run servers`
}
