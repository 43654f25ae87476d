import { randomUUID } from 'node:crypto'
import type { BlobRequestConditions, BlockBlobClient } from '@azure/storage-blob'
import type {
  DriverBody,
  DriverPutOptions,
  PutResult,
  StoreError,
  Version,
} from '../../core/store/index.ts'
import { type PutPart, putParts } from '../shared/put-parts.ts'
import { uploadParts } from '../shared/upload-parts.ts'
import { type AzureConnection, blobName } from './azure-client.ts'
import { mapAzureError } from './azure-errors.ts'

/** One put in progress: what each of its requests needs. */
interface AzurePut {
  readonly container: string
  readonly blob: BlockBlobClient
  readonly key: string
  readonly options: DriverPutOptions
}

/** Azure's limit on the blocks of one blob. */
const MAX_BLOCKS = 50_000
const BLOCK_CONCURRENCY = 2
/** Where Litestream reads an object's time on Azure (RFC 3339, UTC); names must be C# identifiers. */
const CREATED_AT = 'litestreamtimestamp'

/** Stores a body: in one request if it fits into one block, otherwise in blocks. */
export async function putAzure(
  connection: AzureConnection,
  key: string,
  body: DriverBody,
  options: DriverPutOptions,
): Promise<PutResult> {
  const { container, partBytes } = connection.options
  const blob = connection.container.getBlockBlobClient(blobName(connection.options, key))
  const put: AzurePut = { container, blob, key, options }
  const blockBytes = Math.max(partBytes, Math.ceil((body.size ?? 0) / (MAX_BLOCKS * 0.9)))
  const parts = putParts(body, blockBytes)
  try {
    const first = await parts.next()
    // A body always has a first part, even if it is empty.
    const part = first.value as PutPart
    return part.last ? await putOne(put, part.bytes) : await putBlocks(put, part, parts)
  } finally {
    await parts.return()
  }
}

export function createdAtOf(metadata: Record<string, string> | undefined): Date | undefined {
  const text = metadata?.[CREATED_AT]
  const time = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(time) ? undefined : new Date(time)
}

async function putOne({ blob, options }: AzurePut, bytes: Uint8Array): Promise<PutResult> {
  const answer = await blob.upload(bytes, bytes.length, visibly(options))
  return { size: bytes.length, version: answer.etag as Version }
}

/**
 * Stages blocks and commits them under the put's condition. Uncommitted blocks appear in no listing
 * and expire after a week; Azure has no request to remove them.
 */
async function putBlocks(
  put: AzurePut,
  first: PutPart,
  rest: AsyncIterator<PutPart, void>,
): Promise<PutResult> {
  const { blob, options } = put
  // Random, because two writers staging blocks for the same blob must not mix them.
  const upload = randomUUID()
  const blockId = (number: number) =>
    Buffer.from(`${upload}-${String(number).padStart(5, '0')}`).toString('base64')
  const { count, bytes } = await uploadParts(
    {
      key: put.key,
      concurrency: BLOCK_CONCURRENCY,
      maxParts: MAX_BLOCKS,
      signal: options.signal,
      send: async (number, block, abortSignal) => {
        try {
          await blob.stageBlock(blockId(number), block, block.length, { abortSignal })
        } catch (error) {
          throw mapBlockError(put, error)
        }
      },
    },
    first,
    rest,
  )
  const ids = Array.from({ length: count }, (_, index) => blockId(index + 1))
  const answer = await blob.commitBlockList(ids, visibly(options))
  return { size: bytes, version: answer.etag as Version }
}

/** Options of the request that makes a blob visible. */
function visibly({ ifAbsent, ifMatch, createdAt, signal }: DriverPutOptions) {
  const conditions: BlobRequestConditions =
    ifAbsent === true ? { ifNoneMatch: '*' } : ifMatch === undefined ? {} : { ifMatch }
  const metadata: Record<string, string> =
    createdAt === undefined ? {} : { [CREATED_AT]: createdAt.toISOString() }
  return { abortSignal: signal, conditions, metadata }
}

/** A block is staged without a condition. */
function mapBlockError({ key, container }: AzurePut, error: unknown): StoreError {
  return mapAzureError(error, { op: 'put', key, container })
}
