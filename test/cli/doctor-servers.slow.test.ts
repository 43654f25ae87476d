import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startMinio } from '../servers/s3-servers.ts'
import { describeWithServers, requireServer } from '../servers/server-path.ts'
import { startServer } from '../servers/server-process.ts'
import { type CliResult, runCli, scratchFolder } from './run-cli.ts'
import { sampleDatabase } from './sample-database.ts'

const KEY = 'walsync-test'
const BUCKET = 'walsync-test-bucket'

interface Server {
  readonly env: Record<string, string>
  readonly url: string
  stop(): Promise<void>
}

/** VersityGW without metadata ignores conditions: a real service that breaks its word. */
async function startVersitygwWithoutMetadata(): Promise<Server> {
  const program = requireServer('versitygw')
  const server = await startServer((port, directory) => ({
    command: 'sh',
    args: [
      '-c',
      `mkdir -p "$1/data" && exec "$2" --access ${KEY} --secret ${KEY} --port 127.0.0.1:${port} --quiet posix --nometa "$1/data"`,
      'sh',
      directory,
      program,
    ],
  }))
  const credentials = { accessKeyId: KEY, secretAccessKey: KEY }
  const { url } = server
  const client = new S3Client({
    endpoint: url,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
  })
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
  client.destroy()
  const env = {
    AWS_ACCESS_KEY_ID: KEY,
    AWS_SECRET_ACCESS_KEY: KEY,
    AWS_ENDPOINT_URL_S3: url,
    AWS_REGION: 'us-east-1',
  }
  return { env, url: `s3://${BUCKET}/p`, stop: () => server.stop() }
}

interface Examination {
  readonly fit: boolean
  readonly findings: readonly { name: string; status: string; text: string }[]
}

const statuses = ({ stdout }: CliResult) =>
  Object.fromEntries(
    (JSON.parse(stdout) as Examination).findings.map(({ name, status }) => [name, status]),
  )

describeWithServers(['versitygw'], 'a real service that ignores conditions', () => {
  const folder = scratchFolder()
  let server: Server
  beforeAll(async () => {
    server = await startVersitygwWithoutMetadata()
  })
  afterAll(async () => {
    await server.stop()
    folder.remove()
  })

  it('is reported as not suitable by doctor', async () => {
    const { env, url } = server
    const result = await runCli(['doctor', '-b', url, '--json'], { env })
    expect(result.code).toBe(4)
    expect(statuses(result)).toMatchObject({ credentials: 'ok', 'create-only': 'failed' })
  })

  it('is refused by watch, unless fencing is off', async () => {
    const db = sampleDatabase(join(folder.path, 'app.db'), 1)
    const args = ['watch', 'app.db', '-b', server.url]
    const { code, stderr } = await runCli(args, { env: server.env, cwd: folder.path })
    expect(code).toBe(4)
    expect(stderr).toMatch(/^error: .*accepts a second create-only put/m)
    const list = await runCli(['list', '-b', server.url, '--json'], { env: server.env })
    expect(JSON.parse(list.stdout)).toMatchObject({ databases: [] })
    db.close()
  })
})

describeWithServers(['minio'], 'doctor on MinIO', () => {
  let server: Server
  beforeAll(async () => {
    const minio = await startMinio()
    server = { env: minio.env(), url: `s3://${minio.bucket}/p`, stop: () => minio.stop() }
  })
  afterAll(() => server.stop())

  it('is reported as suitable, with every check ok', async () => {
    const result = await runCli(['doctor', '-b', server.url, '--json'], { env: server.env })
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(new Set(Object.values(statuses(result)))).toEqual(new Set(['ok']))
  })

  it('says that the credentials are refused, with 4', async () => {
    const env = { ...server.env, AWS_SECRET_ACCESS_KEY: 'wrong-secret' }
    const result = await runCli(['doctor', '-b', server.url, '--json'], { env })
    expect(result.code).toBe(4)
    expect(statuses(result)).toMatchObject({ credentials: 'failed' })
    expect(result.stdout).not.toContain('wrong-secret')
  })

  it('says that the bucket does not exist, with 4', async () => {
    const args = ['doctor', '-b', 's3://no-such-bucket-here/p', '--json']
    const result = await runCli(args, { env: server.env })
    expect(result.code).toBe(4)
    expect(result.stdout).toContain('no-such-bucket-here')
    expect(statuses(result)).toMatchObject({ credentials: 'failed' })
  })
})
