import { mkdtemp, open, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import type { S3Server } from '../../test/servers/s3-servers.ts'

/** About what one commit of a row becomes. */
const OBJECT_BYTES = 700

/** Milliseconds of files that are written, synced, renamed, and whose folder is synced. */
export async function putsIntoFolder(): Promise<number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'walsync-bench-'))
  try {
    return await timesOf(async (i) => {
      const file = await open(join(folder, 'temporary'), 'w')
      await file.write(new Uint8Array(OBJECT_BYTES))
      await file.sync()
      await file.close()
      await rename(join(folder, 'temporary'), join(folder, String(i)))
      const parent = await open(folder, 'r')
      await parent.sync()
      await parent.close()
    })
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Milliseconds of PUTs by the AWS SDK. */
export async function putsIntoMinio(server: S3Server): Promise<number[]> {
  const client = server.client()
  const Body = new Uint8Array(OBJECT_BYTES)
  try {
    return await timesOf(async (i) => {
      await client.send(new PutObjectCommand({ Bucket: server.bucket, Key: `put/${i}`, Body }))
    })
  } finally {
    client.destroy()
  }
}

/** Milliseconds of 30 PUTs with pauses, after one that opens what is needed. */
async function timesOf(put: (i: number) => Promise<void>): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i <= 30; i++) {
    const startedAt = performance.now()
    await put(i)
    times.push(performance.now() - startedAt)
    await delay(150)
  }
  return times.slice(1)
}
