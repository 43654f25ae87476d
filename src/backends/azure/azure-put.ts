import { randomUUID } from 'node:crypto'
import type { BlobRequestConditions, BlockBlobClient } from '@azure/storage-blob'
import type { PutBody, PutOptions, PutResult, StoreError, Version } from '../../core/store/index.ts'
import { bodySize, isStoreError } from '../../core/store/index.ts'
import type { ConditionalWrites, StoredWrite } from '../shared/conditional-write.ts'
import { type PutPart, putParts } from '../shared/put-parts.ts'
import { uploadParts } from '../shared/upload-parts.ts'
import { type AzureConnection, blobName } from './azure-client.ts'
import { mapAzureError } from './azure-errors.ts'

/** One put on its way: what each of its requests needs. */
interface AzurePut {
  readonly connection: AzureConnection
  readonly blob: BlockBlobClient
  readonly key: string
  readonly options: PutOptions
  readonly signal: AbortSignal
}

/** Azure's limit on the blocks of one blob. */
const MAX_BLOCKS = 50_000
const BLOCK_CONCURRENCY = 2
const COMMIT_TRIES = 3
/** User metadata of a write that is read back after a lost answer; names must be C# identifiers. */
const WRITE_ID = 'walsyncwriteid'
/** Where Litestream reads an object's time on Azure (RFC 3339, UTC). */
const CREATED_AT = 'litestreamtimestamp'

/** Stores a body in one request if it fits into one block, in blocks otherwise. */
export async function putAzure(
  connection: AzureConnection,
  writes: ConditionalWrites,
  key: string,
  body: PutBody,
  options: PutOptions,
  signal: AbortSignal,
): Promise<PutResult> {
  const blob = connection.container.getBlockBlobClient(blobName(connection.options, key))
  const put: AzurePut = { connection, blob, key, options, signal }
  const { ifAbsent, ifMatch } = options
  if (ifAbsent === undefined && ifMatch === undefined) return await sendAgain(put, body, undefined)
  return await writes.write({
    key,
    body,
    condition: ifAbsent === true ? { ifAbsent } : { ifMatch: ifMatch as Version },
    signal,
    send: (writeId) => sendAgain(put, body, writeId),
    readBack: () => readBack(put),
  })
}

export function createdAtOf(metadata: Record<string, string> | undefined): Date | undefined {
  const text = metadata?.[CREATED_AT]
  const time = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(time) ? undefined : new Date(time)
}

/** A commit by another writer throws our staged blocks away without a word: they are sent anew. */
async function sendAgain(
  put: AzurePut,
  body: PutBody,
  writeId: string | undefined,
): Promise<PutResult> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await sendBody(put, body, writeId)
    } catch (error) {
      const cause = isStoreError(error)
        ? (error.cause as { code?: unknown } | undefined)
        : undefined
      if (cause?.code !== 'InvalidBlockList' || attempt === COMMIT_TRIES) throw error
      put.signal.throwIfAborted()
    }
  }
}

async function sendBody(
  put: AzurePut,
  body: PutBody,
  writeId: string | undefined,
): Promise<PutResult> {
  const { partBytes } = put.connection.options
  const blockBytes = Math.max(partBytes, Math.ceil((bodySize(body) ?? 0) / (MAX_BLOCKS * 0.9)))
  const parts = putParts(put.key, body, blockBytes, put.signal)
  try {
    const first = await parts.next()
    // A body always has a first part, if only an empty one.
    const part = first.value as PutPart
    if (part.last) return await putOne(put, part.bytes, writeId)
    return await putBlocks(put, part, parts, writeId)
  } finally {
    await parts.return()
  }
}

async function putOne(
  put: AzurePut,
  bytes: Uint8Array,
  writeId: string | undefined,
): Promise<PutResult> {
  try {
    const answer = await put.blob.upload(bytes, bytes.length, {
      abortSignal: put.signal,
      conditions: conditionsOf(put.options),
      metadata: metadataOf(put.options, writeId),
    })
    return { size: bytes.length, version: answer.etag as Version }
  } catch (error) {
    throw mapPutError(put, error)
  }
}

/**
 * Stages blocks and commits them under the condition. Blocks that are never committed show in no
 * listing and expire after a week; Azure has no request that removes them.
 */
async function putBlocks(
  put: AzurePut,
  first: PutPart,
  rest: AsyncIterator<PutPart, void>,
  givenId: string | undefined,
): Promise<PutResult> {
  const writeId = givenId ?? randomUUID()
  // Random, because two writers that stage blocks on one blob must not mix them.
  const upload = randomUUID()
  const blockId = (number: number) =>
    Buffer.from(`${upload}-${String(number).padStart(5, '0')}`).toString('base64')
  const { count, bytes } = await uploadParts(
    {
      key: put.key,
      concurrency: BLOCK_CONCURRENCY,
      maxParts: MAX_BLOCKS,
      signal: put.signal,
      send: async (number, block, abortSignal) => {
        try {
          await put.blob.stageBlock(blockId(number), block, block.length, { abortSignal })
        } catch (error) {
          throw mapPutError({ ...put, options: {} }, error)
        }
      },
    },
    first,
    rest,
  )
  try {
    const ids = Array.from({ length: count }, (_, index) => blockId(index + 1))
    const answer = await put.blob.commitBlockList(ids, {
      abortSignal: put.signal,
      conditions: conditionsOf(put.options),
      metadata: metadataOf(put.options, writeId),
    })
    return { size: bytes, version: answer.etag as Version }
  } catch (error) {
    const mapped = mapPutError(put, error)
    if (put.signal.aborted || mapped.outcome !== 'unknown') throw mapped
    const stored = await readBack(put).catch(() => {
      throw mapped
    })
    if (stored?.writeId !== writeId) throw mapped
    return { size: stored.size, version: stored.version }
  }
}

function conditionsOf({ ifAbsent, ifMatch }: PutOptions): BlobRequestConditions {
  if (ifAbsent === true) return { ifNoneMatch: '*' }
  return ifMatch === undefined ? {} : { ifMatch }
}

function metadataOf(
  { createdAt }: PutOptions,
  writeId: string | undefined,
): Record<string, string> {
  return {
    ...(writeId === undefined ? {} : { [WRITE_ID]: writeId }),
    ...(createdAt === undefined ? {} : { [CREATED_AT]: createdAt.toISOString() }),
  }
}

function mapPutError({ connection, key, options }: AzurePut, error: unknown): StoreError {
  const { ifAbsent, ifMatch } = options
  const condition = ifAbsent === true ? 'ifAbsent' : ifMatch === undefined ? undefined : 'ifMatch'
  const { container } = connection.options
  return mapAzureError(error, { op: 'put', key, container, write: true, condition })
}

async function readBack({
  connection,
  blob,
  key,
  signal,
}: AzurePut): Promise<StoredWrite | undefined> {
  try {
    const answer = await blob.getProperties({ abortSignal: signal })
    return {
      size: answer.contentLength ?? 0,
      version: answer.etag as Version,
      writeId: answer.metadata?.[WRITE_ID],
    }
  } catch (error) {
    const { container } = connection.options
    const mapped = mapAzureError(error, { op: 'head', key, container })
    if (mapped.code === 'NotFound') return undefined
    throw mapped
  }
}
