import type { _Object, CommonPrefix, ListObjectsV2CommandOutput } from '@aws-sdk/client-s3'
import {
  type DirEntry,
  type DriverListOptions,
  isKey,
  type ObjectInfo,
  StoreError,
} from '../../core/store/index.ts'
import { levelEntries, startFolder } from '../shared/level.ts'
import { canBegin, ListGuard, safeStart } from '../shared/list-bounds.ts'
import { etagVersion } from './etag-forms.ts'
import { objectName, type S3Connection } from './s3-client.ts'

/** Every object under a prefix, page by page, in the order that S3 promises. */
export async function* listS3(
  connection: S3Connection,
  options: DriverListOptions,
): AsyncGenerator<ObjectInfo, void> {
  for await (const page of pages(connection, options, undefined)) {
    for (const object of page.objects) yield object
  }
}

/** One level, with objects and prefixes merged into one order. */
export async function* listDirS3(
  connection: S3Connection,
  options: DriverListOptions,
): AsyncGenerator<DirEntry, void> {
  yield* startFolder(options, (below) => listS3(connection, below))
  for await (const page of pages(connection, options, '/')) {
    yield* levelEntries(page.objects, page.prefixes, options.startAfter)
  }
}

interface Page {
  readonly objects: readonly ObjectInfo[]
  readonly prefixes: readonly string[]
}

async function* pages(
  { sdk, client, options }: S3Connection,
  listed: DriverListOptions,
  delimiter: '/' | undefined,
): AsyncGenerator<Page, void> {
  const { prefix, startAfter, signal } = listed
  if (!canBegin(prefix)) return
  const root = objectName(options, '')
  const start = safeStart(startAfter)
  const guard = new ListGuard(`the bucket ${options.bucket}`)
  let token: string | undefined
  do {
    const command = new sdk.ListObjectsV2Command({
      Bucket: options.bucket,
      Prefix: root + prefix,
      EncodingType: 'url',
      ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
      ...(token === undefined ? {} : { ContinuationToken: token }),
      MaxKeys: options.pageSize,
      ...(token === undefined && start !== '' ? { StartAfter: root + start } : {}),
    })
    const answer = await client.send(command, { abortSignal: signal })
    assertListing(answer, options.bucket)
    // Some services continue without saying that there is more.
    token = answer.IsTruncated === false ? undefined : answer.NextContinuationToken || undefined
    if (answer.IsTruncated === true && token === undefined) throw noToken(options.bucket)
    guard.check({
      names: (answer.Contents ?? []).map(({ Key = '' }) => decodeName(Key)),
      prefixes: (answer.CommonPrefixes ?? []).map(({ Prefix = '' }) => decodeName(Prefix)),
      token,
    })
    yield {
      objects: objectsOf(answer.Contents ?? [], root.length, startAfter),
      prefixes: prefixesOf(answer.CommonPrefixes ?? [], root.length),
    }
  } while (token !== undefined)
}

function objectsOf(
  contents: readonly _Object[],
  rootLength: number,
  startAfter: string,
): ObjectInfo[] {
  const objects: ObjectInfo[] = []
  for (const object of contents) {
    const key = decodeName(object.Key ?? '').slice(rootLength)
    if (key <= startAfter || !isKey(key)) continue
    if (object.Size === undefined) throw noSize(key)
    objects.push({
      key,
      size: object.Size,
      lastModified: object.LastModified ?? new Date(0),
      version: etagVersion(object.ETag ?? ''),
    })
  }
  return objects
}

function prefixesOf(prefixes: readonly CommonPrefix[], rootLength: number): string[] {
  return prefixes
    .map(({ Prefix = '' }) => decodeName(Prefix).slice(rootLength))
    .filter((prefix) => isKey(prefix.slice(0, -1)))
}

/** Names are form-encoded, as requested, because XML cannot represent every character. */
function decodeName(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll('+', ' '))
  } catch {
    // A service that does not encode, and a name with a percent sign, which no key has.
    return encoded
  }
}

function noSize(key: string): StoreError {
  return new StoreError('Unsupported', `The listing does not say how large ${key} is.`, {
    op: 'list',
    key,
    hint: 'The service does not list as S3 does, and cannot hold a replica.',
  })
}

/**
 * Refuses a success that is no listing, as of a login page or the web console of a service: it would
 * pass for an empty bucket.
 *
 * @throws StoreError `Unavailable`
 */
export function assertListing(answer: ListObjectsV2CommandOutput, bucket: string): void {
  const { Name, Prefix, KeyCount, MaxKeys, IsTruncated, Contents, CommonPrefixes } = answer
  const said = [Name, Prefix, KeyCount, MaxKeys, IsTruncated, Contents, CommonPrefixes]
  if (said.some((value) => value !== undefined)) return
  throw new StoreError('Unavailable', `The response for the bucket ${bucket} is no listing.`, {
    op: 'list',
    httpStatus: answer.$metadata.httpStatusCode,
    hint: 'Check the endpoint: it may be a web page, such as the console of the service or a login, and not its S3 interface.',
  })
}

function noToken(bucket: string): StoreError {
  return new StoreError(
    'Unavailable',
    `The listing of the bucket ${bucket} is incomplete and has no continuation.`,
    { op: 'list' },
  )
}
