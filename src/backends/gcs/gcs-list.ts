import {
  type DirEntry,
  isStoreError,
  type ListOptions,
  type ObjectInfo,
  StoreError,
} from '../../core/store/index.ts'
import { isKey } from '../shared/is-key.ts'
import type { GcsClient } from './gcs-client.ts'
import { mapGcsError } from './gcs-errors.ts'
import { type GcsResource, RESOURCE_FIELDS, resourceInfo } from './gcs-resource.ts'

/** Every object under a prefix, one page of at most 1,000 at a time, in the order that GCS promises. */
export async function* listGcs(
  client: GcsClient,
  options: ListOptions,
  signal: AbortSignal,
): AsyncGenerator<ObjectInfo, void> {
  for await (const page of pages(client, options, undefined, signal)) yield* page.objects
}

/** One level, objects and prefixes merged into one order. */
export async function* listDirGcs(
  client: GcsClient,
  options: ListOptions,
  signal: AbortSignal,
): AsyncGenerator<DirEntry, void> {
  for await (const page of pages(client, options, '/', signal)) {
    const entries: DirEntry[] = [
      ...page.objects.map((object) => ({ kind: 'object' as const, object })),
      ...page.prefixes.map((prefix) => ({ kind: 'prefix' as const, prefix })),
    ]
    yield* entries.sort((a, b) => (entryName(a) < entryName(b) ? -1 : 1))
  }
}

interface Page {
  readonly objects: readonly ObjectInfo[]
  readonly prefixes: readonly string[]
}

interface ListAnswer {
  readonly items?: readonly GcsResource[] | undefined
  readonly prefixes?: readonly string[] | undefined
  readonly nextPageToken?: string | undefined
}

async function* pages(
  client: GcsClient,
  { prefix = '', startAfter = '' }: ListOptions,
  delimiter: '/' | undefined,
  signal: AbortSignal,
): AsyncGenerator<Page, void> {
  const root = client.objectName('')
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
          maxResults: '1000',
          fields: `items(${RESOURCE_FIELDS}),prefixes,nextPageToken`,
          ...(startAfter === '' ? {} : { startOffset: root + startAfter }),
        },
        signal,
      })
      .catch((error: unknown) => {
        signal.throwIfAborted()
        throw isStoreError(error) ? error : mapListError(client, error)
      })
    yield {
      objects: objectsOf(answer.items ?? [], root.length, startAfter),
      prefixes: (answer.prefixes ?? [])
        .map((name) => name.slice(root.length))
        .filter((name) => name > startAfter && isKey(name.slice(0, -1))),
    }
    pageToken = answer.nextPageToken === '' ? undefined : answer.nextPageToken
  } while (pageToken !== undefined)
}

/** GCS's start is inclusive. */
function objectsOf(
  items: readonly GcsResource[],
  rootLength: number,
  startAfter: string,
): ObjectInfo[] {
  return items
    .map((item) => resourceInfo(item.name.slice(rootLength), item))
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

function entryName(entry: DirEntry): string {
  return entry.kind === 'object' ? entry.object.key : entry.prefix
}
