import type { Readable } from 'node:stream'
import {
  type DriverGetOptions,
  type DriverGetResult,
  type ObjectInfo,
  resolveRange,
  type Version,
} from '../../core/store/index.ts'
import { carriedRange } from '../shared/content-range.ts'
import { responseBody } from '../shared/response-body.ts'
import { type AzureConnection, blobName } from './azure-client.ts'
import { createdAtOf } from './azure-put.ts'

/** Reads a blob or a range of it. */
export async function getAzure(
  { container, options }: AzureConnection,
  key: string,
  { range, ifMatch, signal }: DriverGetOptions,
): Promise<DriverGetResult> {
  const start = range?.start ?? 0
  const count = range?.end === undefined ? undefined : range.end - start
  const answer = await container.getBlobClient(blobName(options, key)).download(start, count, {
    abortSignal: signal,
    maxRetryRequests: 0,
    conditions: ifMatch === undefined ? {} : { ifMatch },
  })
  const stream = answer.readableStreamBody as Readable
  // The SDK sends no range if the whole blob is requested.
  const asked = start === 0 && count === undefined ? undefined : start
  const carried = carriedRange(key, asked, answer.contentRange, answer.contentLength, stream)
  resolveRange(key, range, carried.size)
  const expected = carried.end - carried.start
  const { timeoutMs } = options
  return {
    info: blobInfo(key, {
      contentLength: carried.size,
      lastModified: answer.lastModified,
      etag: answer.etag,
      metadata: answer.metadata,
    }),
    range: { start: carried.start, end: carried.end },
    body: await responseBody({ stream, expected, signal, timeoutMs }),
  }
}

/** What the properties and a download say about a blob. */
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

/** Listings omit the quotes that every other response has. */
function quotedEtag(etag = ''): Version {
  return (etag.startsWith('"') ? etag : `"${etag}"`) as Version
}
