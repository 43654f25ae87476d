import type { _Object, CommonPrefix } from '@aws-sdk/client-s3'
import {
  type DirEntry,
  type ListOptions,
  type ObjectInfo,
  StoreError,
  type Version,
} from '../../core/store/index.ts'
import { isKey } from '../shared/is-key.ts'
import { objectName, type S3Connection } from './s3-client.ts'
import { mapS3Error } from './s3-errors.ts'

/** Every object under a prefix, one page of at most 1,000 at a time, in the order that S3 promises. */
export async function* listS3(
  connection: S3Connection,
  options: ListOptions,
  signal: AbortSignal,
): AsyncGenerator<ObjectInfo, void> {
  for await (const page of pages(connection, options, undefined, signal)) {
    for (const object of page.objects) yield object
  }
}

/** One level, objects and prefixes merged into one order. */
export async function* listDirS3(
  connection: S3Connection,
  options: ListOptions,
  signal: AbortSignal,
): AsyncGenerator<DirEntry, void> {
  for await (const page of pages(connection, options, '/', signal)) {
    const entries: DirEntry[] = [
      ...page.objects.map((object) => ({ kind: 'object' as const, object })),
      ...page.prefixes.map((prefix) => ({ kind: 'prefix' as const, prefix })),
    ]
    entries.sort((a, b) => (entryName(a) < entryName(b) ? -1 : 1))
    yield* entries
  }
}

interface Page {
  readonly objects: readonly ObjectInfo[]
  readonly prefixes: readonly string[]
}

async function* pages(
  { sdk, client, options }: S3Connection,
  { prefix = '', startAfter = '' }: ListOptions,
  delimiter: '/' | undefined,
  abortSignal: AbortSignal,
): AsyncGenerator<Page, void> {
  const root = objectName(options, '')
  let token: string | undefined
  do {
    const command = new sdk.ListObjectsV2Command({
      Bucket: options.bucket,
      Prefix: root + prefix,
      EncodingType: 'url',
      ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
      ...(token === undefined ? {} : { ContinuationToken: token }),
      ...(token === undefined && startAfter !== '' ? { StartAfter: root + startAfter } : {}),
    })
    const answer = await client.send(command, { abortSignal }).catch((error: unknown) => {
      throw mapS3Error(error, { op: 'list', bucket: options.bucket })
    })
    yield {
      objects: objectsOf(answer.Contents ?? [], root.length),
      prefixes: prefixesOf(answer.CommonPrefixes ?? [], root.length),
    }
    token = answer.IsTruncated === true ? answer.NextContinuationToken : undefined
    if (answer.IsTruncated === true && token === undefined) throw noToken(options.bucket)
  } while (token !== undefined)
}

function objectsOf(contents: readonly _Object[], rootLength: number): ObjectInfo[] {
  const objects: ObjectInfo[] = []
  for (const object of contents) {
    const key = decodeName(object.Key ?? '').slice(rootLength)
    if (!isKey(key)) continue
    objects.push({
      key,
      size: object.Size ?? 0,
      lastModified: object.LastModified ?? new Date(0),
      version: object.ETag as Version,
    })
  }
  return objects
}

function prefixesOf(prefixes: readonly CommonPrefix[], rootLength: number): string[] {
  return prefixes
    .map(({ Prefix = '' }) => decodeName(Prefix).slice(rootLength))
    .filter((prefix) => isKey(prefix.slice(0, -1)))
}

function entryName(entry: DirEntry): string {
  return entry.kind === 'object' ? entry.object.key : entry.prefix
}

/** Names come back form-encoded, as asked for: XML cannot carry every character. */
function decodeName(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll('+', ' '))
}

function noToken(bucket: string): StoreError {
  return new StoreError(
    'Unavailable',
    `The listing of the bucket ${bucket} is incomplete and has no continuation.`,
    { op: 'list' },
  )
}
