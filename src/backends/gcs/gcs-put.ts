import { randomUUID } from 'node:crypto'
import type { DriverBody, DriverPutOptions, PutResult, Version } from '../../core/store/index.ts'
import { type PutPart, putParts } from '../shared/put-parts.ts'
import type { GcsClient } from './gcs-client.ts'
import { type GcsResource, RESOURCE_FIELDS } from './gcs-resource.ts'
import { putResumable } from './gcs-resumable.ts'
import { type GcsPut, generationQuery, newResource } from './gcs-write.ts'

/** Stores a body in one request if it fits into one chunk, as a resumable upload otherwise. */
export async function putGcs(
  client: GcsClient,
  key: string,
  body: DriverBody,
  options: DriverPutOptions,
): Promise<PutResult> {
  const put: GcsPut = { client, key, options }
  const parts = putParts(body, client.options.partBytes)
  try {
    const first = await parts.next()
    // A body always has a first part, if only an empty one.
    const part = first.value as PutPart
    const resource = part.last
      ? await putOne(put, part.bytes)
      : await putResumable(put, part, parts)
    return { size: Number(resource.size), version: resource.generation as Version }
  } finally {
    await parts.return()
  }
}

/** @see https://cloud.google.com/storage/docs/uploading-objects#rest-upload-objects (multipart) */
async function putOne(put: GcsPut, bytes: Uint8Array): Promise<GcsResource> {
  const { client, options } = put
  const boundary = `walsync-${randomUUID()}`
  const head = `--${boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(newResource(put))}\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n\r\n`
  return await client.sendJson<GcsResource>({
    method: 'POST',
    path: `/upload${client.objectPath()}`,
    query: { uploadType: 'multipart', fields: RESOURCE_FIELDS, ...generationQuery(options) },
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body: [Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)],
    signal: options.signal,
  })
}
