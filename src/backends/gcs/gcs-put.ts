import { randomUUID } from 'node:crypto'
import type { PutBody, PutOptions, PutResult, Version } from '../../core/store/index.ts'
import { isStoreError, type StoreError } from '../../core/store/index.ts'
import type { ConditionalWrites, StoredWrite } from '../shared/conditional-write.ts'
import { type PutPart, putParts } from '../shared/put-parts.ts'
import type { GcsClient } from './gcs-client.ts'
import { mapGcsError } from './gcs-errors.ts'
import {
  type GcsResource,
  RESOURCE_FIELDS,
  resourceMetadata,
  resourceWriteId,
} from './gcs-resource.ts'
import { putResumable } from './gcs-resumable.ts'

/** One put on its way: what each of its requests needs. */
export interface GcsPut {
  readonly client: GcsClient
  readonly key: string
  readonly options: PutOptions
  readonly signal: AbortSignal
}

/** Stores a body in one request if it fits into one chunk, as a resumable upload otherwise. */
export async function putGcs(
  client: GcsClient,
  writes: ConditionalWrites,
  key: string,
  body: PutBody,
  options: PutOptions,
  signal: AbortSignal,
): Promise<PutResult> {
  const put: GcsPut = { client, key, options, signal }
  const { ifAbsent, ifMatch } = options
  if (ifAbsent === undefined && ifMatch === undefined) return await sendBody(put, body, undefined)
  return await writes.write({
    key,
    body,
    condition: ifAbsent === true ? { ifAbsent } : { ifMatch: ifMatch as Version },
    signal,
    send: (writeId) => sendBody(put, body, writeId),
    readBack: () => readBack(put),
  })
}

async function sendBody(
  put: GcsPut,
  body: PutBody,
  writeId: string | undefined,
): Promise<PutResult> {
  const parts = putParts(put.key, body, put.client.options.partBytes, put.signal)
  try {
    const first = await parts.next()
    // A body always has a first part, if only an empty one.
    const part = first.value as PutPart
    const resource = part.last
      ? await putOne(put, part.bytes, writeId)
      : await putResumable(put, part, parts, writeId)
    return { size: Number(resource.size), version: resource.generation as Version }
  } finally {
    await parts.return()
  }
}

/** @see https://cloud.google.com/storage/docs/uploading-objects#rest-upload-objects (multipart) */
async function putOne(
  put: GcsPut,
  bytes: Uint8Array,
  writeId: string | undefined,
): Promise<GcsResource> {
  const { client, key, options } = put
  const boundary = `walsync-${randomUUID()}`
  const resource = {
    name: client.objectName(key),
    contentType: 'application/octet-stream',
    metadata: resourceMetadata(options, writeId),
  }
  const head = `--${boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(resource)}\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n\r\n`
  try {
    return await client.sendJson<GcsResource>({
      method: 'POST',
      path: `/upload${client.objectPath()}`,
      query: { uploadType: 'multipart', fields: RESOURCE_FIELDS, ...generationQuery(options) },
      headers: { 'content-type': `multipart/related; boundary=${boundary}` },
      body: [Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)],
      signal: put.signal,
    })
  } catch (error) {
    throw mapPutError(put, error)
  }
}

/** @see https://cloud.google.com/storage/docs/request-preconditions; generation 0 is "does not exist" */
export function generationQuery({ ifAbsent, ifMatch }: PutOptions): Record<string, string> {
  if (ifAbsent === true) return { ifGenerationMatch: '0' }
  return ifMatch === undefined ? {} : { ifGenerationMatch: ifMatch }
}

export function mapPutError(put: GcsPut, error: unknown): StoreError {
  if (isStoreError(error)) return error
  const { ifAbsent, ifMatch } = put.options
  const condition = ifAbsent === true ? 'ifAbsent' : ifMatch === undefined ? undefined : 'ifMatch'
  return mapGcsError(error, {
    op: 'put',
    key: put.key,
    bucket: put.client.options.bucket,
    write: true,
    condition,
  })
}

async function readBack({ client, key, signal }: GcsPut): Promise<StoredWrite | undefined> {
  try {
    const resource = await client.sendJson<GcsResource>({
      method: 'GET',
      path: client.objectPath(key),
      query: { fields: RESOURCE_FIELDS },
      signal,
    })
    return {
      size: Number(resource.size),
      version: resource.generation as Version,
      writeId: resourceWriteId(resource),
    }
  } catch (error) {
    if (isStoreError(error)) throw error
    const mapped = mapGcsError(error, { op: 'head', key, bucket: client.options.bucket })
    if (mapped.code === 'NotFound') return undefined
    throw mapped
  }
}
