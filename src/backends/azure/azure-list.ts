import type { BlobItem, BlobPrefix } from '@azure/storage-blob'
import {
  type DirEntry,
  type DriverListOptions,
  isKey,
  type ObjectInfo,
} from '../../core/store/index.ts'
import { levelEntries, startFolder } from '../shared/level.ts'
import { byBytes, byFolders, canBegin, ListGuard, safeStart } from '../shared/list-bounds.ts'
import { type AzureConnection, blobName } from './azure-client.ts'
import { containerError } from './azure-container.ts'
import { mapAzureError } from './azure-errors.ts'
import { blobInfo } from './azure-get.ts'

/** Every blob under a prefix, page by page, in the order that Azure promises. */
export async function* listAzure(
  connection: AzureConnection,
  options: DriverListOptions,
): AsyncGenerator<ObjectInfo, void> {
  const { prefix, startAfter, signal: abortSignal } = options
  if (!canBegin(prefix)) return
  const start = safeStart(startAfter)
  const root = blobName(connection.options, '')
  const pages = connection.container
    .listBlobsFlat({
      prefix: root + prefix,
      includeMetadata: true,
      abortSignal,
      // Inclusive, and ignored by older services, so earlier entries are also filtered out below.
      ...(start === '' ? {} : { startFrom: root + start }),
    })
    .byPage({ maxPageSize: connection.options.pageSize })
  for await (const page of mapped(connection, pages)) {
    yield* objectsOf(page.segment.blobItems, root.length, startAfter)
  }
}

/** One level, with blobs and prefixes merged into one order. */
export async function* listDirAzure(
  connection: AzureConnection,
  options: DriverListOptions,
): AsyncGenerator<DirEntry, void> {
  const { prefix, startAfter, signal: abortSignal } = options
  if (!canBegin(prefix)) return
  yield* startFolder(options, (below) => listAzure(connection, below))
  const root = blobName(connection.options, '')
  const pages = connection.container
    .listBlobsByHierarchy('/', { prefix: root + prefix, includeMetadata: true, abortSignal })
    .byPage({ maxPageSize: connection.options.pageSize })
  for await (const page of mapped(connection, pages)) {
    const objects = objectsOf(page.segment.blobItems, root.length, startAfter)
    const prefixes = prefixesOf(page.segment.blobPrefixes ?? [], root.length)
    yield* levelEntries(objects, prefixes, startAfter)
  }
}

interface AzurePage {
  readonly segment: {
    readonly blobItems: readonly BlobItem[]
    readonly blobPrefixes?: readonly BlobPrefix[] | undefined
  }
  readonly continuationToken?: string | undefined
}

async function* mapped<T extends AzurePage>(
  { options: { container } }: AzureConnection,
  pages: AsyncIterable<T>,
): AsyncGenerator<T, void> {
  // Accounts with a hierarchical namespace list folder by folder.
  const guard = new ListGuard(`the container ${container}`, [byBytes, byFolders])
  const iterator = pages[Symbol.asyncIterator]()
  while (true) {
    const step = await iterator.next().catch((error: unknown) => {
      throw containerError(mapAzureError(error, { op: 'list', container }), container)
    })
    if (step.done === true) return
    const { segment, continuationToken } = step.value
    guard.check({
      names: segment.blobItems.map(({ name }) => name),
      prefixes: segment.blobPrefixes?.map(({ name }) => name),
      token: continuationToken === '' ? undefined : continuationToken,
    })
    yield step.value
  }
}

function objectsOf(
  blobs: readonly BlobItem[],
  rootLength: number,
  startAfter: string,
): ObjectInfo[] {
  return blobs
    .filter((blob) => !isDirectory(blob))
    .map((blob) =>
      blobInfo(blob.name.slice(rootLength), { ...blob.properties, metadata: blob.metadata }),
    )
    .filter(({ key }) => key > startAfter && isKey(key))
}

/** Accounts with a hierarchical namespace list directories as empty blobs. */
function isDirectory({ metadata, properties }: BlobItem): boolean {
  const type = (properties as { readonly resourceType?: string }).resourceType
  return metadata?.hdi_isfolder === 'true' || type === 'directory'
}

function prefixesOf(prefixes: readonly BlobPrefix[], rootLength: number): string[] {
  return prefixes
    .map(({ name }) => name.slice(rootLength))
    .filter((prefix) => isKey(prefix.slice(0, -1)))
}
