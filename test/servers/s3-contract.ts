import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { provider } from '../../src/backends/s3/index.ts'
import type { ContractHarness } from '../../src/testing/harness.ts'
import { httpHarness } from './contract-harness.ts'
import { type SeenRequest, s3Dialect } from './fault-dialects.ts'
import { type ServiceHelp, startFaultProxy } from './fault-proxy.ts'
import type { S3Server } from './s3-servers.ts'

const PART_BYTES = 5 * 1024 * 1024

/** An S3 server with the fault proxy in front, for the contract suite. */
export async function s3Contract(
  name: string,
  server: S3Server,
  residue: (server: S3Server, prefix: string) => Promise<readonly string[]>,
): Promise<{ readonly harness: ContractHarness; stop(): Promise<void> }> {
  const client = server.client()
  const proxy = await startFaultProxy(server.url, s3Dialect, s3Help(client))
  const env = server.env(proxy.url)
  const harness = httpHarness({
    name,
    provider,
    backend: 's3',
    url: `s3://${server.bucket}`,
    missingUrl: 's3://walsync-no-such-bucket',
    proxy,
    env,
    refusedEnv: { ...env, AWS_SECRET_ACCESS_KEY: 'this-is-not-the-secret-key' },
    secrets: [server.secretAccessKey, 'this-is-not-the-secret-key'],
    partBytes: PART_BYTES,
    residue: (prefix) => residue(server, prefix),
  })
  return {
    harness,
    async stop() {
      await proxy.close()
      client.destroy()
      await server.stop()
    },
  }
}

/** Unfinished uploads as the service lists them. */
export async function listedUploads(server: S3Server, prefix: string): Promise<readonly string[]> {
  const client = server.client()
  const answer = await client.send(new ListMultipartUploadsCommand({ Bucket: server.bucket }))
  client.destroy()
  const keys = (answer.Uploads ?? []).map(({ Key = '' }) => Key)
  return keys.filter((key) => key.includes(`${prefix}/`))
}

/** Unfinished uploads in MinIO's folder: it lists those of one object only. */
export async function minioUploads(server: S3Server): Promise<readonly string[]> {
  const folder = join(server.directory, 'data', '.minio.sys', 'multipart')
  const entries = await readdir(folder, { recursive: true }).catch(() => [])
  return entries.filter((entry) => entry.endsWith('xl.meta'))
}

function s3Help(client: S3Client): ServiceHelp {
  return {
    async wholeObject(request) {
      const answer = await client.send(new GetObjectCommand(target(request)))
      const body = await answer.Body!.transformToByteArray()
      const headers = {
        etag: answer.ETag ?? '',
        'last-modified': answer.LastModified?.toUTCString() ?? '',
      }
      return { headers, body }
    },
    async deleteBatch(request, body, refused) {
      const { Bucket } = target(request)
      const keys = [...body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) => key)
      const isRefused = (key: string) => [...refused].some((one) => key.endsWith(`/${one}`))
      const Objects = keys.filter((key) => !isRefused(key)).map((Key) => ({ Key }))
      if (Objects.length > 0) {
        await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
      }
      const results = keys.map((key) =>
        isRefused(key)
          ? `<Error><Key>${key}</Key><Code>AccessDenied</Code></Error>`
          : `<Deleted><Key>${key}</Key></Deleted>`,
      )
      return {
        headers: { 'content-type': 'application/xml' },
        body: `<?xml version="1.0" encoding="UTF-8"?><DeleteResult>${results.join('')}</DeleteResult>`,
      }
    },
  }
}

function target({ url }: SeenRequest): { Bucket: string; Key: string } {
  const [, Bucket = '', ...rest] = decodeURIComponent(url.pathname).split('/')
  return { Bucket, Key: rest.join('/') }
}
