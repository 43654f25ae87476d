import {
  type DriverGetOptions,
  type DriverGetResult,
  StoreError,
  type Version,
} from '../../core/store/index.ts'
import { carriedRange, rangeHeader } from '../shared/content-range.ts'
import { responseBody } from '../shared/response-body.ts'
import type { GcsClient } from './gcs-client.ts'
import { notFromGcs } from './gcs-errors.ts'
import { CREATED_AT, isGeneration, parseTime } from './gcs-resource.ts'

/**
 * Reads an object or a range of it through the XML API: only that returns metadata and bytes in one
 * response. Emulators serve it only on their public host, if at all, but they send the metadata
 * with downloads from the JSON API as well.
 */
export async function getGcs(
  client: GcsClient,
  key: string,
  { range, ifMatch, signal }: DriverGetOptions,
): Promise<DriverGetResult> {
  const { path, query, headers } = download(client, key, ifMatch)
  const answer = await client.send({
    method: 'GET',
    path,
    query,
    headers: {
      ...headers,
      ...(range === undefined ? {} : { range: rangeHeader(range.start, range.end) }),
    },
    signal,
    object: true,
  })
  const received = answer.headers
  const length = received['content-length']
  const { start, end, size } = carriedRange(
    key,
    range?.start,
    received['content-range'],
    length === undefined ? undefined : Number(length),
    answer,
  )
  const version = received['x-goog-generation']?.toString()
  if (!isGeneration(version)) {
    answer.destroy()
    throw notFromGcs('get', `The response for ${key} has no generation.`, key)
  }
  // An emulator may ignore the condition.
  if (ifMatch !== undefined && version !== ifMatch) {
    answer.destroy()
    throw changed(key)
  }
  const createdAt = parseTime(received[`x-goog-meta-${CREATED_AT}`] as string | undefined)
  const lastModified = new Date(received['last-modified'] ?? 0)
  const { timeoutMs } = client.options
  return {
    info: { key, size, lastModified, version, createdAt },
    range: { start, end },
    body: await responseBody({ stream: answer, expected: end - start, signal, timeoutMs }),
  }
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
