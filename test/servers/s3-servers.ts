import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { requireServer } from './server-path.ts'
import { type ServerProcess, startServer } from './server-process.ts'

export interface S3Server extends ServerProcess {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** A bucket that exists. */
  readonly bucket: string
  /** What a client of this server needs in its environment, for this endpoint or a proxy in front of it. */
  env(endpoint?: string): Record<string, string>
  /** A client of the SDK, to look behind the store. */
  client(): S3Client
}

const KEYS = { accessKeyId: 'walsync-test', secretAccessKey: 'walsync-test-secret-key' }
const BUCKET = 'walsync-test-bucket'

/** MinIO on one folder. A bucket is a folder in it. */
export async function startMinio(): Promise<S3Server> {
  const program = requireServer('minio')
  const server = await startServer((port, directory) => ({
    command: program,
    args: ['server', '--quiet', '--address', `127.0.0.1:${port}`, join(directory, 'data')],
    env: {
      MINIO_ROOT_USER: KEYS.accessKeyId,
      MINIO_ROOT_PASSWORD: KEYS.secretAccessKey,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
    },
  }))
  return await withBucket(server)
}

/** VersityGW on a folder, with metadata: without it (`--nometa`) the gateway ignores conditions. */
export async function startVersitygw(): Promise<S3Server> {
  const program = requireServer('versitygw')
  const server = await startServer((port, directory) => ({
    command: 'sh',
    args: [
      '-c',
      `mkdir -p "$1/data" && exec "$2" --access ${KEYS.accessKeyId} --secret ${KEYS.secretAccessKey} --port 127.0.0.1:${port} --keep-alive --quiet posix "$1/data"`,
      'sh',
      directory,
      program,
    ],
  }))
  return await withBucket(server)
}

async function withBucket(server: ServerProcess): Promise<S3Server> {
  const client = () =>
    new S3Client({
      endpoint: server.url,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: KEYS,
    })
  await createBucket(client(), BUCKET)
  return {
    ...server,
    ...KEYS,
    bucket: BUCKET,
    client,
    env: (endpoint = server.url) => ({
      AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: 'us-east-1',
    }),
  }
}

async function createBucket(client: S3Client, bucket: string): Promise<void> {
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  client.destroy()
}
