import {
  type DirEntry,
  type DriverListOptions,
  isKey,
  isStoreError,
  type ObjectInfo,
  StoreError,
} from '../../core/store/index.ts'
import { levelEntries, startFolder } from '../shared/level.ts'
import { canBegin, ListGuard, safeStart } from '../shared/list-bounds.ts'
import type { GcsClient } from './gcs-client.ts'
import { mapGcsError, notFromGcs } from './gcs-errors.ts'
import { type GcsResource, RESOURCE_FIELDS, resourceInfo } from './gcs-resource.ts'

/** Every object under a prefix, page by page, in the order that GCS promises. */
export async function* listGcs(
  client: GcsClient,
  options: DriverListOptions,
): AsyncGenerator<ObjectInfo, void> {
  for await (const page of pages(client, options, undefined)) yield* page.objects
}

/** One level, with objects and prefixes merged into one order. */
export async function* listDirGcs(
  client: GcsClient,
  options: DriverListOptions,
): AsyncGenerator<DirEntry, void> {
  yield* startFolder(options, (below) => listGcs(client, below))
  for await (const page of pages(client, options, '/')) {
    yield* levelEntries(page.objects, page.prefixes, options.startAfter)
  }
}

interface Page {
  readonly objects: readonly ObjectInfo[]
  readonly prefixes: readonly string[]
}

export interface ListAnswer {
  readonly kind?: string | undefined
  readonly items?: readonly GcsResource[] | undefined
  readonly prefixes?: readonly string[] | undefined
  readonly nextPageToken?: string | undefined
}

async function* pages(
  client: GcsClient,
  listed: DriverListOptions,
  delimiter: '/' | undefined,
): AsyncGenerator<Page, void> {
  const { prefix, startAfter, signal } = listed
  if (!canBegin(prefix)) return
  const root = client.objectName('')
  const start = safeStart(startAfter)
  const guard = new ListGuard(`the bucket ${client.options.bucket}`)
  let pageToken: string | undefined
  do {
    const answer: ListAnswer = await client
      .sendJson<ListAnswer>({
        method: 'GET',
        path: client.objectPath(),
        query: {
          prefix: root + prefix,
          delimiter,
          pageToken,
          maxResults: String(client.options.pageSize),
          fields: `kind,items(${RESOURCE_FIELDS}),prefixes,nextPageToken`,
          ...(start === '' ? {} : { startOffset: root + start }),
        },
        signal,
      })
      .catch((error: unknown) => {
        signal.throwIfAborted()
        throw isStoreError(error) ? error : mapListError(client, error)
      })
    assertListing('list', answer, client.options.bucket)
    pageToken = answer.nextPageToken === '' ? undefined : answer.nextPageToken
    guard.check({
      names: (answer.items ?? []).map(({ name }) => name),
      prefixes: answer.prefixes,
      token: pageToken,
    })
    yield {
      objects: objectsOf(answer.items ?? [], root.length, startAfter),
      prefixes: (answer.prefixes ?? [])
        .map((name) => name.slice(root.length))
        .filter((name) => isKey(name.slice(0, -1))),
    }
  } while (pageToken !== undefined)
}

/**
 * Refuses a success that is not a listing, which would pass for an empty bucket.
 *
 * @throws StoreError `Unavailable`
 */
export function assertListing(op: string, answer: ListAnswer, bucket: string): void {
  if (answer.kind === 'storage#objects' || Array.isArray(answer.items)) return
  throw notFromGcs(op, `The response for the bucket ${bucket} is not a listing.`)
}

/** GCS's start is inclusive. */
function objectsOf(
  items: readonly GcsResource[],
  rootLength: number,
  startAfter: string,
): ObjectInfo[] {
  return items
    .map((item) => resourceInfo('list', item.name.slice(rootLength), item))
    .filter(({ key }) => key > startAfter && isKey(key))
}

function mapListError(client: GcsClient, error: unknown): StoreError {
  const { bucket } = client.options
  const mapped = mapGcsError(error, { op: 'list', bucket })
  if (mapped.code !== 'NotFound') return mapped
  return new StoreError('ContainerNotFound', `The bucket ${bucket} does not exist.`, {
    op: 'list',
    cause: error,
    httpStatus: mapped.httpStatus,
    hint: 'Check the name of the bucket.',
  })
}
