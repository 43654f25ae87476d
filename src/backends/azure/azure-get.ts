import type { Readable } from 'node:stream'
import {
  type CallScope,
  type GetOptions,
  type GetResult,
  isStoreError,
  type ObjectInfo,
  resolveRange,
  type Version,
} from '../../core/store/index.ts'
import { carriedRange } from '../shared/content-range.ts'
import { responseBody } from '../shared/response-body.ts'
import { type AzureConnection, blobName } from './azure-client.ts'
import { assertContainer } from './azure-container.ts'
import { mapAzureError } from './azure-errors.ts'
import { createdAtOf } from './azure-put.ts'

/** Reads a blob or a range of it. */
export async function getAzure(
  connection: AzureConnection,
  scope: CallScope,
  key: string,
  { range, ifMatch, signal }: GetOptions,
): Promise<GetResult> {
  const { container } = connection.options
  const mapError = (error: unknown) => mapAzureError(error, { op: 'get', key, container })
  const blob = connection.container.getBlobClient(blobName(connection.options, key))
  return await scope.run({ op: 'get', key, signal }, async (abortSignal) => {
    try {
      const start = range?.start ?? 0
      const count = range?.end === undefined ? undefined : range.end - start
      const answer = await blob.download(start, count, {
        abortSignal,
        maxRetryRequests: 0,
        conditions: ifMatch === undefined ? {} : { ifMatch },
      })
      const stream = answer.readableStreamBody as Readable
      // The SDK asks for no range if it is the whole blob.
      const asked = start === 0 && count === undefined ? undefined : start
      const carried = carriedRange(key, asked, answer.contentRange, answer.contentLength, stream)
      resolveRange(key, range, carried.size)
      return {
        info: blobInfo(key, {
          contentLength: carried.size,
          lastModified: answer.lastModified,
          etag: answer.etag,
          metadata: answer.metadata,
        }),
        range: { start: carried.start, end: carried.end },
        body: await responseBody(scope, {
          key,
          stream,
          expected: carried.end - carried.start,
          signal,
          timeoutMs: connection.options.timeoutMs,
          mapError,
        }),
      }
    } catch (error) {
      abortSignal.throwIfAborted()
      const mapped = isStoreError(error) ? error : mapError(error)
      if (mapped.code === 'NotFound') await assertContainer(connection, 'get', key, abortSignal)
      throw mapped
    }
  })
}

/** What properties and a download say of a blob. */
export function blobInfo(
  key: string,
  answer: {
    readonly contentLength?: number | undefined
    readonly lastModified?: Date | undefined
    readonly etag?: string | undefined
    readonly metadata?: Record<string, string> | undefined
  },
): ObjectInfo {
  return {
    key,
    size: answer.contentLength ?? 0,
    lastModified: answer.lastModified ?? new Date(0),
    version: quotedEtag(answer.etag),
    createdAt: createdAtOf(answer.metadata),
  }
}

/** Listings leave out the quotes that every other answer has. */
function quotedEtag(etag = ''): Version {
  return (etag.startsWith('"') ? etag : `"${etag}"`) as Version
}
