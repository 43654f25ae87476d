import {
  type CallScope,
  type GetOptions,
  type GetResult,
  isStoreError,
  StoreError,
  type Version,
} from '../../core/store/index.ts'
import { carriedRange, rangeHeader } from '../shared/content-range.ts'
import { responseBody } from '../shared/response-body.ts'
import { assertBucket } from './gcs-bucket.ts'
import type { GcsClient } from './gcs-client.ts'
import { mapGcsError } from './gcs-errors.ts'
import { CREATED_AT, parseTime } from './gcs-resource.ts'

/**
 * Reads an object or a range of it, over the XML interface: it alone gives metadata and bytes in
 * one answer. Emulators answer that for their public host only, if at all, and give the metadata with
 * the JSON interface's media, too.
 */
export async function getGcs(
  client: GcsClient,
  scope: CallScope,
  key: string,
  { range, ifMatch, signal }: GetOptions,
): Promise<GetResult> {
  const { bucket } = client.options
  const mapError = (error: unknown) => mapGcsError(error, { op: 'get', key, bucket })
  return await scope.run({ op: 'get', key, signal }, async (linked) => {
    try {
      const { path, query, headers } = download(client, key, ifMatch)
      const answer = await client.send({
        method: 'GET',
        path,
        query,
        headers: {
          ...headers,
          ...(range === undefined ? {} : { range: rangeHeader(range.start, range.end) }),
        },
        signal: linked,
        object: true,
      })
      const told = answer.headers
      const length = told['content-length']
      const { start, end, size } = carriedRange(
        key,
        range?.start,
        told['content-range'],
        length === undefined ? undefined : Number(length),
        answer,
      )
      const version = String(told['x-goog-generation']) as Version
      // An emulator may overlook the condition.
      if (ifMatch !== undefined && version !== ifMatch) {
        answer.destroy()
        throw changed(key)
      }
      const createdAt = parseTime(told[`x-goog-meta-${CREATED_AT}`] as string | undefined)
      const lastModified = new Date(told['last-modified'] ?? 0)
      return {
        info: { key, size, lastModified, version, createdAt },
        range: { start, end },
        body: await responseBody(scope, {
          key,
          stream: answer,
          expected: end - start,
          signal,
          timeoutMs: client.options.timeoutMs,
          mapError,
        }),
      }
    } catch (error) {
      linked.throwIfAborted()
      const mapped = isStoreError(error) ? error : mapError(error)
      if (mapped.code === 'NotFound') await assertBucket(client, 'get', key, linked)
      throw mapped
    }
  })
}

function download(client: GcsClient, key: string, ifMatch: Version | undefined) {
  if (client.options.emulator) {
    return {
      path: client.objectPath(key),
      query: { alt: 'media', ifGenerationMatch: ifMatch },
      headers: {},
    }
  }
  const condition = ifMatch === undefined ? {} : { 'x-goog-if-generation-match': ifMatch }
  const path = xmlPath(client.options.bucket, client.objectName(key))
  return { path, query: undefined, headers: condition }
}

function xmlPath(bucket: string, name: string): string {
  return `/${[bucket, ...name.split('/')].map(encodeURIComponent).join('/')}`
}

function changed(key: string): StoreError {
  return new StoreError('PreconditionFailed', `The object ${key} is not the expected version.`, {
    op: 'get',
    key,
  })
}
